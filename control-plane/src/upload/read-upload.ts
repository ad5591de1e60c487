/**
 * From a multipart request to its parts, in one reading only: the `metadata` and the modules, each named by its part's filename.
 * Both doors call it before anything is looked up or written; what the metadata may say is screen-metadata.ts's affair.
 */
import type { ModuleKind } from "../../../contracts/manifest.ts"
import { escapePointer } from "../../../contracts/to-faults.ts"
import { type PointedError, type Refusal, refuse } from "../../../kit/problem.ts"
import { parseStrictJson } from "./strict-json.ts"

/** Bounds of one upload. `bytes` is the whole body: about three times what Cloudflare takes compressed, and half of what an isolate has twice over. */
export const UPLOAD_LIMITS = {
  bytes: 32 * 1024 * 1024,
  metadataBytes: 1024 * 1024,
  parts: 1000,
  moduleNameLength: 512,
} as const

export interface UploadModule {
  /** As other modules import it; `/` and a leading `./` are part of it. */
  readonly name: string
  readonly kind: ModuleKind
  readonly bytes: Uint8Array<ArrayBuffer>
}

export interface RawUpload {
  readonly metadata: Readonly<Record<string, unknown>>
  readonly modules: readonly UploadModule[]
}

/** Content types that Cloudflare documents for modules, without Python. */
const KIND_OF_TYPE: ReadonlyMap<string, ModuleKind> = new Map([
  ["application/javascript+module", "esm"],
  ["text/javascript+module", "esm"],
  ["application/javascript", "cjs"],
  ["text/javascript", "cjs"],
  ["text/plain", "text"],
  ["application/octet-stream", "data"],
  ["application/wasm", "wasm"],
  ["application/source-map", "sourcemap"],
])

/** Throws `api.media-type`, `upload.too-large`, or `upload.malformed` with a pointer `/parts/<name>` for every fault found. */
export async function readUpload(request: Request): Promise<RawUpload> {
  const form = await readForm(request, UPLOAD_LIMITS.bytes, tooLarge)
  const metadata = await readMetadata(form)
  const faults: PointedError[] = []
  const modules: UploadModule[] = []
  const seen = new Set<string>()
  for (const [part, value] of form) {
    if (part === "metadata") continue
    const found = typeof value === "string" ? "has no filename, so it is no module" : await readModule(value)
    const name = typeof value === "string" ? part : value.name
    const fault = typeof found === "string" ? found : seen.has(normalName(name)) ? "is given twice" : null
    if (fault !== null) faults.push({ pointer: `/parts/${escapePointer(name)}`, detail: fault })
    else if (typeof found !== "string") modules.push(found)
    seen.add(normalName(name))
  }
  if (faults.length > 0) throw refuse("upload.malformed", { errors: faults.slice(0, 20) })
  return { metadata, modules }
}

/** The parsed form of a request that says it is one and has at most `limitBytes`. Throws `tooLarge` of what is longer, whether it says so or not. */
export async function readForm(request: Request, limitBytes: number, tooLarge: () => Refusal): Promise<FormData> {
  const type = request.headers.get("content-type")
  if (type === null || !/^multipart\/form-data\s*;.*boundary=/i.test(type) || request.body === null)
    throw refuse("api.media-type", { detail: "Send the upload as multipart/form-data with a boundary." })
  const declared = request.headers.get("content-length")
  if (Number(declared ?? 0) > limitBytes) throw tooLarge()
  let sizeBytes = 0
  // HTTP holds a body to the length it declares, and the runtime then reads it into one buffer instead of two.
  const body = declared !== null ? request.body : request.body.pipeThrough(counting())
  let form: FormData
  try {
    form = await new Response(body, { headers: { "content-type": type } }).formData()
  } catch (cause) {
    if (sizeBytes > limitBytes) throw tooLarge()
    throw refuse("upload.malformed", { detail: "The body is not valid multipart/form-data.", cause })
  }
  if ([...form.keys()].length > UPLOAD_LIMITS.parts)
    throw refuse("upload.malformed", { detail: `More than ${UPLOAD_LIMITS.parts} parts were sent.` })
  return form

  function counting() {
    return new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        sizeBytes += chunk.byteLength
        if (sizeBytes > limitBytes) controller.error(tooLarge())
        else controller.enqueue(chunk)
      },
    })
  }
}

async function readMetadata(form: FormData): Promise<Record<string, unknown>> {
  const [part, ...more] = form.getAll("metadata")
  if (part === undefined || more.length > 0)
    throw refuse("upload.malformed", {
      errors: [{ pointer: "/parts/metadata", detail: `there are ${form.getAll("metadata").length}, one is needed` }],
    })
  const text = typeof part === "string" ? part : await part.text()
  if (text.length > UPLOAD_LIMITS.metadataBytes) throw tooLarge()
  const value = parseStrictJson(text, "The metadata part")
  if (value === null || typeof value !== "object" || Array.isArray(value))
    throw refuse("upload.malformed", { detail: "The metadata part is not a JSON object." })
  return { ...value }
}

/** The module of a file part, or what is wrong with it. */
async function readModule(file: File): Promise<UploadModule | string> {
  const type = file.type.split(";")[0]?.trim().toLowerCase() ?? ""
  const kind = KIND_OF_TYPE.get(type)
  if (kind === undefined)
    return type === "" ? "has no Content-Type" : `has a Content-Type that no module may have: ${type}`
  const fault = faultOfName(file.name)
  return fault ?? { name: file.name, kind, bytes: new Uint8Array(await file.arrayBuffer()) }
}

function faultOfName(name: string): string | null {
  if (name.length === 0 || name.length > UPLOAD_LIMITS.moduleNameLength) return "has a filename of impossible length"
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u001f\u007f\\]/.test(name)) return "has control characters or backslashes in its filename"
  const segments = normalName(name).split("/")
  if (segments.some((each) => each === "" || each === "." || each === ".." || each === "__proto__"))
    return "has a filename that leads elsewhere"
  return null
}

/** `./a.js` and `a.js` are one file to whoever imports them. */
function normalName(name: string): string {
  return name.replace(/^(\.\/)+/, "")
}

function tooLarge() {
  return refuse("upload.too-large", {
    detail: `The upload is larger than ${UPLOAD_LIMITS.bytes / 1024 / 1024} MiB uncompressed.`,
  })
}

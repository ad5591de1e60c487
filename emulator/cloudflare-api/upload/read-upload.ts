/**
 * A request body as an upload: the metadata as sent, and the modules by the names under which code imports them.
 * The form is described in Cloudflare's "multipart upload metadata" page; deviations that clients rely on are said where they are handled.
 * @see https://developers.cloudflare.com/workers/configuration/multipart-upload-metadata/
 */
import type { StoredBinding } from "../../namespace/stored-script.ts"
import { fail } from "../envelope.ts"
import { type FormPart, parseMultipart } from "./parse-multipart.ts"

export interface UploadedModule {
  readonly name: string
  /** Content-Type, one of {@link MODULE_TYPES}. */
  readonly type: string
  readonly body: Uint8Array
}

/** Metadata with the few keys that the API itself reads; everything else is kept untouched. */
export interface SentMetadata {
  readonly main_module?: string
  readonly body_part?: string
  readonly bindings?: readonly StoredBinding[]
  readonly [key: string]: unknown
}

export interface Upload {
  readonly metadata: SentMetadata
  readonly modules: readonly UploadedModule[]
}

/** The types that Cloudflare's description of the API lists, and what wrangler sends. */
const MODULE_TYPES = new Set([
  "application/javascript+module",
  "text/javascript+module",
  "application/javascript",
  "text/javascript",
  "text/x-python",
  "text/x-python-requirement",
  "application/wasm",
  "text/plain",
  "application/octet-stream",
  "application/source-map",
  "application/json",
])

/** Name of the only module when the body is the script itself. */
const BARE_SCRIPT = "worker.js"

/** `entry`, where a header names the entry point, stands in for the metadata part. @throws ApiFailure validation */
export async function readUpload(request: Request, entry: SentMetadata | null = null): Promise<Upload> {
  const contentType = request.headers.get("content-type") ?? ""
  const body = new Uint8Array(await request.arrayBuffer())
  const mediaType = (contentType.split(";")[0] ?? "").trim().toLowerCase()
  if (mediaType === "multipart/form-data") return fromParts(parseMultipart(body, contentType), entry)
  // A bare script. The SDK's version 7 sends this type over a multipart body, which then fails as the script it is not.
  if (mediaType === "application/javascript" || mediaType === "text/javascript")
    return {
      metadata: { body_part: BARE_SCRIPT },
      modules: [{ name: BARE_SCRIPT, type: "application/javascript", body }],
    }
  throw fail("validation", { message: `unsupported Content-Type ${mediaType}` })
}

/** A JSON part by name, as a plain field or a file. @throws ApiFailure validation, in production's words when it is absent. */
export function jsonPart(parts: readonly FormPart[], name: string): Record<string, unknown> {
  const part = parts.find((candidate) => candidate.name === name)
  if (part === undefined) throw fail("validation", { message: `could not read content for part ${name}` })
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(part.body))
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // Falls through: text that is not JSON and JSON that is not an object are the same mistake.
  }
  throw fail("validation", { message: `part ${name} is not a JSON object` })
}

function fromParts(parts: readonly FormPart[], entry: SentMetadata | null): Upload {
  const metadata = entry ?? jsonPart(parts, "metadata")
  const upload: Upload = { metadata, modules: parts.filter(({ name }) => name !== "metadata").map(toModule) }
  checkMain(upload)
  return upload
}

/** A module's name is its filename; a `Blob` without one was named `blob` by its sender, and is then not found as what it should be. */
function toModule(part: FormPart): UploadedModule {
  const name = part.filename ?? part.name
  const type = part.type ?? "text/plain"
  if (!MODULE_TYPES.has(type))
    throw fail("validation", { message: `module ${name} has the unsupported Content-Type ${type}` })
  return { name, type, body: part.body }
}

function checkMain({ metadata, modules }: Upload): void {
  const { main_module, body_part } = metadata
  if (main_module !== undefined && body_part !== undefined)
    throw fail("validation", { message: "metadata must have main_module or body_part, not both" })
  const main = main_module ?? body_part
  if (main === undefined) {
    if (metadata.assets === undefined && metadata.keep_assets !== true)
      throw fail("validation", { message: "metadata must name a main_module or body_part" })
    return
  }
  if (typeof main !== "string") throw fail("validation", { message: "main_module must be a string" })
  if (modules.some(({ name }) => name === main)) return
  throw fail("validation", {
    message: main_module === undefined ? `could not read content for part ${main}` : `No such module: ${main}`,
  })
}

/**
 * Static assets on the wire, in both forms that wrangler knows: one raw file per request (what our session's token asks for), or base64 in multipart.
 * The upload is authenticated by the session's token, not by an API token.
 */
import { refuse } from "../../../kit/problem.ts"
import { find } from "../store/scripts.ts"
import { ASSET_LIMITS, type IncomingFile } from "../upload/asset-session.ts"
import { findNewest } from "../upload/newest-version.ts"
import type { Chunks } from "../upload/read-bytes.ts"
import { readForm } from "../upload/read-upload.ts"
import { sessionsOf, uploadingTeam } from "../upload/take-upload.ts"
import type { Answer } from "./envelope.ts"
import type { Call } from "./operation.ts"

/** Bytes of a session's manifest: 20 000 paths with hashes. */
const MANIFEST_BYTES = 8 * 1024 * 1024
/** Characters of base64 that are decoded at once; whole groups. */
const BASE64_CHARS = 256 * 1024

/** POST …/scripts/{script}/assets-upload-session */
export async function openSession({ request, param, actor, deps }: Call): Promise<Answer> {
  const script = param("script")
  const team = await uploadingTeam(script, actor, deps)
  if (!/^application\/json\b/i.test(request.headers.get("content-type") ?? "")) throw refuse("api.media-type")
  const text = await readText(request, MANIFEST_BYTES)
  const row = await find(deps.db, script)
  const newest = row === null ? null : await findNewest(row, deps)
  const earlier = newest?.manifest.assets?.files ?? []
  const { token, buckets } = await sessionsOf(deps).open({ script, team }, text, earlier)
  return { result: { jwt: token, buckets } }
}

type Incoming = Omit<Call, "actor">

/** POST /workers/assets/upload/{hash}: the file itself. */
export async function receiveFile({ request, param, deps }: Incoming): Promise<Answer> {
  const token = sessionToken(request)
  const contentType = request.headers.get("content-type") ?? ""
  await sessionsOf(deps).receive(token, [{ hash: param("hash"), contentType, content: request.body ?? noChunks() }])
  return taken(token)
}

/** POST /workers/assets/upload?base64=true: parts named by hash. */
export async function receiveForm({ request, url, deps }: Incoming): Promise<Answer> {
  const token = sessionToken(request)
  if (url.searchParams.get("base64") !== "true")
    throw refuse("upload.malformed", { detail: "Send the files in base64, with ?base64=true." })
  const form = await readForm(request, ASSET_LIMITS.formBytes, formTooLarge)
  await sessionsOf(deps).receive(token, Array.from(form, fileOf))
  return taken(token)
}

/** The session's token is the completion token as well: whether everything is there is checked when it is redeemed, once instead of after each file. */
function taken(token: string): Answer {
  return { status: 201, result: { jwt: token } }
}

function sessionToken(request: Request): string {
  const match = /^Bearer +(\S{1,2000})$/i.exec(request.headers.get("authorization") ?? "")
  if (match?.[1] === undefined) throw refuse("api.unauthenticated")
  return match[1]
}

function fileOf([hash, part]: [string, File | string]): IncomingFile {
  const content = typeof part === "string" ? new Blob([part]) : part
  return { hash, contentType: typeof part === "string" ? "" : part.type, content: fromBase64(content, hash) }
}

function formTooLarge() {
  return refuse("upload.too-large", {
    detail: `A form may have ${ASSET_LIMITS.formBytes / 1024 / 1024} MiB. Send a larger file raw, in a request of its own, as the session's token asks; a wrangler that does not is too old.`,
  })
}

/** The body, counted while it is read. Throws `upload.too-large`. */
async function readText(request: Request, limitBytes: number): Promise<string> {
  const decoder = new TextDecoder()
  let text = ""
  let sizeBytes = 0
  for await (const chunk of request.body ?? noChunks()) {
    sizeBytes += chunk.byteLength
    if (sizeBytes > limitBytes)
      throw refuse("upload.too-large", { detail: `At most ${limitBytes / 1024 / 1024} MiB are taken.` })
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

async function* noChunks(): Chunks {}

/** Piece by piece: a file stands in memory twice as it is, in base64 and decoded. Throws `upload.malformed`. */
async function* fromBase64(content: Blob, hash: string): Chunks {
  let rest = ""
  for (let at = 0; at < content.size; at += BASE64_CHARS) {
    const piece = await content.slice(at, at + BASE64_CHARS).text()
    const text = rest + piece.replaceAll(/\s/g, "")
    const whole = text.length - (text.length % 4)
    rest = text.slice(whole)
    yield decode(text.slice(0, whole), hash)
  }
  yield decode(rest, hash)
}

function decode(text: string, hash: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
  } catch {
    throw refuse("upload.malformed", { errors: [{ pointer: `/${hash.slice(0, 32)}`, detail: "is not base64" }] })
  }
}

/**
 * Static assets on the wire, in both forms that wrangler knows: one raw file per request (what our session's token asks for), or base64 in multipart.
 * The upload is authenticated by the session's token, not by an API token.
 */
import { refuse } from "../../../kit/problem.ts"
import { find } from "../store/scripts.ts"
import { ASSET_LIMITS } from "../upload/asset-session.ts"
import { readForm } from "../upload/read-upload.ts"
import { sessionsOf, uploadingTeam } from "../upload/take-upload.ts"
import type { Answer } from "./envelope.ts"
import type { Call } from "./operation.ts"
import { findNewest } from "./scripts.ts"

/** Bytes of a session's manifest: 20 000 paths with hashes. */
const MANIFEST_BYTES = 8 * 1024 * 1024

/** POST …/scripts/{script}/assets-upload-session */
export async function openSession({ request, param, actor, deps }: Call): Promise<Answer> {
  const script = param("script")
  const team = await uploadingTeam(script, actor, deps)
  if (!/^application\/json\b/i.test(request.headers.get("content-type") ?? "")) throw refuse("api.media-type")
  const text = new TextDecoder().decode(await readBytes(request, MANIFEST_BYTES))
  const row = await find(deps.db, script)
  const newest = row === null ? null : await findNewest(row, { deps })
  const earlier = newest?.manifest.assets?.files ?? []
  const { token, buckets } = await sessionsOf(deps).open({ script, team }, text, earlier)
  return { result: { jwt: token, buckets } }
}

type Incoming = Omit<Call, "actor">

/** POST /workers/assets/upload/{hash}: the file itself. */
export async function receiveFile({ request, param, deps }: Incoming): Promise<Answer> {
  const token = sessionToken(request)
  const bytes = await readBytes(request, ASSET_LIMITS.fileBytes)
  const contentType = request.headers.get("content-type") ?? ""
  await sessionsOf(deps).receive(token, { hash: param("hash"), contentType, bytes })
  return taken(token)
}

/** POST /workers/assets/upload?base64=true: parts named by hash. */
export async function receiveForm({ request, url, deps }: Incoming): Promise<Answer> {
  const token = sessionToken(request)
  if (url.searchParams.get("base64") !== "true")
    throw refuse("upload.malformed", { detail: "Send the files in base64, with ?base64=true." })
  for (const [hash, part] of await readForm(request)) {
    const text = typeof part === "string" ? part : await part.text()
    const contentType = typeof part === "string" ? "" : part.type
    await sessionsOf(deps).receive(token, { hash, contentType, bytes: fromBase64(text, hash) })
  }
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

/** The body, counted while it is read. Throws `upload.too-large`. */
async function readBytes(request: Request, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = () => refuse("upload.too-large", { detail: `At most ${limit / 1024 / 1024} MiB are taken.` })
  if (Number(request.headers.get("content-length") ?? 0) > limit) throw tooLarge()
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of request.body ?? []) {
    sizeBytes += chunk.byteLength
    if (sizeBytes > limit) throw tooLarge()
    chunks.push(chunk)
  }
  const bytes = new Uint8Array(sizeBytes)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.byteLength
  }
  return bytes
}

function fromBase64(text: string, hash: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
  } catch {
    throw refuse("upload.malformed", { errors: [{ pointer: `/${hash.slice(0, 32)}`, detail: "is not base64" }] })
  }
}

/**
 * Static assets: a session says which files are missing, uploads bring them, and the token of a complete session goes into the upload
 * of the script. Tokens are JWTs for one hour; the session's manifest stays here.
 * @see https://developers.cloudflare.com/workers/static-assets/direct-upload/
 */
import { jwtVerify, SignJWT } from "jose"
import { type Call, jsonBody, type Operation } from "../call.ts"
import type { Dependencies } from "../dependencies.ts"
import { fail, ok } from "../envelope.ts"
import { type AssetManifest, readManifest } from "../read-stored-script.ts"
import { type AssetSession, findSession, missingAssets, saveAsset, saveSession } from "../store/assets.ts"
import type { NamespaceRow } from "../store/namespaces.ts"
import type { ScriptDocument } from "../store/scripts.ts"
import { parseMultipart } from "../upload/parse-multipart.ts"
import type { SentMetadata } from "../upload/read-upload.ts"
import { requireNamespace } from "./namespaces.ts"

const TOKEN_LIFE_S = 3600
const MAX_FILES = 100_000
const MAX_FILE_BYTES = 25 * 1024 * 1024
/** Files per request that we ask for; production's portion is not documented. */
const BUCKET_FILES = 50
const BUCKET_BYTES = 40 * 1024 * 1024

/** Creates a session. Without missing files the token is already the completion token. */
export const openSession: Operation = async (call, deps) => {
  const namespace = requireNamespace(call, deps)
  const manifest = checkManifest((await jsonBody(call)).manifest)
  const nowMs = deps.clock.now()
  const session: AssetSession = {
    id: deps.ids.uuid(),
    namespaceId: namespace.id,
    script: call.param("script"),
    manifest: await deps.blobs.put(new TextEncoder().encode(JSON.stringify(manifest))),
    expiresAtMs: nowMs + TOKEN_LIFE_S * 1000,
  }
  saveSession(deps.sql, session, nowMs)
  const missing = missingAssets(
    deps.sql,
    namespace.id,
    Object.values(manifest).map(({ hash }) => hash),
  )
  return ok({ jwt: await tokenOf(session, missing.length === 0, deps), buckets: bucketsOf(missing, manifest) })
}

/** `POST /workers/assets/upload?base64=true`: files as parts named by their hash. */
export const uploadMany: Operation = async (call, deps) => {
  const session = await sessionOf(call, deps)
  if (call.query.get("base64") !== "true") throw fail("validation", { message: "base64=true is required" })
  const body = new Uint8Array(await call.request.arrayBuffer())
  const parts = parseMultipart(body, call.request.headers.get("content-type") ?? "")
  const files = parts.map((part) => ({ hash: part.name, type: part.type, bytes: fromBase64(part.body) }))
  return await receive(files, session, deps)
}

/** `POST /workers/assets/upload/{hash}`: one file, raw. */
export const uploadOne: Operation = async (call, deps) => {
  const session = await sessionOf(call, deps)
  const bytes = new Uint8Array(await call.request.arrayBuffer())
  return await receive(
    [{ hash: call.param("hash"), type: call.request.headers.get("content-type"), bytes }],
    session,
    deps,
  )
}

/** Assets of a script after an upload: those of its token, those it had (`keep_assets`), or none. @throws ApiFailure validation */
export async function resolveAssets(
  metadata: SentMetadata,
  target: { readonly namespace: NamespaceRow; readonly script: string; readonly before: ScriptDocument | null },
  deps: Dependencies,
): Promise<ScriptDocument["assets"]> {
  const sent = (metadata.assets ?? {}) as { jwt?: unknown; config?: Record<string, unknown> }
  const earlier = metadata.keep_assets === true ? (target.before?.assets ?? null) : null
  if (typeof sent.jwt !== "string") return earlier && { ...earlier, config: sent.config ?? earlier.config }
  const claims = await claimsOf(sent.jwt, deps).catch(() => null)
  const session = claims?.complete === true ? findSession(deps.sql, claims.session, deps.clock.now()) : null
  if (session === null || session.namespaceId !== target.namespace.id || session.script !== target.script)
    throw fail("validation", { message: "the assets completion token is not valid for this script" })
  return { manifest: session.manifest, config: sent.config ?? {} }
}

async function receive(
  files: readonly { hash: string; type: string | null; bytes: Uint8Array }[],
  session: AssetSession,
  deps: Dependencies,
): Promise<Response> {
  const manifest = await readManifest(session.manifest, deps)
  const sizes = new Map(Object.values(manifest).map(({ hash, size }) => [hash, size]))
  for (const { hash, bytes } of files) {
    if (!sizes.has(hash)) throw fail("validation", { message: `${hash} is not in the manifest` })
    if (bytes.byteLength !== sizes.get(hash))
      throw fail("validation", { message: `${hash} does not have the size that the manifest says` })
  }
  for (const { hash, type, bytes } of files) {
    await deps.blobs.putAsset(session.namespaceId, hash, bytes)
    // The browser-facing type; `application/null` is how clients say that there shall be none.
    saveAsset(deps.sql, session.namespaceId, hash, type === null || type === "application/null" ? null : type)
  }
  const complete = missingAssets(deps.sql, session.namespaceId, [...sizes.keys()]).length === 0
  return complete ? ok({ jwt: await tokenOf(session, true, deps) }, undefined, 201) : ok({}, undefined, 202)
}

async function sessionOf(call: Call, deps: Dependencies): Promise<AssetSession> {
  const token = call.request.headers.get("authorization")?.replace(/^Bearer /, "") ?? ""
  const claims = await claimsOf(token, deps).catch(() => null)
  const session = claims === null ? null : findSession(deps.sql, claims.session, deps.clock.now())
  if (session === null) throw fail("uploadToken")
  return session
}

async function tokenOf(session: AssetSession, complete: boolean, deps: Dependencies): Promise<string> {
  const claims = {
    session: session.id,
    complete,
    ...(deps.singleAssetUploads ? { wrangler_single_asset_uploads: true, edge_kv_upload_concurrency: 4 } : {}),
  }
  return await new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setIssuedAt(Math.floor(deps.clock.now() / 1000))
    .setExpirationTime(Math.floor(session.expiresAtMs / 1000))
    .sign(deps.uploadKey)
}

async function claimsOf(token: string, deps: Dependencies): Promise<{ session: string; complete: boolean }> {
  const options = { algorithms: ["HS256"], currentDate: new Date(deps.clock.now()) }
  const { payload } = await jwtVerify(token, deps.uploadKey, options)
  return { session: String(payload.session), complete: payload.complete === true }
}

/** @throws ApiFailure validation */
function checkManifest(input: unknown): AssetManifest {
  if (input === null || typeof input !== "object") throw fail("validation", { message: "manifest must be an object" })
  const entries = Object.entries(input as Record<string, { hash?: unknown; size?: unknown } | null>)
  if (entries.length > MAX_FILES)
    throw fail("validation", { message: `a manifest may have at most ${MAX_FILES} files` })
  const manifest: Record<string, { hash: string; size: number }> = {}
  for (const [path, entry] of entries) {
    const { hash, size } = entry ?? {}
    if (!path.startsWith("/")) throw fail("validation", { message: `${path} does not begin with a slash` })
    if (typeof hash !== "string" || !/^[0-9a-f]{32}$/.test(hash))
      throw fail("validation", { message: `${path} must have a hash of 32 hex digits` })
    if (typeof size !== "number" || !Number.isInteger(size) || size < 0 || size > MAX_FILE_BYTES)
      throw fail("validation", { message: `${path} must have a size of at most ${MAX_FILE_BYTES} bytes` })
    manifest[path] = { hash, size }
  }
  return manifest
}

function bucketsOf(missing: readonly string[], manifest: AssetManifest): string[][] {
  const sizes = new Map(Object.values(manifest).map(({ hash, size }) => [hash, size]))
  const buckets: string[][] = []
  let bytes = 0
  for (const hash of missing) {
    const last = buckets.at(-1)
    bytes += sizes.get(hash) ?? 0
    if (last !== undefined && last.length < BUCKET_FILES && bytes <= BUCKET_BYTES) last.push(hash)
    else {
      buckets.push([hash])
      bytes = sizes.get(hash) ?? 0
    }
  }
  return buckets
}

function fromBase64(body: Uint8Array): Uint8Array {
  try {
    const binary = atob(new TextDecoder().decode(body))
    return Uint8Array.from(binary, (char) => char.charCodeAt(0))
  } catch {
    throw fail("validation", { message: "a file is not base64" })
  }
}

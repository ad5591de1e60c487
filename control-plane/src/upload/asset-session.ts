/**
 * Static assets on their way in: a session lists a script's files, the client sends those we lack, and the upload of the version redeems the session.
 * The session's token looks like a JWT because wrangler decodes its payload; it is an unguessable capability, of which R2 holds only the hash.
 * Kept under `uploads/{id}/` until a lifecycle rule of the bucket removes them after a day.
 */
import { base64url } from "jose"
import { z } from "zod"
import type { ManifestAsset } from "../../../contracts/manifest.ts"
import { toFaults } from "../../../contracts/to-faults.ts"
import { refuse } from "../../../kit/problem.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import type { ArtifactStore } from "./artifact-store.ts"
import { type Chunks, readBytes } from "./read-bytes.ts"
import { parseStrictJson } from "./strict-json.ts"

/** Half of an isolate's 128 MB is for the files on their way in: two of the largest sent raw, or three requests with a bucket each. */
export const ASSET_LIMITS = {
  files: 20_000,
  /** Of a file sent raw, in a request of its own, as the session's token asks. */
  fileBytes: 25 * 1024 * 1024,
  /** Files of one multipart request, which clients send that do not know the token's switches. */
  bucketBytes: 5 * 1024 * 1024,
  /** Of the body of such a request, in base64: a bucket, or one file of a little under 6 MiB. */
  formBytes: 8 * 1024 * 1024,
  lifetimeS: 3600,
} as const
/** Files that wrangler may have on the way at once, each held in memory while it is hashed: fewer when three of a session's largest would be too much. */
const UPLOAD_CONCURRENCY = { most: 3, ofLarge: 2 } as const
const LIVE_BYTES = UPLOAD_CONCURRENCY.ofLarge * ASSET_LIMITS.fileBytes
/** Sent as Content-Type for a file that is served without one. */
const NO_CONTENT_TYPE = "application/null"

const hash = z.string().regex(/^[0-9a-f]{32}$/, "must be 32 hex digits")
const sessionBody = z.strictObject({
  manifest: z
    .record(
      z
        .string()
        .max(1024)
        .regex(/^\/[^\0\\]*$/, "must begin with /"),
      z.strictObject({
        hash,
        size: z
          .int()
          .min(0)
          .max(ASSET_LIMITS.fileBytes, `is larger than ${ASSET_LIMITS.fileBytes / 1024 / 1024} MiB`),
      }),
    )
    .refine((files) => Object.keys(files).length <= ASSET_LIMITS.files, `at most ${ASSET_LIMITS.files} files`),
})

/** A file whose bytes are in the store. */
interface StoredFile {
  readonly sha256: string
  readonly contentType: string | null
}

/** What R2 holds of a session. */
interface Session {
  readonly script: string
  readonly team: string
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
  readonly files: Readonly<Record<string, { readonly hash: string; readonly size: number }>>
  /** By hash: what the script's newest version had already. */
  readonly known: Readonly<Record<string, StoredFile>>
}

export interface SessionOpened {
  readonly token: string
  /** Hashes to send, grouped into requests of bounded size. */
  readonly buckets: readonly (readonly string[])[]
}

/** A file on its way in. */
export interface IncomingFile {
  readonly hash: string
  readonly contentType: string
  readonly content: Chunks
}

export interface AssetSessions {
  /** `text` is the request's body; `earlier` are files of the script's newest version. Throws `upload.malformed`, `upload.too-large`. */
  open(owner: { script: string; team: string }, text: string, earlier: readonly ManifestAsset[]): Promise<SessionOpened>
  /** Takes files in, one after the other. Throws `api.unauthenticated` for a token that is none, `upload.malformed` for a file that was not announced, `upload.too-large`. */
  receive(token: string, files: Iterable<IncomingFile>): Promise<void>
  /** All files, sorted by path. Throws `upload.malformed` for a session of another script, an expired one, or one with files missing. */
  redeem(owner: { script: string; team: string }, token: string): Promise<readonly ManifestAsset[]>
}

export interface AssetSessionDependencies {
  readonly bucket: R2Bucket
  readonly artifacts: ArtifactStore
  readonly clock: { now(): number }
}

export function assetSessions(deps: AssetSessionDependencies): AssetSessions {
  const { bucket } = deps

  async function find(token: string): Promise<{ id: string; session: Session } | null> {
    const secret = token.split(".")[2]
    if (secret === undefined || !/^[A-Za-z0-9_-]{43}$/.test(secret)) return null
    const id = await sha256Hex(secret)
    const found = await bucket.get(`uploads/${id}/session.json`)
    const session = await found?.json<Session>()
    return session !== undefined && session.expiresAt > deps.clock.now() ? { id, session } : null
  }

  return {
    async open(owner, text, earlier) {
      const files = readFiles(text)
      const known: Record<string, StoredFile> = {}
      for (const each of earlier) known[each.hash] = { sha256: each.sha256, contentType: each.contentType }
      const expiresAt = deps.clock.now() + ASSET_LIMITS.lifetimeS * 1000
      const secret = base64url.encode(crypto.getRandomValues(new Uint8Array(32)))
      const session: Session = { ...owner, expiresAt, files, known }
      await bucket.put(`uploads/${await sha256Hex(secret)}/session.json`, JSON.stringify(session))
      return { token: tokenOf(secret, session), buckets: bucketsOf(session) }
    },

    async receive(token, files) {
      const found = await find(token)
      if (found === null) throw refuse("api.unauthenticated", { detail: "The upload session is unknown or expired." })
      const sizes = new Map(Object.values(found.session.files).map(({ hash, size }) => [hash, size]))
      for (const { hash, contentType, content } of files) {
        const size = sizes.get(hash)
        if (size === undefined) throw refuseFile(hash, "was not announced")
        const { bytes, sizeBytes } = await readBytes(content, size, ASSET_LIMITS.fileBytes, fileTooLarge)
        if (sizeBytes !== size) throw refuseFile(hash, `has ${sizeBytes} bytes instead of ${size}`)
        const sha256 = await sha256Hex(bytes)
        await deps.artifacts.putBlob({ sha256, bytes })
        const type = contentType === "" || contentType === NO_CONTENT_TYPE ? "" : contentType.slice(0, 200)
        await bucket.put(`uploads/${found.id}/${hash}`, "", { customMetadata: { sha256, type } })
      }
    },

    async redeem(owner, token) {
      const found = await find(token)
      const { script, team } = found?.session ?? {}
      // A session of someone else is answered like none at all.
      if (found === null || script !== owner.script || team !== owner.team)
        throw refuse("upload.malformed", {
          errors: [
            {
              pointer: "/assets/jwt",
              detail: "is no asset session of this script, or has expired; deploy again",
            },
          ],
        })
      const received = await receivedFiles(bucket, found.id)
      const assets: ManifestAsset[] = []
      for (const [path, { hash, size }] of Object.entries(found.session.files)) {
        const stored = received.get(hash) ?? found.session.known[hash]
        if (stored === undefined)
          throw refuse("upload.malformed", {
            errors: [{ pointer: "/assets/jwt", detail: `the file ${path} was announced but not sent` }],
          })
        assets.push({ path, hash, sizeBytes: size, ...stored })
      }
      return assets.sort((a, b) => (a.path < b.path ? -1 : 1))
    },
  }
}

function refuseFile(hash: string, detail: string) {
  const pointer = `/${/^[0-9a-f]{32}$/.test(hash) ? hash : "hash"}`
  return refuse("upload.malformed", { errors: [{ pointer, detail }] })
}

function fileTooLarge() {
  return refuse("upload.too-large", { detail: `At most ${ASSET_LIMITS.fileBytes / 1024 / 1024} MiB are taken.` })
}

function readFiles(text: string): Session["files"] {
  const parsed = sessionBody.safeParse(parseStrictJson(text, "The asset manifest"))
  if (parsed.success) return parsed.data.manifest
  const tooLarge = parsed.error.issues.some((issue) => issue.code === "too_big")
  throw refuse(tooLarge ? "upload.too-large" : "upload.malformed", {
    errors: toFaults(parsed.error),
  })
}

async function receivedFiles(bucket: R2Bucket, id: string): Promise<Map<string, StoredFile>> {
  const files = new Map<string, StoredFile>()
  const prefix = `uploads/${id}/`
  let cursor: string | undefined
  do {
    const page = await bucket.list({
      prefix,
      include: ["customMetadata"],
      ...(cursor === undefined ? {} : { cursor }),
    })
    for (const { key, customMetadata } of page.objects) {
      if (customMetadata?.sha256 === undefined) continue
      const { sha256, type } = customMetadata
      files.set(key.slice(prefix.length), { sha256, contentType: type || null })
    }
    cursor = page.truncated ? page.cursor : undefined
  } while (cursor !== undefined)
  return files
}

function bucketsOf({ files, known }: Session): string[][] {
  const missing = new Map(
    Object.values(files)
      .filter(({ hash }) => !Object.hasOwn(known, hash))
      .map(({ hash, size }) => [hash, size]),
  )
  const buckets: string[][] = []
  let room = 0
  for (const [hash, size] of missing) {
    const last = buckets.at(-1)
    if (last !== undefined && size <= room && last.length < 500) last.push(hash)
    else {
      buckets.push([hash])
      room = ASSET_LIMITS.bucketBytes
    }
    room -= size
  }
  return buckets
}

/** `exp` and the two switches are what wrangler reads: one request per file, raw instead of base64, and how many at once. */
function tokenOf(secret: string, { expiresAt, files }: Session): string {
  const largest = Object.values(files).reduce((most, { size }) => Math.max(most, size), 0)
  const { most, ofLarge } = UPLOAD_CONCURRENCY
  const claims = {
    exp: Math.floor(expiresAt / 1000),
    wrangler_single_asset_uploads: true,
    edge_kv_upload_concurrency: most * largest <= LIVE_BYTES ? most : ofLarge,
  }
  const text = (value: unknown) => base64url.encode(new TextEncoder().encode(JSON.stringify(value)))
  return `${text({ typ: "JWT", alg: "opaque" })}.${text(claims)}.${secret}`
}

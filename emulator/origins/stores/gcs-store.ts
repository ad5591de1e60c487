/**
 * Google Cloud Storage, as much of its XML API as an upload needs: there is no server of it that checks signatures and could be installed, so this one
 * is ours. The signed URLs come from Google's own library with a key made at the start, and are checked by gcs-signature.ts. A body goes to a
 * temporary file, and the object is there only when length and digests were right.
 */
import { createHash, generateKeyPairSync, sign } from "node:crypto"
import { createWriteStream } from "node:fs"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http"
import { tmpdir } from "node:os"
import path from "node:path"
import { pipeline } from "node:stream/promises"
import { Storage } from "@google-cloud/storage"
import { listen } from "../../listen.ts"
import { faultOfGcsSignature } from "./gcs-signature.ts"
import type { ObjectStore, StoreOptions } from "./object-store.ts"

const BUCKET = "uploads"
const ACCOUNT = "uploads@sallyport.example"

/** Starts the server on a free port of 127.0.0.1. */
export async function startGcsStore({ port = 0, now = Date.now }: StoreOptions = {}): Promise<ObjectStore> {
  const folder = await mkdtemp(path.join(tmpdir(), "sallyport-gcs-"))
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
  const objects = new Map<string, string>()
  const uploads = new Set<ServerResponse>()
  let count = 0

  const server = createServer(async (request, response) => {
    const fault = faultOfGcsSignature(
      { method: request.method ?? "", target: request.url ?? "", headers: joined(request.headers) },
      { publicKeyOf: (email) => (email === ACCOUNT ? publicKey : null), now: now() },
    )
    if (fault !== null) return refuse(request, response, fault.status, fault.code)
    const key = keyOf(request.url ?? "")
    if (request.method !== "PUT" || key === null) return refuse(request, response, 405, "MethodNotAllowed")
    uploads.add(response)
    response.once("close", () => uploads.delete(response))
    const generation = ++count
    const file = path.join(folder, String(generation))
    const outcome = await take(request, file)
    if (outcome.ok) {
      objects.set(key, file)
      response
        .writeHead(200, { etag: `"${outcome.md5}"`, "content-length": "0", "x-goog-generation": generation })
        .end()
    } else {
      await rm(file, { force: true })
      refuse(request, response, outcome.status, outcome.code)
    }
  })
  const { url: origin, stop } = await listen(server, port)
  const storage = new Storage({ apiEndpoint: origin, projectId: "sallyport" })
  // Google's library would look for an account on this machine, then on the network; what it is to sign with is here.
  Object.assign(storage.authClient, {
    getCredentials: async () => ({ client_email: ACCOUNT }),
    sign: async (text: string) => sign("RSA-SHA256", Buffer.from(text), privateKey).toString("base64"),
  })

  const close = async () => {
    await stop()
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
  return {
    kind: "gcs",
    origin,
    presignPut: async (key, { contentLength, contentType, sha256, md5, expiresS }) => {
      const headers = {
        "content-length": String(contentLength),
        "content-type": contentType,
        "x-goog-content-length-range": `${contentLength},${contentLength}`,
        ...(sha256 === null ? {} : { "x-goog-content-sha256": sha256 }),
        ...(md5 === null ? {} : { "x-goog-hash": `md5=${Buffer.from(md5, "hex").toString("base64")}` }),
      }
      const [url] = await storage
        .bucket(BUCKET)
        .file(key)
        .getSignedUrl({
          version: "v4",
          action: "write",
          expires: Date.now() + expiresS * 1000,
          extensionHeaders: headers,
        })
      return { url, method: "PUT", headers }
    },
    read: async (key) => {
      const file = objects.get(key)
      return file === undefined ? null : new Uint8Array(await readFile(file))
    },
    keys: async () => [...objects.keys()].sort(),
    openUploads: () => uploads.size,
    close,
    [Symbol.asyncDispose]: close,
  }
}

type Outcome =
  | { readonly ok: true /** Hex. */; readonly md5: string }
  | { readonly ok: false; readonly status: number; readonly code: string }

/** Streams the body into the file; what it holds counts only when this says ok. */
async function take(request: IncomingMessage, file: string): Promise<Outcome> {
  const wanted = wantedOf(request.headers)
  if (wanted === null) return { ok: false, status: 400, code: "InvalidDigest" }
  const [sha256, md5] = [createHash("sha256"), createHash("md5")]
  let sizeBytes = 0
  const disk = createWriteStream(file)
  const counted = async function* (body: AsyncIterable<Buffer>) {
    for await (const chunk of body) {
      sizeBytes += chunk.length
      sha256.update(chunk)
      md5.update(chunk)
      yield chunk
    }
  }
  try {
    await pipeline(request, counted, disk)
  } catch {
    return { ok: false, status: 400, code: "IncompleteBody" }
  }
  const md5Hex = md5.digest("hex")
  if (sizeBytes < wanted.minBytes) return { ok: false, status: 400, code: "EntityTooSmall" }
  if (sizeBytes > wanted.maxBytes) return { ok: false, status: 400, code: "EntityTooLarge" }
  if (wanted.sha256 !== undefined && wanted.sha256 !== sha256.digest("hex"))
    return { ok: false, status: 400, code: "ContentSHA256Mismatch" }
  if (wanted.md5.some((digest) => digest !== md5Hex)) return { ok: false, status: 400, code: "BadDigest" }
  return { ok: true, md5: md5Hex }
}

interface Wanted {
  readonly minBytes: number
  readonly maxBytes: number
  /** Hex. */
  readonly sha256: string | undefined
  /** Hex. */
  readonly md5: readonly string[]
}

/** What the headers say of the body; null when one is malformed, or names a digest that is not computed here. */
function wantedOf(headers: IncomingHttpHeaders): Wanted | null {
  const range = headers["x-goog-content-length-range"] ?? `0,${Number.MAX_SAFE_INTEGER}`
  const [, minBytes, maxBytes] = /^([0-9]+),([0-9]+)$/.exec(String(range)) ?? []
  const sha256 = headers["x-goog-content-sha256"]?.toString()
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256)) return null
  const hashes = headers["x-goog-hash"]?.toString().split(/\s*,\s*/) ?? []
  if (hashes.some((hash) => !hash.startsWith("md5="))) return null
  const md5 = hashes.map((hash) => hash.slice("md5=".length))
  if (headers["content-md5"] !== undefined) md5.push(String(headers["content-md5"]))
  if (md5.some((digest) => !/^[A-Za-z0-9+/]{22}==$/.test(digest))) return null
  if (minBytes === undefined || maxBytes === undefined) return null
  return {
    minBytes: Number(minBytes),
    maxBytes: Number(maxBytes),
    sha256,
    md5: md5.map((digest) => Buffer.from(digest, "base64").toString("hex")),
  }
}

/** The object that a path names; null for another bucket's or none. Its encoding is known to be right: the signature was. */
function keyOf(target: string): string | null {
  const [, bucket, ...key] = (target.split("?")[0] ?? "").split("/").map(decodeURIComponent)
  return bucket === BUCKET && key.join("/") !== "" ? key.join("/") : null
}

/** Node has joined what came more than once, but for cookies. */
function joined(headers: IncomingHttpHeaders): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value?.toString()]))
}

/** What is left of the body is read away, so that the client sees the answer. */
function refuse(request: IncomingMessage, response: ServerResponse, status: number, code: string): void {
  request.resume()
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code></Error>`
  response.writeHead(status, { "content-type": "application/xml" }).end(body)
}

/**
 * One body on its way to one store: exactly as long as announced, and checked while it flows. The last piece is held back until the digest of the whole
 * is right, so that of wrong content the store never holds a whole object. Used by the files Worker; knows nothing of companies or of its file upload service.
 */
import { Refusal, refuse } from "./problem.ts"

/** Large enough that JavaScript runs seldom, small enough that a hundred uploads fit in an isolate's 128 MB. */
const CHUNK_BYTES = 256 * 1024

export interface StoreTarget {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Bytes, at least 1. */
  readonly contentLength: number
  /** Lower-case hex, or null when none was announced. */
  readonly sha256: string | null
  readonly md5: string | null
}

export interface StreamLimits {
  /** Milliseconds from the last byte to the store's answer. */
  readonly storeTimeoutMs: number
  /** Milliseconds for everything. */
  readonly uploadTimeoutMs: number
}

/**
 * The store's ETag, as it gave it. Refuses `upload.digest-mismatch`, `upload.interrupted`, `upload.too-slow`, `upload.store-refused`, `upload.store-failed`,
 * `upload.store-timeout`; then the store's connection is closed and the rest of the body is not read. The target's URL stands in no refusal.
 */
export async function streamToStore(
  body: ReadableStream,
  target: StoreTarget,
  limits: StreamLimits,
  client: AbortSignal,
): Promise<string> {
  const stop = new AbortController()
  const interrupt = () => stop.abort(refuse("upload.interrupted"))
  const stopped = new Promise<never>((_, reject) => {
    stop.signal.addEventListener("abort", () => reject(stop.signal.reason))
  })
  stopped.catch(() => undefined)
  if (client.aborted) interrupt()
  client.addEventListener("abort", interrupt)
  let timer = setTimeout(() => stop.abort(refuse("upload.too-slow")), limits.uploadTimeoutMs)

  const pipe = new FixedLengthStream(target.contentLength)
  const { url, headers } = target
  const answer = fetch(url, { method: "PUT", headers, body: pipe.readable, redirect: "manual", signal: stop.signal })
  const hasDigest = target.sha256 !== null || target.md5 !== null
  const sending = hasDigest
    ? sendChecked(body, pipe.writable, target, stop.signal)
    : body.pipeTo(pipe.writable, { signal: stop.signal })
  const sent = sending.catch((thrown) => {
    // Anything but a refusal of ours is the store's end of the pipe that closed: its answer says more.
    if (thrown instanceof Refusal) throw thrown
  })
  const answered = sent.then(() => {
    clearTimeout(timer)
    timer = setTimeout(() => stop.abort(refuse("upload.store-timeout")), limits.storeTimeoutMs)
    return answer
  })
  try {
    const response = await Promise.race([answer, answered, stopped])
    const etag = etagOf(response)
    await Promise.race([sending, stopped])
    return etag
  } catch (thrown) {
    const refusal = stop.signal.aborted ? stop.signal.reason : thrown
    throw refusal instanceof Refusal ? refusal : refuse("upload.store-failed")
  } finally {
    clearTimeout(timer)
    client.removeEventListener("abort", interrupt)
    stop.abort(refuse("upload.store-failed"))
    for (const each of [answer, answered, sending]) each.catch(() => undefined)
  }
}

function etagOf(response: Response): string {
  const etag = response.headers.get("etag")
  response.body?.cancel().catch(() => undefined)
  if (response.ok && etag !== null) return etag
  const isStoresFault = response.ok || response.status >= 500
  throw refuse(isStoresFault ? "upload.store-failed" : "upload.store-refused", { log: { status: response.status } })
}

/** Rejects with a refusal when the body is at fault, with anything else when the store took no more. */
async function sendChecked(body: ReadableStream, sink: WritableStream, target: StoreTarget, signal: AbortSignal) {
  const reader = body.getReader({ mode: "byob" })
  const writer = sink.getWriter()
  const sha256 = digester("SHA-256", target.sha256)
  const md5 = digester("MD5", target.md5)
  const end = (reason: unknown) => {
    reader.cancel(reason).catch(() => undefined)
    writer.abort(reason).catch(() => undefined)
  }
  signal.addEventListener("abort", () => end(signal.reason))
  try {
    let buffer = new ArrayBuffer(CHUNK_BYTES)
    for (let left = target.contentLength; left > 0; ) {
      const chunk = await read(reader, buffer, Math.min(left, CHUNK_BYTES))
      left -= chunk.byteLength
      if (left < 0) throw refuse("upload.length-mismatch")
      await Promise.all([sha256?.write(chunk), md5?.write(chunk)])
      if (left === 0 && !((await sha256?.isRight()) ?? true)) throw refuse("upload.digest-mismatch")
      if (left === 0 && !((await md5?.isRight()) ?? true)) throw refuse("upload.digest-mismatch")
      await writer.write(chunk)
      buffer = chunk.buffer as ArrayBuffer
    }
    await writer.close()
  } catch (thrown) {
    end(thrown)
    throw thrown
  }
}

/** At least `atLeast` bytes; `buffer` is used up. */
async function read(reader: ReadableStreamBYOBReader, buffer: ArrayBuffer, atLeast: number): Promise<Uint8Array> {
  const piece = await reader.readAtLeast(atLeast, new Uint8Array(buffer)).catch(() => null)
  if (piece?.value === undefined || piece.value.byteLength < atLeast) throw refuse("upload.interrupted")
  return piece.value
}

function digester(algorithm: "SHA-256" | "MD5", expected: string | null) {
  if (expected === null) return null
  const stream = new crypto.DigestStream(algorithm)
  const writer = stream.getWriter()
  return {
    write: (chunk: Uint8Array) => writer.write(chunk),
    async isRight(): Promise<boolean> {
      await writer.close()
      const digest = new Uint8Array(await stream.digest)
      return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("") === expected
    },
  }
}

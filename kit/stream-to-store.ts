/**
 * One body on its way to one store: exactly as long as announced, and checked while it flows. The last piece is held back until the digest of the whole
 * is right, so that of wrong content the store never holds a whole object. Used by the files Worker; knows nothing of companies or of its file upload service.
 */
import { Refusal, refuse } from "./problem.ts"

/** Large enough that JavaScript runs seldom, small enough that a hundred uploads fit in an isolate's 128 MB. */
const CHUNK_BYTES = 256 * 1024
/** Milliseconds in which a broken connection to a store is known to be broken both ways. */
const GRACE_MS = 50

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
  /** Milliseconds from the last byte to the store's answer, within the time for everything. */
  readonly storeTimeoutMs: number
  /** Milliseconds for everything. */
  readonly uploadTimeoutMs: number
}

/**
 * The store's ETag, as it gave it. Refuses `upload.length-mismatch`, `upload.digest-mismatch`, `upload.interrupted`, `upload.too-slow`, `upload.store-refused`, `upload.store-failed`,
 * `upload.store-timeout`; then the store's connection is closed and the rest of the body is not read. The target's URL stands in no refusal.
 */
export async function streamToStore(
  body: ReadableStream,
  target: StoreTarget,
  limits: StreamLimits,
  client: AbortSignal,
): Promise<string> {
  if (client.aborted) throw refuse("upload.interrupted")
  const stop = new AbortController()
  const interrupt = () => stop.abort(refuse("upload.interrupted"))
  const stopped = new Promise<never>((_, reject) => {
    stop.signal.addEventListener("abort", () => reject(stop.signal.reason))
  })
  stopped.catch(() => undefined)
  client.addEventListener("abort", interrupt)
  const endsAtMs = Date.now() + limits.uploadTimeoutMs
  let timer = setTimeout(() => stop.abort(refuse("upload.too-slow")), limits.uploadTimeoutMs)

  const pipe = new FixedLengthStream(target.contentLength)
  const { url, headers } = target
  const answer = fetch(url, { method: "PUT", headers, body: pipe.readable, redirect: "manual", signal: stop.signal })
  const hasDigest = target.sha256 !== null || target.md5 !== null
  const sending = hasDigest
    ? sendChecked(body, pipe.writable, target, stop.signal)
    : sendUnchecked(body, pipe.writable, stop.signal, answer)
  const sent = sending.catch((thrown) => {
    // Anything but a refusal of ours is the store's end of the pipe that closed: its answer says more.
    if (thrown instanceof Refusal) throw thrown
  })
  const answered = sent.then(() => {
    clearTimeout(timer)
    // A store that refused before it took everything has been heard already.
    if (stop.signal.aborted) return answer
    const leftMs = Math.min(limits.storeTimeoutMs, endsAtMs - Date.now())
    timer = setTimeout(() => stop.abort(refuse("upload.store-timeout")), leftMs)
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

/** Rejects with a refusal when the body is at fault, with anything else when the store took no more. The runtime carries the bytes by itself. */
async function sendUnchecked(
  body: ReadableStream,
  sink: WritableStream,
  signal: AbortSignal,
  answer: Promise<Response>,
): Promise<void> {
  try {
    await body.pipeTo(sink, { signal, preventAbort: true })
  } catch (thrown) {
    // The pipe does not say which end failed. Its sink is not aborted yet, so that the answer ends now only when the store itself ended it.
    const ended = () => true
    const isStoresEnd = await Promise.race([answer.then(ended, ended), scheduler.wait(GRACE_MS).then(() => false)])
    const reason = isStoresEnd ? thrown : refuse("upload.interrupted")
    sink.abort(reason).catch(() => undefined)
    throw reason
  }
}

/** Rejects as {@link sendUnchecked} does. */
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
      if (left < 0 || (left === 0 && !(await isAtEnd(reader)))) throw refuse("upload.length-mismatch")
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

async function isAtEnd(reader: ReadableStreamBYOBReader): Promise<boolean> {
  const piece = await reader.read(new Uint8Array(1)).catch(() => null)
  if (piece === null) throw refuse("upload.interrupted")
  return piece.done
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

/** What the children of the benchmark `upload` are told and tell. */

/** From origins-child.ts, once it listens. */
export interface OriginsReady {
  /** `http://127.0.0.1:port`: the store below `/store/`, the upload service below `/rest/`. */
  readonly origin: string
}

/** Command line of sender-child.ts, as JSON. */
export interface Sending {
  /** Where the bytes go. */
  readonly origin: string
  readonly hostname: string
  readonly target: string
  readonly sizeBytes: number
}

/** Answer of sender-child.ts, one JSON line. */
export interface Sent {
  /** 0 when the connection broke. */
  readonly status: number
  /** Of the response: what was stored, as the store saw it. */
  readonly etag: string
  readonly body: string
  /** From the first byte sent to the last byte of the answer. */
  readonly seconds: number
}

/** Seed of the bytes that every upload consists of. */
const SEED = "sallyport upload benchmark"
const BLOCK_BYTES = 1024 * 1024

/** The content is one block of pseudo-random bytes, over and over. */
export async function contentBlock(): Promise<Uint8Array> {
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(SEED.slice(0, 16)), "AES-CTR", false, [
    "encrypt",
  ])
  const counter = new Uint8Array(16)
  const zeros = new Uint8Array(BLOCK_BYTES)
  return new Uint8Array(await crypto.subtle.encrypt({ name: "AES-CTR", counter, length: 64 }, key, zeros))
}

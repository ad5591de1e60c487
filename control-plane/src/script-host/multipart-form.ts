/**
 * A multipart form that is written out while it is sent, with its length known beforehand. A FormData would be laid out as a whole beside the files it is made of
 * before its first byte goes out, and base64 beside both: more than an isolate has for one large file.
 * @see RFC 7578
 */
import { base64url } from "jose"

export interface FormPart {
  readonly name: string
  /** Null for a plain field. */
  readonly file: {
    readonly name: string
    /** Content-Type. */
    readonly type: string
  } | null
  readonly content: Uint8Array
  /** The content goes out in base64. */
  readonly base64?: boolean
}

/** Bytes of content that are encoded and sent at once; whole groups of base64. */
const CHUNK_BYTES = 192 * 1024

export class MultipartForm {
  readonly #parts: readonly { readonly head: Uint8Array; readonly part: FormPart }[]
  readonly #tail: Uint8Array
  readonly contentType: string

  /** The contents are read when the form is sent, and each time it is: they must stay as they are. */
  constructor(parts: readonly FormPart[]) {
    const boundary = `sallyport-${crypto.randomUUID()}`
    this.contentType = `multipart/form-data; boundary=${boundary}`
    this.#parts = parts.map((part) => ({ head: utf8(headOf(part, boundary)), part }))
    this.#tail = utf8(`--${boundary}--\r\n`)
  }

  /** The form from its beginning; may be called again. */
  open(): ReadableStream<Uint8Array> {
    const { readable, writable } = new FixedLengthStream(this.#sizeBytes())
    // Whoever answers before all is read ends the stream: that is for the caller to see by the answer, and for nobody else.
    void this.#write(writable.getWriter()).catch(() => undefined)
    return readable
  }

  async #write(writer: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
    writer.closed.catch(() => undefined)
    for (const chunk of this.#chunks()) await writer.write(chunk)
    await writer.close()
  }

  #sizeBytes(): number {
    return this.#parts.reduce(
      (sum, { head, part }) => sum + head.byteLength + sentBytes(part) + 2,
      this.#tail.byteLength,
    )
  }

  *#chunks(): Generator<Uint8Array, void> {
    for (const { head, part } of this.#parts) {
      yield head
      for (let at = 0; at < part.content.byteLength; at += CHUNK_BYTES) {
        const chunk = part.content.subarray(at, at + CHUNK_BYTES)
        yield part.base64 === true ? utf8(toBase64(chunk)) : chunk
      }
      yield utf8("\r\n")
    }
    yield this.#tail
  }
}

function headOf({ name, file }: FormPart, boundary: string): string {
  const disposition = `Content-Disposition: form-data; name="${quotable(name)}"`
  if (file === null) return `--${boundary}\r\n${disposition}\r\n\r\n`
  return `--${boundary}\r\n${disposition}; filename="${quotable(file.name)}"\r\nContent-Type: ${typeOf(file.type)}\r\n\r\n`
}

/** As browsers and undici do, and nothing else. @see https://html.spec.whatwg.org/#multipart-form-data */
function quotable(text: string): string {
  return text.replaceAll("\n", "%0A").replaceAll("\r", "%0D").replaceAll('"', "%22")
}

/** A type came from outside: what cannot stand in a header line is none. */
function typeOf(type: string): string {
  return /^[\x20-\x7e]+$/.test(type) ? type : "application/octet-stream"
}

function sentBytes({ content, base64 }: FormPart): number {
  return base64 === true ? 4 * Math.ceil(content.byteLength / 3) : content.byteLength
}

/** Standard alphabet with padding; jose only makes the URL-safe one. */
function toBase64(bytes: Uint8Array): string {
  const text = base64url.encode(bytes).replaceAll("-", "+").replaceAll("_", "/")
  return text + "=".repeat((4 - (text.length % 4)) % 4)
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

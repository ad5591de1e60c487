/** `R2Bucket` over its door: objects with methods and a body, which an RPC answer alone cannot be. @see https://developers.cloudflare.com/r2/api/workers/ */
import type { R2Facts, R2ListFacts } from "../../cloudflare-api/resources.ts"
import { callDoor, type Door } from "./call-door.ts"

type Value = string | ArrayBuffer | ArrayBufferView | ReadableStream | Blob | null

export function bucketClient(door: Door) {
  return {
    async head(key: string) {
      const facts = await callDoor<R2Facts | null>(door, "r2Head", key)
      return facts === null ? null : new StoredObject(facts)
    },
    async get(key: string, options?: unknown) {
      const found = await callDoor<{ object: R2Facts; body: ReadableStream | null } | null>(door, "r2Get", key, options)
      if (found === null) return null
      return found.body === null ? new StoredObject(found.object) : new StoredObjectBody(found.object, found.body)
    },
    async put(key: string, value: Value, options?: unknown) {
      const facts = await callDoor<R2Facts | null>(door, "r2Put", key, await asBytes(value), options)
      return facts === null ? null : new StoredObject(facts)
    },
    async delete(keys: string | string[]) {
      await callDoor(door, "r2Delete", typeof keys === "string" ? [keys] : keys)
    },
    async list(options?: unknown) {
      const page = await callDoor<R2ListFacts>(door, "r2List", options)
      return { ...page, objects: page.objects.map((each) => new StoredObject(each)) }
    },
    createMultipartUpload: notHere,
    resumeMultipartUpload: notHere,
  }
}

class StoredObject {
  readonly key: string
  readonly version: string
  readonly size: number
  readonly etag: string
  readonly httpEtag: string
  readonly uploaded: Date
  readonly httpMetadata: R2HTTPMetadata
  readonly customMetadata: Record<string, string>
  readonly range: R2Range | undefined
  readonly storageClass: string
  readonly checksums = { toJSON: () => ({}) }

  constructor(facts: R2Facts) {
    this.key = facts.key
    this.version = facts.version
    this.size = facts.size
    this.etag = facts.etag
    this.httpEtag = facts.httpEtag
    this.uploaded = facts.uploaded
    this.httpMetadata = facts.httpMetadata
    this.customMetadata = facts.customMetadata
    this.range = facts.range
    this.storageClass = facts.storageClass
  }

  /** Sets only what was stored with the object. */
  writeHttpMetadata(headers: Headers): void {
    const { contentType, contentLanguage, contentDisposition, contentEncoding, cacheControl, cacheExpiry } =
      this.httpMetadata
    const fields: readonly [string, string | undefined][] = [
      ["content-type", contentType],
      ["content-language", contentLanguage],
      ["content-disposition", contentDisposition],
      ["content-encoding", contentEncoding],
      ["cache-control", cacheControl],
      ["expires", cacheExpiry?.toUTCString()],
    ]
    for (const [name, value] of fields) if (value !== undefined) headers.set(name, value)
  }
}

class StoredObjectBody extends StoredObject {
  readonly #response: Response

  constructor(facts: R2Facts, body: ReadableStream) {
    super(facts)
    this.#response = new Response(body)
  }

  get body(): ReadableStream | null {
    return this.#response.body
  }
  get bodyUsed(): boolean {
    return this.#response.bodyUsed
  }
  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#response.arrayBuffer()
  }
  async bytes(): Promise<Uint8Array> {
    return new Uint8Array(await this.#response.arrayBuffer())
  }
  text(): Promise<string> {
    return this.#response.text()
  }
  json(): Promise<unknown> {
    return this.#response.json()
  }
  async blob(): Promise<Blob> {
    return new Blob([await this.#response.arrayBuffer()], { type: this.httpMetadata.contentType ?? "" })
  }
}

async function asBytes(value: Value): Promise<string | ArrayBuffer | null> {
  if (value === null || typeof value === "string" || value instanceof ArrayBuffer) return value
  return new Response(value as BodyInit).arrayBuffer()
}

function notHere(): never {
  throw new Error("Multipart uploads are not available in the local namespace; put() takes the whole object.")
}

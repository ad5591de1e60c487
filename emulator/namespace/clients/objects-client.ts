/** `DurableObjectNamespace` over its door. @see https://developers.cloudflare.com/durable-objects/api/namespace/ */

/** Request header by which the door learns which object a `fetch` is for: a WebSocket can only come back on a `fetch`. */
const OBJECT_HEADER = "x-sallyport-object"

export interface ObjectsDoor {
  fetch(request: Request): Promise<Response>
  /** Calls an RPC method of one object. */
  invoke(id: string, name: string | null, method: string, args: readonly unknown[]): Promise<unknown>
}

const HEX_ID = /^[0-9a-f]{64}$/

export function objectsClient(door: ObjectsDoor, scope: string) {
  const idOf = (hex: string, name?: string) => new ObjectId(hex, name)
  const client = {
    newUniqueId: () => idOf(hexOf(crypto.getRandomValues(new Uint8Array(32)))),
    idFromName: (name: string) => idOf(hashOf(`${scope}\0${name}`), name),
    idFromString(hex: string) {
      if (!HEX_ID.test(hex)) throw new TypeError("Invalid Durable Object ID: must be 64 hex digits")
      return idOf(hex)
    },
    get: (id: ObjectId) => stub(door, id),
    getByName: (name: string) => stub(door, client.idFromName(name)),
    jurisdiction: () => client,
  }
  return client
}

class ObjectId {
  readonly #hex: string
  readonly name: string | undefined

  constructor(hex: string, name: string | undefined) {
    this.#hex = hex
    this.name = name
  }

  toString(): string {
    return this.#hex
  }
  equals(other: { toString(): string }): boolean {
    return this.#hex === other.toString()
  }
}

/** Every property but those of a stub is an RPC method of the object. */
function stub(door: ObjectsDoor, id: ObjectId): unknown {
  const own: Record<string | symbol, unknown> = {
    id,
    name: id.name,
    async fetch(input: RequestInfo, init?: RequestInit) {
      const request = new Request(input, init)
      request.headers.set(OBJECT_HEADER, JSON.stringify([id.toString(), id.name ?? null]))
      return door.fetch(request)
    },
  }
  return new Proxy(own, {
    get(target, property) {
      if (property === "then") return undefined
      if (typeof property === "symbol" || Object.hasOwn(target, property)) return target[property]
      return (...args: unknown[]) => door.invoke(id.toString(), id.name ?? null, property, args)
    },
  })
}

function hexOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")
}

/** 256 bits that differ for different names. Not a cryptographic hash: ids come from a synchronous call, and WebCrypto has none. */
function hashOf(text: string): string {
  const words = new Uint32Array(8)
  for (let word = 0; word < words.length; word++) {
    let hash = 0x811c9dc5 ^ Math.imul(word + 1, 0x9e3779b1)
    for (let index = 0; index < text.length; index++) {
      hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
      hash ^= hash >>> 15
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    words[word] = hash ^ (hash >>> 13)
  }
  return hexOf(new Uint8Array(words.buffer))
}

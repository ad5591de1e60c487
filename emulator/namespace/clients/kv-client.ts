/** `KVNamespace` over its door. @see https://developers.cloudflare.com/kv/api/ */
import type { KvList, KvListOptions, KvPutOptions } from "../../cloudflare-api/resources.ts"
import { callDoor, type Door } from "./call-door.ts"

type ValueType = "text" | "json" | "arrayBuffer" | "stream"
type GetOptions = ValueType | { readonly type?: ValueType; readonly cacheTtl?: number } | undefined
interface Found {
  readonly value: ArrayBuffer
  readonly metadata: unknown
}
type Value = string | ArrayBuffer | ArrayBufferView | ReadableStream

const MAX_KEYS_PER_GET = 100

export function kvClient(door: Door) {
  const find = (key: string) => callDoor<Found | null>(door, "kvGet", checkedKey(key))

  async function one(key: string, options: GetOptions) {
    const found = await find(key)
    if (found === null) return { value: null, metadata: null, cacheStatus: null }
    return { value: decode(found.value, typeOf(options)), metadata: found.metadata ?? null, cacheStatus: null }
  }

  async function many<T>(keys: readonly string[], read: (key: string) => Promise<T>): Promise<Map<string, T>> {
    if (keys.length > MAX_KEYS_PER_GET)
      throw new Error(`KV GET_BULK failed: 400 You can request a maximum of ${MAX_KEYS_PER_GET} keys`)
    return new Map(await Promise.all(keys.map(async (key) => [key, await read(key)] as const)))
  }

  return {
    async get(key: string | readonly string[], options?: GetOptions) {
      if (typeof key === "string") return (await one(key, options)).value
      return many(key, async (each) => (await one(each, options)).value)
    },
    async getWithMetadata(key: string | readonly string[], options?: GetOptions) {
      return typeof key === "string" ? one(key, options) : many(key, (each) => one(each, options))
    },
    async put(key: string, value: Value, options?: KvPutOptions) {
      await callDoor(door, "kvPut", checkedKey(key), await asBytes(value), options)
    },
    async delete(key: string) {
      await callDoor(door, "kvDelete", checkedKey(key))
    },
    async list(options?: KvListOptions) {
      return { ...(await callDoor<KvList>(door, "kvList", options)), cacheStatus: null }
    },
  }
}

function checkedKey(key: string): string {
  if (key === "") throw new TypeError("Key name cannot be empty.")
  if (key === "." || key === "..") throw new TypeError(`"${key}" is not allowed as a key name.`)
  return key
}

function typeOf(options: GetOptions): ValueType {
  return (typeof options === "string" ? options : options?.type) ?? "text"
}

function decode(bytes: ArrayBuffer, type: ValueType): unknown {
  switch (type) {
    case "text":
      return new TextDecoder().decode(bytes)
    case "json":
      return JSON.parse(new TextDecoder().decode(bytes))
    case "arrayBuffer":
      return bytes
    case "stream":
      return new Response(bytes).body
    default:
      throw new TypeError('Unknown response type. Possible types are "text", "arrayBuffer", "json", and "stream".')
  }
}

async function asBytes(value: Value): Promise<string | ArrayBuffer> {
  return typeof value === "string" || value instanceof ArrayBuffer
    ? value
    : new Response(value as BodyInit).arrayBuffer()
}

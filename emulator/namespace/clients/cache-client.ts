/** `caches` of a user Worker: named caches of its own, kept by the cache door. */
import { callDoor, type Door } from "./call-door.ts"

interface MatchOptions {
  readonly ignoreMethod?: boolean
}

/** `defaultCache` is called when user code asks for `caches.default`. */
export function cacheStorage(door: Door, defaultCache: () => unknown) {
  return {
    get default() {
      return defaultCache()
    },
    async open(name: string) {
      return {
        match: (key: RequestInfo, options?: MatchOptions) =>
          callDoor<Response | undefined>(door, "match", name, asKey(key), options),
        put: async (key: RequestInfo, response: Response) => {
          // RPC carries a response whose body has been read as if it were empty.
          if (response.bodyUsed) throw new TypeError("Body has already been used.")
          await callDoor(door, "put", name, asKey(key), response)
        },
        delete: (key: RequestInfo, options?: MatchOptions) =>
          callDoor<boolean>(door, "delete", name, asKey(key), options),
      }
    },
  }
}

/** The key without its body, which a cache never looks at. */
function asKey(key: RequestInfo): Request {
  return key instanceof Request ? new Request(key.url, { method: key.method, headers: key.headers }) : new Request(key)
}

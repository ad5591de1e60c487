/** The named caches of one user Worker, kept in the cache of the Worker that holds the namespace, under names that no other script can form. */
import { WorkerEntrypoint } from "cloudflare:workers"
import type { ScriptProps } from "../doors.ts"

export class CacheDoor extends WorkerEntrypoint<unknown, ScriptProps> {
  async call(method: string, args: readonly unknown[]): Promise<unknown> {
    const [name, key, third] = args as [string, Request, unknown]
    const { namespace, script } = this.ctx.props
    const cache = await caches.open(JSON.stringify([namespace, script, name]))
    switch (method) {
      case "match":
        return cache.match(key, third as CacheQueryOptions | undefined)
      case "put":
        return cache.put(key, third as Response)
      case "delete":
        return cache.delete(key, third as CacheQueryOptions | undefined)
      default:
        throw new TypeError(`A cache has no operation ${method}.`)
    }
  }
}

/**
 * Runs once inside a user Worker, before its own code: replaces the doors in `env` by clients with production's interface, and the
 * globals that differ. The module-scope `env`, the handlers' `env` and `this.env` are one and the same, so this reaches them all.
 * The files in this folder become modules of the user Worker: they import nothing from outside it.
 */
import { cacheStorage } from "./cache-client.ts"
import type { Door } from "./call-door.ts"
import { databaseClient } from "./d1-client.ts"
import { kvClient } from "./kv-client.ts"
import { type ObjectsDoor, objectsClient } from "./objects-client.ts"
import type { Client, ClientPlan } from "./plan.ts"
import { queueClient } from "./queue-client.ts"
import { bucketClient } from "./r2-client.ts"

type Env = Record<string, unknown>

export function install(env: Env, plan: ClientPlan): void {
  hideRequestCf()
  installCaches(env[plan.caches] as Door)
  delete env[plan.caches]
  for (const [name, client] of Object.entries(plan.clients)) env[name] = clientFor(client, env[name])
  if (plan.globals) Object.assign(globalThis, env)
}

function clientFor(client: Client, door: unknown): unknown {
  switch (client.kind) {
    case "kv":
      return kvClient(door as Door)
    case "r2":
      return bucketClient(door as Door)
    case "d1":
      return databaseClient(door as Door)
    case "queue":
      return queueClient(door as Door)
    case "objects":
      return objectsClient(door as ObjectsDoor, client.scope)
    case "ratelimit":
      return { limit: (options: unknown) => (door as Door).call("limit", [options]) }
    case "analytics":
      return { writeDataPoint: () => undefined }
    case "unavailable":
      return unavailable(client.type)
  }
}

/** User Workers of an untrusted namespace do not see `request.cf`. */
function hideRequestCf(): void {
  Object.defineProperty(Request.prototype, "cf", { configurable: true, enumerable: true, get: () => undefined })
}

/** Named caches go through the door; `caches.default` stays the runtime's, which has none to offer: as in production, it cannot be used. */
function installCaches(door: Door): void {
  const native = caches
  const storage = cacheStorage(door, () => native.default)
  Object.defineProperty(globalThis, "caches", { configurable: true, enumerable: true, value: storage })
}

/** Says what is missing at the moment of use: a script that merely carries the binding still runs. */
function unavailable(type: string): unknown {
  const explain = () => {
    throw new Error(`Bindings of type ${type} are not available in the local namespace.`)
  }
  return new Proxy({}, { get: (_target, property) => (property === "then" ? undefined : explain) })
}

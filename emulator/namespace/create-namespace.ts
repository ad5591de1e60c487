/**
 * The local dispatch namespace: production's `get(name, args, options)` on the Worker Loader, in the dispatcher's own isolate.
 * In steady state a dispatch is two look-ups and the loader's own hop: no I/O, and the answer is the loader's Fetcher itself.
 * Which behaviour follows which source, and what is missing, stands in emulator/README.md.
 */
import { serveWithAssets } from "./assets/serve-assets.ts"
import type { DoorExports, Services } from "./doors.ts"
import { heldParameters, type OutboundParameters, ParameterKeys } from "./parameter-keys.ts"
import { ScriptMemory, type ScriptRecord } from "./script-memory.ts"
import type { ScriptStore } from "./stored-script.ts"
import { workerCode } from "./worker-code.ts"

export interface NamespaceOptions {
  readonly loader: WorkerLoader
  /** `ctx.exports`, or `exports` of cloudflare:workers. */
  readonly exports: DoorExports
  readonly store: ScriptStore
  /** Name of the dispatch namespace, such as `production`. */
  readonly namespace: string
  readonly services: Services
  /** `waitUntil` of the request at hand: that of cloudflare:workers. */
  readonly waitUntil: (work: Promise<unknown>) => void
}

/** What the isolate of the namespace offers besides the binding itself. */
export interface LocalNamespace extends DispatchNamespace {
  /** The next `get` reads the script anew. */
  forget(name: string): void
  /** The loaded script's own stub, for its Durable Object classes. Rejects as a dispatch to it would. */
  stubOf(name: string, parameters: OutboundParameters | undefined): Promise<{ id: string; stub: WorkerStub }>
  /** The script's assets, routed as production does; null when it has none. */
  assetsOf(name: string): Promise<Pick<Fetcher, "fetch"> | null>
}

export function createNamespace(options: NamespaceOptions): LocalNamespace {
  const { loader, store, namespace } = options
  const memory = new ScriptMemory(store, namespace, options.waitUntil)
  const parameterKeys = new ParameterKeys()

  /** Taken from the loader each time: an entrypoint that outlives its request cannot be used by the next. */
  function load(record: ScriptRecord, parameters: OutboundParameters | undefined) {
    const key = parameterKeys.keyOf(parameters)
    let id = record.loaderIds.get(key)
    if (id === undefined) {
      id = `${namespace}/${record.name}@${record.script.etag}#${key}`
      record.loaderIds.set(key, id)
    }
    return { id, stub: loader.get(id, () => workerCode(record, heldParameters(parameters), options)) }
  }

  function open(record: ScriptRecord, parameters: OutboundParameters | undefined): Fetcher {
    const worker = record.main === null ? null : load(record, parameters).stub.getEntrypoint()
    if (record.assets !== null) return serveWithAssets(record.assets, worker, store, namespace)
    // A script without code and assets cannot be uploaded.
    return worker as Fetcher
  }

  return {
    get(name, _args, dispatch) {
      const parameters = dispatch?.outbound
      const record = memory.peek(name)
      if (record !== undefined) return open(record, parameters)
      return openLater(async () => open(await memory.load(name), parameters))
    },
    forget: (name) => memory.forget(name),
    stubOf: async (name, parameters) => load(await memory.load(name), parameters),
    async assetsOf(name) {
      const { assets } = await memory.load(name)
      return assets === null ? null : serveWithAssets(assets, null, store, namespace)
    },
  }
}

/**
 * A Fetcher whose Worker has yet to be read. `get` has already returned when the Worker turns out to be missing, so use of it rejects, as in production.
 * Every property but `fetch` and `then` is an RPC method of the default entrypoint.
 */
function openLater(open: () => Promise<Fetcher>): Fetcher {
  const methods = {
    fetch: async (input: RequestInfo, init?: RequestInit) => (await open()).fetch(input, init),
  }
  return new Proxy(methods, {
    get(target, property, receiver) {
      if (property === "fetch" || property === "then" || typeof property === "symbol")
        return Reflect.get(target, property, receiver)
      return async (...args: unknown[]) => {
        const worker: unknown = await open()
        const method: unknown = Reflect.get(worker as object, property)
        return (method as (...args: unknown[]) => unknown)(...args)
      }
    },
  }) as unknown as Fetcher
}

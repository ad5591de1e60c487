/**
 * Starts the local Cloudflare API alone, as the platform would: wrangler's bundle in Miniflare on a socket of its own. A small Worker
 * stands where the dispatcher would and remembers which scripts it was told of.
 */
import { convertV4MiniflareOptions, Miniflare, type V4MiniflareOptions } from "miniflare"
import { buildWorker } from "../../emulator/build.ts"

export const ACCOUNT_ID = "0123456789abcdef0123456789abcdef"
export const TOKEN = "example-conformance-token"

export interface LocalApi {
  /** With `/client/v4`, without a slash at the end. */
  readonly url: string
  /** Without a path. */
  readonly origin: string
  /** What the namespace was told so far, as `namespace/script`, and forgotten by asking. */
  readonly told: () => Promise<string[]>
  readonly stop: () => Promise<void>
}

/** Waits before it remembers, so that a caller that does not wait for it is seen. */
const LISTENER = `import { WorkerEntrypoint } from "cloudflare:workers"
let told = []
export class NamespaceMemory extends WorkerEntrypoint {
  async changed(namespace, name) {
    await scheduler.wait(50)
    told.push(namespace + "/" + name)
  }
}
export default { fetch() { const answer = Response.json(told); told = []; return answer } }`

export interface StartOptions {
  readonly vars?: Readonly<Record<string, string>>
  /** Keeps what is stored in this folder; in memory when absent. */
  readonly stateDir?: string
}

export async function startApi({ vars = {}, stateDir }: StartOptions = {}): Promise<LocalApi> {
  const worker = await buildWorker("emulator/cloudflare-api/wrangler.toml")
  const socket = { unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] }
  const options = {
    host: "127.0.0.1",
    port: 0,
    cf: false,
    ...(stateDir === undefined ? {} : { resourcePersistencePath: stateDir }),
    workers: [
      {
        ...worker.options,
        ...socket,
        name: worker.name,
        modules: [...worker.modules],
        bindings: { ...(worker.options.bindings as object), ACCOUNT_ID, API_TOKEN: TOKEN, ...vars },
        serviceBindings: { NAMESPACE: { name: "listener", entrypoint: "NamespaceMemory" } },
      },
      {
        ...socket,
        name: "listener",
        compatibilityDate: "2026-10-01",
        modules: [{ type: "ESModule", path: "listener.js", contents: LISTENER }],
      },
    ],
  }
  const miniflare = new Miniflare(convertV4MiniflareOptions(options as V4MiniflareOptions))
  await miniflare.ready
  const { origin } = await miniflare.unsafeGetDirectURL(worker.name)
  const listener = await miniflare.unsafeGetDirectURL("listener")
  return {
    url: `${origin}/client/v4`,
    origin,
    told: async () => (await (await fetch(listener)).json()) as string[],
    stop: () => miniflare.dispose(),
  }
}

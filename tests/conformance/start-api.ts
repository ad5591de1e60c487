/** Starts the local Cloudflare API alone, as the platform would: wrangler's bundle in Miniflare on a socket of its own, nothing stored. */
import { convertV4MiniflareOptions, Miniflare, type V4MiniflareOptions } from "miniflare"
import { buildWorker } from "../../emulator/build.ts"

export const ACCOUNT_ID = "0123456789abcdef0123456789abcdef"
export const TOKEN = "example-conformance-token"

export interface LocalApi {
  /** With `/client/v4`, without a slash at the end. */
  readonly url: string
  /** Without a path. */
  readonly origin: string
  readonly stop: () => Promise<void>
}

export async function startApi(vars: Readonly<Record<string, string>> = {}): Promise<LocalApi> {
  const worker = await buildWorker("emulator/cloudflare-api/wrangler.toml")
  const options = {
    host: "127.0.0.1",
    port: 0,
    cf: false,
    workers: [
      {
        ...worker.options,
        name: worker.name,
        modules: [...worker.modules],
        bindings: { ...(worker.options.bindings as object), ACCOUNT_ID, API_TOKEN: TOKEN, ...vars },
        unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
      },
    ],
  }
  const miniflare = new Miniflare(convertV4MiniflareOptions(options as V4MiniflareOptions))
  await miniflare.ready
  const socket = await miniflare.unsafeGetDirectURL(worker.name)
  const origin = socket.href.replace(/\/$/, "")
  return { url: `${origin}/client/v4`, origin, stop: () => miniflare.dispose() }
}

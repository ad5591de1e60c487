/**
 * The dispatcher's config KV behind a gate that a test can shut: the binding stays a real KV binding of workerd, only its server is here.
 * Passes reads on to the platform's own store while open, answers 500 while shut.
 */
import { createServer, type IncomingMessage } from "node:http"
import { listen } from "./listen.ts"
import type { ConfigStore } from "./platform.ts"

/** Given to startPlatform as `configGate`. */
export interface ConfigGate {
  readonly url: URL
  /** Requests answered with 500 so far. */
  readonly failures: number
  /** Called by startPlatform when there is a store to read from. */
  connect(store: ConfigStore): void
  shut(): void
  open(): void
  stop(): Promise<void>
}

export async function startConfigGate(): Promise<ConfigGate> {
  let store: ConfigStore | null = null
  let isShut = false
  let failures = 0
  const server = createServer(async (request, response) => {
    const key = keyOf(request)
    if (isShut || store === null) {
      failures += 1
      return void response.writeHead(500).end("shut")
    }
    // The edge may look once more while the platform goes down: then the store is gone, which to the edge is KV that fails.
    const value = await store.get(key).catch(() => undefined)
    if (value === undefined) return void response.writeHead(500).end("gone")
    if (value === null) return void response.writeHead(404).end("Not Found")
    return void response.writeHead(200).end(value)
  })
  const running = await listen(server, 0)
  return {
    url: new URL(running.url),
    get failures() {
      return failures
    },
    connect: (connected) => {
      store = connected
    },
    shut: () => {
      isShut = true
    },
    open: () => {
      isShut = false
    },
    stop: running.stop,
  }
}

/** KV reads a key by `GET /<key>`; the address that was meant travels in a header, as Miniflare's remote bindings send it. */
function keyOf(request: IncomingMessage): string {
  const meant = new URL(String(request.headers["mf-url"] ?? request.url), "http://kv.invalid")
  return decodeURIComponent(meant.pathname.slice(1))
}

/**
 * An example origin: a plain Node server as a zone's cell might be, behind the gateway. It answers nobody without a passport made
 * for it, and echoes as JSON what it received, so that whoever calls through the edge sees what arrived at the other end.
 */
import { createHash } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { setTimeout as wait } from "node:timers/promises"
import { WebSocketServer } from "ws"
import { listen, type RunningServer } from "../listen.ts"
import { originSpans } from "../origins/origin-spans.ts"
import { passportVerifier, type VerifierOptions } from "./verify-passport.ts"

/** Milliseconds that `/cell/slow` waits at most. */
const SLOWEST_MS = 300_000

export interface CellOptions extends Omit<VerifierOptions, "audience"> {
  /** Such as `us01`; its audience is `cell:us01`. */
  readonly zone: string
  readonly port: number
  /** Base URL of an OpenTelemetry collector, to which the cell sends its part of a trace that is recorded; without it, nothing. */
  readonly otlpEndpoint?: string
}

/** What a cell answers on every path that has no other meaning. */
export interface CellEcho {
  readonly cell: string
  readonly method: string
  readonly path: string
  readonly query: string
  /** Lower-case names; `x-passport` is left out, its claims are in `passport`. */
  readonly headers: Readonly<Record<string, string>>
  readonly passport: Readonly<Record<string, unknown>>
  readonly body: { readonly sizeBytes: number; readonly sha256: string }
}

type Claims = Readonly<Record<string, unknown>>

/** Starts the cell on 127.0.0.1; `port` 0 takes any free one. */
export async function startCell(options: CellOptions): Promise<RunningServer> {
  const verifyPassport = passportVerifier({ ...options, audience: `cell:${options.zone}` })
  const spans = options.otlpEndpoint === undefined ? null : originSpans(`cell-${options.zone}`, options.otlpEndpoint)
  const server = createServer(async (request, response) => {
    spans?.begin(request, response)
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://cell.invalid")
    if (pathname === "/cell/health") return void response.end("ok\n")
    const verdict = await verifyPassport(request.headers)
    if (!verdict.ok) return refuse(response, options.zone, verdict.reason)
    if (pathname === "/cell/events") return sendEvents(response, options.zone)
    if (pathname === "/cell/slow") await wait(Math.min(Number(searchParams.get("ms")) || 0, SLOWEST_MS))
    if (!response.destroyed) await echo(request, response, options.zone, verdict.claims)
  })

  const sockets = new WebSocketServer({ noServer: true, maxPayload: 1024 * 1024 })
  server.on("upgrade", async (request, socket, head) => {
    const verdict = await verifyPassport(request.headers)
    if (!verdict.ok)
      return void socket.end("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.send(JSON.stringify({ cell: options.zone, subject: verdict.claims.sub }))
      webSocket.on("message", (data, binary) => webSocket.send(data, { binary }))
    })
  })
  const { url, stop } = await listen(server, options.port)
  return { url, stop: () => stop().then(() => spans?.stop()) }
}

/** Hashes the body as it flows; it is never held. */
async function echo(request: IncomingMessage, response: ServerResponse, cell: string, passport: Claims): Promise<void> {
  const url = new URL(request.url ?? "/", "http://cell.invalid")
  const digest = createHash("sha256")
  let sizeBytes = 0
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      digest.update(chunk)
      sizeBytes += chunk.length
    }
  } catch {
    return void response.destroy()
  }
  const { "x-passport": _passport, ...headers } = request.headers
  const body = {
    cell,
    method: request.method ?? "",
    path: url.pathname,
    query: url.search,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)])),
    passport,
    body: { sizeBytes, sha256: digest.digest("hex") },
  } satisfies CellEcho
  response
    .writeHead(200, { "content-type": "application/json", "cache-control": "no-store", "x-cell": cell })
    .end(`${JSON.stringify(body, null, 2)}\n`)
}

/** Server-sent events: one at once, three more half a second apart. Whoever buffers responses shows none before the end. */
async function sendEvents(response: ServerResponse, cell: string): Promise<void> {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" })
  for (let count = 1; count <= 4 && !response.destroyed; count++) {
    response.write(`id: ${count}\ndata: ${JSON.stringify({ cell, count })}\n\n`)
    await wait(500)
  }
  response.end()
}

function refuse(response: ServerResponse, cell: string, reason: string): void {
  const problem = {
    type: "about:blank",
    title: "A passport made for this cell is needed",
    status: 401,
    detail: reason,
    cell,
  }
  response
    .writeHead(401, { "content-type": "application/problem+json", "cache-control": "no-store" })
    .end(JSON.stringify(problem))
}

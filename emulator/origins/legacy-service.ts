/**
 * An example origin: the old document service, which a new one (new-service.ts) is to replace. Like many old services it never answers twice alike: the time and
 * an id of its own are in each answer, tags come in any order. It answers nobody without a passport for `ecrion:legacy`, and remembers what it was asked.
 */
import { randomInt, randomUUID } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { gzipSync } from "node:zlib"
import { WebSocketServer } from "ws"
import { passportVerifier, type VerifierOptions } from "../cells/verify-passport.ts"
import { listen } from "../listen.ts"
import { originSpans } from "./origin-spans.ts"

export interface LegacyServiceOptions extends Omit<VerifierOptions, "audience"> {
  readonly port: number
  /** Base URL of an OpenTelemetry collector, to which it sends its part of a trace that is recorded; without it, nothing. */
  readonly otlpEndpoint?: string
}

export interface ReceivedRequest {
  readonly method: string
  /** Path and query. */
  readonly target: string
  /** Marked as a copy by the strangler. */
  readonly isCopy: boolean
  readonly bodyBytes: number
}

export interface LegacyService {
  readonly url: string
  /** Everything that was asked with a valid passport, in order; a request is here when its body has arrived, or its client has gone. */
  readonly received: ReceivedRequest[]
  /** Requests whose client went away before the answer was complete. */
  readonly aborted: string[]
  close(): Promise<void>
}

const GLOBAL_ID = "9007199254740993"
const TAGS = ["draft", "shared", "signed", "archived"]
const EVENT_EVERY_MS = 50
const LISTED = [...Array(20).keys()]
const SECTIONS = ["Summary", "Scope", "Schedule", "Costs"]
/** Of `/large`, more than any comparison reads. */
const LARGE_BYTES = 3 * 1024 * 1024

/** Starts it on 127.0.0.1; `port` 0 takes any free one. */
export async function startLegacyService(options: LegacyServiceOptions): Promise<LegacyService> {
  const verify = passportVerifier({ ...options, audience: "ecrion:legacy" })
  const received: ReceivedRequest[] = []
  const aborted: string[] = []
  const spans = options.otlpEndpoint === undefined ? null : originSpans("legacy-service", options.otlpEndpoint)
  const server = createServer(async (request, response) => {
    spans?.begin(request, response)
    const verdict = await verify(request.headers)
    if (!verdict.ok) return void response.writeHead(401).end(verdict.reason)
    const target = request.url ?? "/"
    response.once("close", () => {
      if (!response.writableFinished) aborted.push(target)
    })
    const bodyBytes = await drain(request)
    const isCopy = request.headers["x-strangler-copy"] !== undefined
    received.push({ method: request.method ?? "", target, isCopy, bodyBytes })
    answer(request, response, bodyBytes)
  })
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 })
  server.on("upgrade", async (request, socket, head) => {
    if (!(await verify(request.headers)).ok)
      return void socket.end("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
    sockets.handleUpgrade(request, socket, head, (webSocket) => webSocket.send("legacy"))
  })
  const { url, stop } = await listen(server, options.port)
  return { url, received, aborted, close: stop }
}

function answer(request: IncomingMessage, response: ServerResponse, bodyBytes: number): void {
  // As it came: not every target that a client can send parses as a URL.
  const [pathname = ""] = (request.url ?? "").split("?")
  const [, collection, id] = pathname.split("/")
  if (request.method !== "GET" && request.method !== "HEAD") sendJson(response, 200, { service: "legacy", bodyBytes })
  else if (collection === "documents" && id) sendJson(response, 200, documentOf(Number(id)))
  else if (collection === "documents") sendJson(response, 200, { total: LISTED.length, items: LISTED.map(documentOf) })
  else if (collection === "reports") sendReport(request, response, id ?? "")
  else if (collection === "large") sendLarge(response)
  else if (collection === "moved") response.writeHead(302, { location: "/documents/1" }).end()
  else if (collection === "events") sendEvents(response)
  else sendJson(response, 404, { error: "no such thing" })
}

/** Without end: until the client goes. */
function sendEvents(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream" })
  const send = () => response.write("data: legacy\n\n")
  send()
  const timer = setInterval(send, EVENT_EVERY_MS)
  response.once("close", () => clearInterval(timer))
}

function sendLarge(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "application/octet-stream", "content-length": LARGE_BYTES })
  response.end(Buffer.alloc(LARGE_BYTES, "legacy "))
}

function documentOf(id: number) {
  return {
    id,
    // 2^53 + 1, which a JavaScript number cannot hold; written as a number by `sendJson`.
    globalId: GLOBAL_ID,
    name: `Document ${id}`,
    sizeBytes: 1_000 + id,
    isPublic: id % 2 === 0,
    owner: { id: id % 7, displayName: `Person ${id % 7}` },
    tags: shuffled(TAGS),
    reviewers: shuffled(
      [1, 2, 3].map((each) => ({ id: id + each, displayName: `Person ${id + each}`, seenAt: Date.now() })),
    ),
    sections: SECTIONS.map((title, position) => ({ id: position + 1, title })),
    meta: { servedAt: new Date().toISOString(), traceId: randomUUID() },
  }
}

function sendJson(response: ServerResponse, status: number, value: object): void {
  const text = JSON.stringify(value).replaceAll(`"${GLOBAL_ID}"`, GLOBAL_ID)
  response
    .writeHead(status, {
      "content-type": "application/json; charset=utf-8",
      "cache-control": "private, max-age=60",
      "x-served-by": `legacy-${randomInt(1_000)}`,
    })
    .end(text)
}

function sendReport(request: IncomingMessage, response: ServerResponse, id: string): void {
  const text = `Report ${id}\n`.repeat(100)
  const isZipped = String(request.headers["accept-encoding"] ?? "").includes("gzip")
  const headers = { "content-type": "text/plain", ...(isZipped ? { "content-encoding": "gzip" } : {}) }
  response.writeHead(200, headers).end(isZipped ? gzipSync(text) : text)
}

/** Fisher and Yates. */
function shuffled<T>(items: readonly T[]): T[] {
  const copy = [...items]
  for (let last = copy.length - 1; last > 0; last--) {
    const other = randomInt(last + 1)
    const [a, b] = [copy[last], copy[other]]
    if (a !== undefined && b !== undefined) [copy[last], copy[other]] = [b, a]
  }
  return copy
}

async function drain(request: IncomingMessage): Promise<number> {
  let sizeBytes = 0
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) sizeBytes += chunk.length
  } catch {
    // The client went away; what arrived is what counts.
  }
  return sizeBytes
}

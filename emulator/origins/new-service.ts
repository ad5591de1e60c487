/**
 * An example origin: the new document service beside legacy-service.ts. It answers as the old one does, with a clock and ids of its own, but for the faults that
 * a test puts into it. It answers nobody without a passport for `ecrion:new`, and remembers what it was asked.
 */
import { randomBytes } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { WebSocketServer } from "ws"
import { passportVerifier, type VerifierOptions } from "../cells/verify-passport.ts"
import { listen } from "../listen.ts"
import { originSpans } from "./origin-spans.ts"

export interface NewServiceOptions extends Omit<VerifierOptions, "audience"> {
  readonly port: number
  /** Base URL of an OpenTelemetry collector, to which it sends its part of a trace that is recorded; without it, nothing. */
  readonly otlpEndpoint?: string
}

/** How a document may differ from the old service's. */
export type NewServiceFault =
  | "changed-value"
  | "missing-field"
  | "type-change"
  | "reordered-array"
  | "changed-status"
  | "changed-header"
  /** The id that a double makes of the right one. */
  | "rounded-id"
  | "failing"
  /** Accepts the request and says nothing. */
  | "silent"

export interface NewService {
  readonly url: string
  /** Everything that was asked with a valid passport, in order. */
  readonly received: { readonly method: string; readonly target: string; readonly isCopy: boolean }[]
  /** From now on; null for none. */
  setFault(fault: NewServiceFault | null): void
  close(): Promise<void>
}

interface NewDocument {
  [field: string]: unknown
}

/** Starts it on 127.0.0.1; `port` 0 takes any free one. */
export async function startNewService(options: NewServiceOptions): Promise<NewService> {
  const verify = passportVerifier({ ...options, audience: "ecrion:new" })
  const received: NewService["received"] = []
  let fault: NewServiceFault | null = null
  const spans = options.otlpEndpoint === undefined ? null : originSpans("new-service", options.otlpEndpoint)
  const server = createServer(async (request, response) => {
    spans?.begin(request, response)
    const verdict = await verify(request.headers)
    if (!verdict.ok) return void response.writeHead(401).end(verdict.reason)
    received.push({
      method: request.method ?? "",
      target: request.url ?? "/",
      isCopy: request.headers["x-strangler-copy"] !== undefined,
    })
    if (fault === "silent") return
    if (fault === "failing") return void response.writeHead(503).end("down for maintenance")
    await answer(request, response, fault)
  })
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 })
  server.on("upgrade", async (request, socket, head) => {
    if (!(await verify(request.headers)).ok)
      return void socket.end("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
    sockets.handleUpgrade(request, socket, head, (webSocket) => webSocket.send("new"))
  })
  const { url, stop } = await listen(server, options.port)
  const setFault = (next: NewServiceFault | null) => {
    fault = next
  }
  return { url, received, setFault, close: stop }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  fault: NewServiceFault | null,
): Promise<void> {
  // As it came: not every target that a client can send parses as a URL.
  const [pathname = ""] = (request.url ?? "").split("?")
  const parts = pathname.split("/").slice(1)
  if (request.method !== "GET" && request.method !== "HEAD") {
    let bodyBytes = 0
    for await (const chunk of request as AsyncIterable<Buffer>) bodyBytes += chunk.length
    return send(response, 200, { service: "new", bodyBytes }, fault)
  }
  switch (parts[0]) {
    case "documents": {
      if (parts[1])
        return send(response, fault === "changed-status" ? 410 : 200, document(Number(parts[1]), fault), fault)
      const items = [...Array(20).keys()].map((id) => document(id, fault))
      return send(response, 200, { total: items.length, items }, fault)
    }
    case "reports":
      return void response.writeHead(200, { "content-type": "text/plain" }).end(`Report ${parts[1]}\n`.repeat(100))
    case "moved":
      return void response.writeHead(302, { location: "/documents/1" }).end()
    default:
      return send(response, 404, { error: "no such thing" }, fault)
  }
}

function document(id: number, fault: NewServiceFault | null): NewDocument {
  const person = (number: number) => ({ id: number, displayName: `Person ${number}` })
  const titles = ["Summary", "Scope", "Schedule", "Costs"]
  const sections = titles.map((title, index) => ({ title, id: index + 1 }))
  const found: NewDocument = {
    globalId: fault === "rounded-id" ? "9007199254740992" : "9007199254740993",
    id,
    isPublic: id % 2 === 0,
    meta: { traceId: randomBytes(16).toString("hex"), servedAt: new Date().toISOString() },
    name: fault === "changed-value" ? `Dokument ${id}` : `Document ${id}`,
    owner: fault === "missing-field" ? { id: id % 7 } : person(id % 7),
    reviewers: [1, 2, 3].map((each) => ({ ...person(id + each), seenAt: Date.now() })),
    sections: fault === "reordered-array" ? sections.toReversed() : sections,
    sizeBytes: fault === "type-change" ? String(1_000 + id) : 1_000 + id,
    tags: ["archived", "draft", "shared", "signed"],
  }
  return found
}

/** `globalId` goes out as a number that JavaScript cannot hold. */
function send(response: ServerResponse, status: number, value: object, fault: NewServiceFault | null): void {
  const text = JSON.stringify(value).replaceAll(/"globalId":"(\d+)"/g, '"globalId":$1')
  const cacheControl = fault === "changed-header" ? "no-store" : "private, max-age=60"
  response
    .writeHead(status, { "content-type": "application/json; charset=utf-8", "cache-control": cacheControl })
    .end(text)
}

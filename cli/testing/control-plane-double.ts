/**
 * A control plane for the tests of the command line: an HTTP server on loopback whose answers are held against contracts/api.ts before
 * they are sent, so that a test cannot agree with the command line on a shape that the API does not have. Doubles the edge as well.
 */
import { createServer, type IncomingMessage } from "node:http"
import { text } from "node:stream/consumers"
import type { z } from "zod"
import { listOf, problemShape } from "../../contracts/api.ts"
import { PROBLEMS, type ProblemCode, problemType } from "../../contracts/problem-codes.ts"
import { listen } from "../../emulator/listen.ts"

export interface Received {
  /** `GET /v1/teams?limit=100`. */
  readonly line: string
  readonly headers: IncomingMessage["headers"]
  readonly body: unknown
}

interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}
type Handler = (request: Received) => Reply

export interface ControlPlaneDouble extends AsyncDisposable {
  readonly url: string
  /** Everything that was asked, in order. */
  readonly received: Received[]
  /** Answers `METHOD /path`, the query left out, in this way from now on. */
  on(operation: string, handler: Handler | Reply): void
}

/** A single thing, held against its shape, with an ETag. */
export function thing<T extends z.ZodType>(shape: T, value: z.input<T>, etag = '"1"'): Reply {
  return { status: 200, headers: { etag }, body: shape.parse(value) }
}

export function page<T extends z.ZodType>(
  item: T,
  items: readonly z.input<T>[],
  nextCursor: string | null = null,
): Reply {
  return { status: 200, headers: {}, body: listOf(item).parse({ items, nextCursor }) }
}

export function problem(
  code: ProblemCode,
  extra: { detail?: string; errors?: { pointer: string; detail: string }[] } = {},
): Reply {
  const { status, title, fix } = PROBLEMS[code]
  const body = problemShape.parse({
    type: problemType(code),
    title,
    status,
    detail: fix,
    code,
    requestId: "req-1",
    ...extra,
  })
  return { status, headers: { "x-request-id": "req-1" }, body }
}

/** Listens on a free port until disposed. What no handler was set for is answered with `api.not-found`. */
export async function controlPlaneDouble(): Promise<ControlPlaneDouble> {
  const handlers = new Map<string, Handler>()
  const received: Received[] = []
  const server = createServer(async (incoming, outgoing) => {
    const body = await text(incoming)
    const line = `${incoming.method} ${incoming.url}`
    const request = { line, headers: incoming.headers, body: parsed(body, incoming.headers["content-type"]) }
    received.push(request)
    const reply = handlers.get(line.split("?")[0] ?? "")?.(request) ?? problem("api.not-found")
    outgoing.writeHead(reply.status, { "content-type": "application/json", ...reply.headers })
    outgoing.end(reply.body === undefined ? undefined : JSON.stringify(reply.body))
  })
  const { url, stop } = await listen(server, 0)
  return {
    url,
    received,
    on: (operation, handler) => {
      handlers.set(operation, typeof handler === "function" ? handler : () => handler)
    },
    [Symbol.asyncDispose]: stop,
  }
}

/** JSON as a value, a form as text. */
function parsed(body: string, type: string | undefined): unknown {
  if (body === "") return undefined
  return type === "application/json" ? JSON.parse(body) : body
}

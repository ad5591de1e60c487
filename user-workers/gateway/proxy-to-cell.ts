/**
 * Carries one request to an origin of a cell and the answer back: bodies stream, WebSockets and server-sent events stay open, redirects and
 * cookies belong to the client, and whatever status the origin gives is its answer.
 */
import { CONFIG_HEADER, EGRESS_PROBLEM_HEADER, PASSPORT_HEADER } from "../../contracts/reserved-headers.ts"
import { endWhenIdle } from "../../kit/end-when-idle.ts"
import { forwardedBody } from "../../kit/forwarded-body.ts"
import { removeHopByHop } from "../../kit/hop-by-hop.ts"
import { type Attempt, askOrigins, type OriginHealth, type OriginPermit } from "../../kit/origin-pool.ts"
import { refuse } from "../../kit/problem.ts"
import { mayBeRepeated } from "../../kit/retry.ts"

export interface ProxyOptions {
  readonly zone: string
  /** Origins of the zone's cell, at least one. */
  readonly origins: readonly string[]
  /** The cell's passport, made for this caller. */
  readonly token: string
  /** Hostname by which the request entered, from the verified passport. Never from the request: a sibling writes its URL as it likes. */
  readonly host: string | undefined
  /** Requests of the same key go to the same origin while it is fit. */
  readonly stickyKey: string
  readonly fetch: (request: Request) => Promise<Response>
  readonly health: OriginHealth<OriginPermit>
  /** Milliseconds until the response headers must be there, over all tries. */
  readonly timeoutMs: number
  /** Milliseconds that the response body may stand still; 0: for ever. */
  readonly idleMs: number
  /** One record per try without an answer. */
  readonly log: (record: OriginFailure) => void
}

interface OriginFailure {
  readonly event: "origin-failed"
  readonly zone: string
  readonly origin: string
  readonly code: string
  readonly isTriedElsewhere: boolean
}

/** The cell's response. Refuses `cell.unavailable` when no origin is fit, `cell.timeout`, `cell.failed`. */
export async function proxyToCell(request: Request, options: ProxyOptions): Promise<Response> {
  const outgoing = outgoingOf(request, options)
  const isRepeatable = mayBeRepeated(request.method, outgoing.init.body)
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(), options.timeoutMs)
  try {
    return await askOrigins(
      { ...options, isRepeatable },
      options.health,
      (origin) => tryOrigin(origin, request.signal, outgoing, timeout.signal, options),
      ({ origin, refusal, isTriedElsewhere }) =>
        options.log({ event: "origin-failed", zone: options.zone, origin, code: refusal.code, isTriedElsewhere }),
    )
  } finally {
    clearTimeout(timer)
  }
}

interface Outgoing {
  readonly address: string
  readonly init: { readonly method: string; readonly headers: Headers; readonly body: ReadableStream | null }
}

function outgoingOf(request: Request, { token, host }: ProxyOptions): Outgoing {
  const url = new URL(request.url)
  const headers = new Headers(request.headers)
  removeHopByHop(headers)
  // Answered towards the client before any of this ran (RFC 9110 §10.1.1), and the config is the gateway's own affair.
  headers.delete("expect")
  headers.delete(CONFIG_HEADER)
  headers.set(PASSPORT_HEADER, token)
  if (host === undefined) headers.delete("x-forwarded-host")
  else headers.set("x-forwarded-host", host)
  headers.set("x-forwarded-proto", url.protocol.slice(0, -1))
  const body = forwardedBody(request, headers)
  return { address: url.pathname + url.search, init: { method: request.method, headers, body } }
}

/** What took too long is not tried elsewhere: the origin may be at it still. The address is joined as text: resolving a path such as `//evil.example/` would change the host. */
async function tryOrigin(
  origin: string,
  client: AbortSignal,
  { address, init }: Outgoing,
  timeout: AbortSignal,
  { fetch, idleMs }: ProxyOptions,
): Promise<Attempt<Response>> {
  const end = new AbortController()
  const signal = AbortSignal.any([client, timeout, end.signal])
  try {
    const response = await fetch(new Request(origin + address, { ...init, redirect: "manual", signal }))
    const problem = response.headers.get(EGRESS_PROBLEM_HEADER)
    if (problem === null)
      return { kind: "answered", answer: endWhenIdle(withoutHopByHop(response), idleMs, () => end.abort()) }
    await response.body?.cancel()
    const refusal = refuse("cell.failed", { cause: problem })
    return problem === "egress.destination-failed"
      ? { kind: "failed", refusal, mayGoElsewhere: true }
      : { kind: "ended", refusal }
  } catch (cause) {
    if (client.aborted) return { kind: "ended", refusal: refuse("cell.failed", { cause }) }
    const code = timeout.aborted ? "cell.timeout" : "cell.failed"
    return { kind: "failed", refusal: refuse(code, { cause }), mayGoElsewhere: !timeout.aborted }
  }
}

/** Copied only where there is something to remove: a copy costs, and a WebSocket's response must stay itself. */
function withoutHopByHop(response: Response): Response {
  const isClean = !["connection", "keep-alive", "trailer"].some((name) => response.headers.has(name))
  if (isClean || response.webSocket !== null) return response
  const copy = new Response(response.body, response)
  removeHopByHop(copy.headers)
  return copy
}

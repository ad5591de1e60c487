/**
 * Carries one request to an origin of a cell and the answer back: bodies stream, WebSockets and server-sent events stay open, redirects and
 * cookies belong to the client, and whatever status the origin gives is its answer.
 */
import { AUDIENCE_HEADER, EGRESS_PROBLEM_HEADER, normalizeHeaderName } from "../../contracts/reserved-headers.ts"
import { COMPANY_HEADER } from "../../kit/company-detection.ts"
import { egressRefusal } from "../../kit/egress-refusal.ts"
import { endWhenIdle } from "../../kit/end-when-idle.ts"
import { forwardedBody } from "../../kit/forwarded-body.ts"
import { removeHopByHop } from "../../kit/hop-by-hop.ts"
import { type Attempt, askOrigins, type OriginHealth, type OriginPermit } from "../../kit/origin-pool.ts"
import { type Refusal, refuse } from "../../kit/problem.ts"
import { mayBeRepeated } from "../../kit/retry.ts"

const MOST_WATCHED_BYTES = 1024 * 1024
/** Milliseconds until a body that broke a call off is known to have done so. */
const BROKEN_MS = 100

export interface ProxyOptions {
  readonly zone: string
  /** Origins of the zone's cell, at least one. */
  readonly origins: readonly string[]
  /** Of the cell. The request goes with the gateway's own passport; one for this audience is put in its place on the way out. */
  readonly audience: string
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
  /** Resolves when the body is over: whether the client broke it off, or may have. */
  readonly isBroken: Promise<boolean>
}

function outgoingOf(request: Request, { audience, host }: ProxyOptions): Outgoing {
  const url = new URL(request.url)
  const headers = new Headers(request.headers)
  removeHopByHop(headers)
  // Answered towards the client before any of this ran (RFC 9110 §10.1.1).
  headers.delete("expect")
  // Rack and CGI read an underscore as a dash: nobody has looked at what this one says.
  for (const name of [...headers.keys()])
    if (name !== COMPANY_HEADER && normalizeHeaderName(name) === COMPANY_HEADER) headers.delete(name)
  headers.set(AUDIENCE_HEADER, audience)
  if (host === undefined) headers.delete("x-forwarded-host")
  else headers.set("x-forwarded-host", host)
  headers.set("x-forwarded-proto", url.protocol.slice(0, -1))
  const { body, isBroken } = watched(forwardedBody(request, headers), headers)
  return { address: url.pathname + url.search, init: { method: request.method, headers, body }, isBroken }
}

/** What took too long is not tried elsewhere: the origin may be at it still. The address is joined as text: resolving a path such as `//evil.example/` would change the host. */
async function tryOrigin(
  origin: string,
  client: AbortSignal,
  { address, init, isBroken }: Outgoing,
  timeout: AbortSignal,
  { fetch, idleMs }: ProxyOptions,
): Promise<Attempt<Response>> {
  const failed = async (refusal: Refusal): Promise<Attempt<Response>> => {
    // Headers that wait for a body may wait for the client, who may as well have broken off: a few such uploads must not close a cell to everybody.
    const isClients = init.body !== null && (timeout.aborted || (await isSoonTrue(isBroken)))
    return isClients ? { kind: "ended", refusal } : { kind: "failed", refusal, mayGoElsewhere: !timeout.aborted }
  }
  const end = new AbortController()
  const signal = AbortSignal.any([client, timeout, end.signal])
  try {
    const response = await fetch(new Request(origin + address, { ...init, redirect: "manual", signal }))
    const refusal = egressRefusal(response, "cell.failed")
    if (refusal === null)
      return { kind: "answered", answer: endWhenIdle(withoutHopByHop(response), idleMs, () => end.abort()) }
    const isOrigins = response.headers.get(EGRESS_PROBLEM_HEADER) === "egress.destination-failed"
    await response.body?.cancel()
    return isOrigins ? await failed(refusal) : { kind: "ended", refusal }
  } catch (cause) {
    if (client.aborted) return { kind: "ended", refusal: refuse("cell.failed", { cause }) }
    const code = timeout.aborted ? "cell.timeout" : "cell.failed"
    return failed(refuse(code, { cause }))
  }
}

/**
 * The body by a way on which it shows which end of it failed: natively, but at about half the speed. A long one goes straight on, and is taken for broken whenever its call fails:
 * shorter ones tell of an origin that is dead.
 */
function watched(body: ReadableStream | null, headers: Headers) {
  if (body === null) return { body, isBroken: Promise.resolve(false) }
  const length = headers.get("content-length")
  if (Number(length) > MOST_WATCHED_BYTES) return { body, isBroken: Promise.resolve(true) }
  const through = length === null ? new IdentityTransformStream() : new FixedLengthStream(Number(length))
  const isBroken = body.pipeTo(through.writable, { preventCancel: true }).then(
    () => false,
    // What has failed cannot be cancelled.
    () =>
      body.cancel().then(
        () => false,
        () => true,
      ),
  )
  return { body: through.readable, isBroken }
}

/** A call that failed of its own leaves its body standing, and that may be for ever. */
async function isSoonTrue(claim: Promise<boolean>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(resolve, BROKEN_MS, false)
  try {
    return await Promise.race([claim, late])
  } finally {
    clearTimeout(timer)
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

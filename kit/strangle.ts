/**
 * Carries out one request of a strangler migration: the chosen service answers, the legacy one steps in for a new one that fails, and in shadow mode
 * both are asked and compared behind the client's back. Which side, and whether to compare, is strangle-rules.ts' to say; how a service is reached is the Worker's.
 */
import { EGRESS_PROBLEM_HEADER } from "../contracts/reserved-headers.ts"
import { refuse } from "./problem.ts"

/** Response header: who answered. `fallback` is the legacy service, because the new one failed. */
export const STRANGLER_HEADER = "x-strangler"
/** Request header on copies, so that a service can leave them out of what it counts or bills. Never from a client: the Worker removes it. */
export const COPY_HEADER = "x-strangler-copy"

type Side = "legacy" | "new"

/** Only these are ever asked twice (RFC 9110 §9.2.1). OPTIONS is safe too, but there is nothing in its answer that a client reads. */
const MIRRORED: ReadonlySet<string> = new Set(["GET", "HEAD"])
/** The legacy service may answer these after the new one has seen them. */
const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"])
/** …and these only while the new one has certainly not: two services are not one resource, so what RFC 9110 §9.2.2 says of repeating does not help. */
const IDEMPOTENT: ReadonlySet<string> = new Set([...SAFE, "PUT", "DELETE"])
/** They ask for a part, or name a validator of the system that made it. */
const INCOMPARABLE = ["if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range", "range"]

/** For requests that go to the new service whatever is known of it. */
const UNCOUNTED: Permit = { succeed() {}, fail() {}, abandon() {} }

/** Legacy's and the new service's while legacy's second is awaited, and what a slow client has not taken of the first. */
const BODIES_HELD = 3

export interface StrangleOrder {
  readonly request: Request
  readonly side: Side
  /** Compare in the background. Has no effect on methods other than GET and HEAD, on upgrades, on conditional and partial requests, on event streams, or when the new side answers. */
  readonly isShadowed: boolean
  /** Of each of the three bodies, what the comparison reads at most. */
  readonly comparedBytesMost: number
  /** Milliseconds since the epoch, for `Deprecation` and `Sunset` on answers of the legacy service; null for none. */
  readonly deprecationMs: number | null
  readonly sunsetMs: number | null
}

export interface SendOptions {
  readonly signal: AbortSignal
  /** Not the client's request but a copy: no body, and marked with {@link COPY_HEADER}. */
  readonly isCopy: boolean
}

/** Leave for one request to the new service, such as `circuitBreaker()` gives, settled once. */
export interface Permit {
  succeed(): void
  fail(): void
  abandon(): void
}

/** `Access` is whatever the Worker needs to reach a service: an origin and a passport, say. */
export interface StrangleDependencies<Access> {
  /** Rejects before anything was sent. */
  access(side: Side): Promise<Access>
  /** Redirects are to be left alone. */
  send(access: Access, options: SendOptions): Promise<Response>
  /** Milliseconds until the response headers must be there. */
  readonly timeoutMs: Readonly<Record<Side, number>>
  /**
   * Leave for a request of a safe method to ask the new service; without it legacy answers at once. Settled by what became of it: silence and 5xx speak against the new service,
   * a client that broke off says nothing. Not asked for any other method, which has nowhere else to go, nor for a copy.
   */
  enterNew(): Permit | { readonly retryAfterMs: number }
  readonly waitUntil: (work: Promise<unknown>) => void
  readonly shadows: Shadows
  /** Compares what the client got with what `ask` gives, in the background. Rejects only for faults of its own. */
  compare(first: Response, ask: Ask, signal: AbortSignal): Promise<void>
  /** Told of each `fallback`, and of each shadowed request that was `skipped`: too many at once, or the comparison failed. */
  note(event: "fallback" | "skipped"): void
}

/** The same request once more, as a copy, with no more time than the request itself. */
export type Ask = (side: Side) => Promise<Response>

/**
 * The answer, with {@link STRANGLER_HEADER}. Bodies stream both ways; redirects, cookies and WebSockets are the client's.
 * Refuses `service.timeout`, `service.failed`, and whatever `access` refuses.
 */
export async function strangle<Access>(order: StrangleOrder, deps: StrangleDependencies<Access>): Promise<Response> {
  if (order.side === "legacy") {
    const response = await answerOf("legacy", order, deps)
    return stamp(isMirrorable(order, response) ? shadow(response, order, deps) : response, "legacy", order)
  }
  const response = await attemptNew(order, deps)
  if (response !== null) return stamp(response, "new", order)
  deps.note("fallback")
  return stamp(await answerOf("legacy", order, deps), "fallback", order)
}

/** Null when the new service failed, or is known to fail, and the legacy one may answer instead. */
async function attemptNew<Access>(order: StrangleOrder, deps: StrangleDependencies<Access>): Promise<Response | null> {
  const { request } = order
  const permit = SAFE.has(request.method) ? deps.enterNew() : UNCOUNTED
  if ("retryAfterMs" in permit) return null
  // Asked after the fact: a body that was read cannot be sent again. GET and HEAD are sent without.
  const isRepeatable = () => SAFE.has(request.method) && !request.bodyUsed
  let wasSent = false
  const watched = {
    ...deps,
    send: (access: Access, options: SendOptions) => {
      wasSent = true
      return deps.send(access, options)
    },
  }
  try {
    const response = await answerOf("new", order, watched)
    const problem = response.headers.get(EGRESS_PROBLEM_HEADER)
    // What the platform answered itself says nothing of the service, but for the one thing that it can: that nobody was there.
    const isTheServices = problem === null || problem === "egress.destination-failed"
    // It would not let the request out, or could not. Any other problem is the caller's to hear, and would be the same from legacy.
    const hasFailed = response.status >= 500 || problem?.startsWith("egress.") === true
    if (isTheServices && !hasFailed) permit.succeed()
    else settleFailure(permit, isTheServices && isRepeatable())
    if (!hasFailed || !isRepeatable()) return response
    void response.body?.cancel().catch(() => {})
    return null
  } catch (failure) {
    settleFailure(permit, wasSent && isRepeatable() && !request.signal.aborted)
    const mayFallBack = wasSent ? isRepeatable() : IDEMPOTENT.has(request.method)
    if (request.signal.aborted || !mayFallBack) throw failure
    return null
  }
}

/** A body that a client sends slowly, and what the platform did not let through, are no failures of the service. */
function settleFailure(permit: Permit, isTheServices: boolean): void {
  if (isTheServices) permit.fail()
  else permit.abandon()
}

function answerOf<Access>(side: Side, order: StrangleOrder, deps: StrangleDependencies<Access>): Promise<Response> {
  return attempt(side, { signal: order.request.signal, isCopy: false }, deps)
}

async function attempt<Access>(
  side: Side,
  { signal, isCopy }: SendOptions,
  deps: StrangleDependencies<Access>,
): Promise<Response> {
  const access = await deps.access(side)
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(), deps.timeoutMs[side])
  try {
    return await deps.send(access, { signal: AbortSignal.any([signal, timeout.signal]), isCopy })
  } catch (cause) {
    throw refuse(timeout.signal.aborted ? "service.timeout" : "service.failed", { cause })
  } finally {
    clearTimeout(timer)
  }
}

/** Asked again of the request itself, whatever the order says: an unsafe method is never sent twice. */
function isMirrorable({ request, isShadowed }: StrangleOrder, response: Response): boolean {
  if (!isShadowed || !MIRRORED.has(request.method) || response.webSocket !== null) return false
  // Endless, and no two are alike.
  if (/^text\/event-stream\b/i.test(response.headers.get("content-type") ?? "")) return false
  return !request.headers.has("upgrade") && !INCOMPARABLE.some((name) => request.headers.has(name))
}

/** The response for the client; whatever goes wrong with the comparison is only counted. */
function shadow<Access>(response: Response, order: StrangleOrder, deps: StrangleDependencies<Access>): Response {
  const slot = deps.shadows.enter(BODIES_HELD * order.comparedBytesMost)
  if (slot === null) {
    deps.note("skipped")
    return response
  }
  // Each branch reads on its own: the runtime holds for the client what the comparison has read, and that is bounded.
  const [toClient, toCompare] = response.body === null ? [null, null] : response.body.tee()
  const ask: Ask = (side) => attempt(side, { signal: slot.signal, isCopy: true }, deps)
  const work = deps
    .compare(new Response(toCompare, response), ask, slot.signal)
    .catch(() => {
      deps.note("skipped")
      void toCompare?.cancel().catch(() => {})
    })
    .finally(slot.leave)
  deps.waitUntil(work)
  return new Response(toClient, response)
}

/** Once, on a copy: setting headers costs one. A WebSocket's response stays itself. */
function stamp(response: Response, by: Side | "fallback", { deprecationMs, sunsetMs }: StrangleOrder): Response {
  if (response.webSocket !== null) return response
  const stamped = new Response(response.body, response)
  stamped.headers.set(STRANGLER_HEADER, by)
  if (by === "new") return stamped
  if (deprecationMs !== null) stamped.headers.set("deprecation", `@${Math.floor(deprecationMs / 1000)}`)
  if (sunsetMs !== null) stamped.headers.set("sunset", new Date(sunsetMs).toUTCString())
  return stamped
}

interface Slot {
  /** Aborted at the deadline. */
  readonly signal: AbortSignal
  leave(): void
}

export interface ShadowsOptions {
  /** Comparisons at once. */
  readonly most: number
  /** What all of them may hold, of the 128 MB that an isolate has for everything. */
  readonly bytesMost: number
  /** Milliseconds for each; the runtime gives work after an answer 30 s. */
  readonly deadlineMs: number
  readonly clock?: { now(): number }
}

/**
 * Bounds what comparisons hold in one isolate. A slot whose request the runtime ended without a word is free again at its deadline.
 */
export class Shadows {
  readonly #options: Required<ShadowsOptions>
  #entered: Entered[] = []

  constructor(options: ShadowsOptions) {
    this.#options = { clock: Date, ...options }
  }

  /** Null when there are too many, or when they hold too much to hold `bytes` more. */
  enter(bytes: number): Slot | null {
    const { most, bytesMost, deadlineMs, clock } = this.#options
    const now = clock.now()
    this.#entered = this.#entered.filter((each) => each.until > now)
    const held = this.#entered.reduce((sum, each) => sum + each.bytes, 0)
    if (this.#entered.length >= most || held + bytes > bytesMost) return null
    const own = { until: now + deadlineMs, bytes }
    this.#entered.push(own)
    const leave = () => {
      this.#entered = this.#entered.filter((each) => each !== own)
    }
    return { signal: AbortSignal.timeout(deadlineMs), leave }
  }
}

interface Entered {
  readonly until: number
  readonly bytes: number
}

/**
 * Carries out one request of a strangler migration: the chosen service answers, the legacy one steps in for a new one that fails, and in shadow mode
 * both are asked and compared behind the client's back. Which side, and whether to compare, is strangle-rules.ts' to say; how a service is reached is the Worker's.
 */
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

export interface StrangleOrder {
  readonly request: Request
  readonly side: Side
  /** Compare in the background. Has no effect on methods other than GET and HEAD, on upgrades, on conditional and partial requests, on event streams, or when the new side answers. */
  readonly isShadowed: boolean
  /** Milliseconds since the epoch, for `Deprecation` and `Sunset` on answers of the legacy service; null for none. */
  readonly deprecationMs: number | null
  readonly sunsetMs: number | null
}

export interface SendOptions {
  readonly signal: AbortSignal
  /** Not the client's request but a copy: no body, and marked with {@link COPY_HEADER}. */
  readonly isCopy: boolean
}

/** `Access` is whatever the Worker needs to reach a service: an origin and a passport, say. */
export interface StrangleDependencies<Access> {
  /** Rejects before anything was sent. */
  access(side: Side): Promise<Access>
  /** Redirects are to be left alone. */
  send(access: Access, options: SendOptions): Promise<Response>
  /** Milliseconds until the response headers must be there. */
  readonly timeoutMs: Readonly<Record<Side, number>>
  readonly waitUntil: (work: Promise<unknown>) => void
  readonly shadows: Shadows
  /** Compares what the client got with what `ask` gives, in the background. Rejects only for faults of its own. */
  compare(first: Response, ask: Ask, signal: AbortSignal): Promise<void>
  /** Told of each `fallback`, and of each shadowed request that was `skipped`: too many at once, or the comparison failed. */
  note(event: "fallback" | "skipped"): void
}

/** The same request once more, as a copy. */
export type Ask = (side: Side) => Promise<Response>

/**
 * The answer, with {@link STRANGLER_HEADER}. Bodies stream both ways; redirects, cookies and WebSockets are the client's.
 * Refuses `service.timeout`, `service.failed`, and whatever `access` refuses.
 */
export async function strangle<Access>(order: StrangleOrder, deps: StrangleDependencies<Access>): Promise<Response> {
  if (order.side === "legacy") {
    const response = await attempt("legacy", order, deps)
    return stamp(isMirrorable(order, response) ? shadow(response, deps) : response, "legacy", order)
  }
  const response = await attemptNew(order, deps)
  if (response !== null) return stamp(response, "new", order)
  deps.note("fallback")
  return stamp(await attempt("legacy", order, deps), "fallback", order)
}

/** Null when the new service failed and the legacy one may answer instead. */
async function attemptNew<Access>(order: StrangleOrder, deps: StrangleDependencies<Access>): Promise<Response | null> {
  const { method, signal, bodyUsed } = order.request
  let wasSent = false
  const watched = {
    ...deps,
    send: (access: Access, options: SendOptions) => {
      wasSent = true
      return deps.send(access, options)
    },
  }
  try {
    const response = await attempt("new", order, watched)
    if (response.status < 500 || !SAFE.has(method)) return response
    void response.body?.cancel().catch(() => {})
    return null
  } catch (failure) {
    const mayFallBack = wasSent ? SAFE.has(method) : IDEMPOTENT.has(method) && !bodyUsed
    if (signal.aborted || !mayFallBack) throw failure
    return null
  }
}

async function attempt<Access>(
  side: Side,
  order: StrangleOrder,
  deps: StrangleDependencies<Access>,
): Promise<Response> {
  const access = await deps.access(side)
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(), deps.timeoutMs[side])
  try {
    const signal = AbortSignal.any([order.request.signal, timeout.signal])
    return await deps.send(access, { signal, isCopy: false })
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
  if (response.headers.get("content-type")?.startsWith("text/event-stream") === true) return false
  return !request.headers.has("upgrade") && !INCOMPARABLE.some((name) => request.headers.has(name))
}

/** The response for the client; whatever goes wrong with the comparison is only counted. */
function shadow<Access>(response: Response, deps: StrangleDependencies<Access>): Response {
  const slot = deps.shadows.enter()
  if (slot === null) {
    deps.note("skipped")
    return response
  }
  // Each branch reads on its own: the runtime holds for the client what the comparison has read, and that is bounded.
  const [toClient, toCompare] = response.body === null ? [null, null] : response.body.tee()
  const ask: Ask = async (side) => deps.send(await deps.access(side), { signal: slot.signal, isCopy: true })
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

/**
 * Bounds what comparisons hold in one isolate. A slot whose request the runtime ended without a word is free again at its deadline.
 */
export class Shadows {
  readonly #most: number
  readonly #deadlineMs: number
  readonly #clock: { now(): number }
  #deadlines: number[] = []

  /** `most` comparisons at once, `deadlineMs` for each; the runtime gives work after an answer 30 s. */
  constructor({ most, deadlineMs, clock = Date }: { most: number; deadlineMs: number; clock?: { now(): number } }) {
    this.#most = most
    this.#deadlineMs = deadlineMs
    this.#clock = clock
  }

  /** Null when there are too many. */
  enter(): Slot | null {
    const now = this.#clock.now()
    this.#deadlines = this.#deadlines.filter((each) => each > now)
    if (this.#deadlines.length >= this.#most) return null
    const deadline = now + this.#deadlineMs
    this.#deadlines.push(deadline)
    const leave = () => {
      const at = this.#deadlines.indexOf(deadline)
      if (at !== -1) this.#deadlines.splice(at, 1)
    }
    return { signal: AbortSignal.timeout(this.#deadlineMs), leave }
  }
}

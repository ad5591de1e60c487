/**
 * Which of several origins answers a request: the same one for the same key as long as it is fit, and the next in that key's own order when it is not.
 * Health is what calls came to; nobody is asked for it. Used by the gateway, one pool for all zones.
 */
import { type Refusal, refuse } from "./problem.ts"

/** A request goes to so many origins at most: the second try of a storm costs as much as the first. */
const MOST_TRIES = 2

/** Who says whether an origin is fit, such as `circuitBreaker()`. */
export interface OriginHealth<Permit> {
  enter(key: string): Permit | { readonly retryAfterMs: number }
  stateOf(key: string): "closed" | "open" | "half-open"
}

export interface Choice<Permit> {
  readonly origin: string
  /** To be settled by what the call came to. */
  readonly permit: Permit
}

export interface OriginWish {
  /** Within which origins are told apart: the same origin in two zones is two. */
  readonly zone: string
  /** At least one; the order means nothing. */
  readonly origins: readonly string[]
  /** What keeps to one origin: a company, a subject, or a request's id. */
  readonly stickyKey: string
  /** Origins that this request has tried. */
  readonly tried?: readonly string[]
  /** Whether this request may find out if an origin is fit again: one that can be sent elsewhere after. */
  readonly mayProbe: boolean
}

/** Leave for one call, settled by what the call says of the origin. */
export interface OriginPermit {
  succeed(): void
  fail(): void
  abandon(): void
}

export type Attempt<Answer> =
  /** Any answer, whatever its status, speaks for the origin. */
  | { readonly kind: "answered"; readonly answer: Answer }
  /** No answer, and the origin is to blame. */
  | { readonly kind: "failed"; readonly refusal: Refusal; readonly mayGoElsewhere: boolean }
  /** No answer, which says nothing of the origin: the client went away. */
  | { readonly kind: "ended"; readonly refusal: Refusal }

export type OriginQuestion = Omit<OriginWish, "tried" | "mayProbe"> & {
  /** Whether the request may be sent a second time; see `mayBeRepeated` of `retry.ts`. */
  readonly isRepeatable: boolean
}

export interface FailedAttempt {
  readonly origin: string
  readonly refusal: Refusal
  readonly isTriedElsewhere: boolean
}

/**
 * The answer of the origin that {@link chooseOrigin} gives, or of the next one when the first gave none and the request may be repeated; never of the same one twice.
 * Throws the last attempt's refusal, or `cell.unavailable` with Retry-After when no origin is fit. `onFailure` hears of each attempt that failed.
 */
export async function askOrigins<Answer>(
  question: OriginQuestion,
  health: OriginHealth<OriginPermit>,
  attempt: (origin: string) => Promise<Attempt<Answer>>,
  onFailure: (failed: FailedAttempt) => void,
): Promise<Answer> {
  const { isRepeatable } = question
  const tried: string[] = []
  let last: Refusal | null = null
  while (tried.length < MOST_TRIES) {
    const choice = chooseOrigin({ ...question, tried, mayProbe: isRepeatable }, health)
    if ("retryAfterMs" in choice) throw last ?? unavailable(choice.retryAfterMs)
    const { origin, permit } = choice
    tried.push(origin)
    const result = await attempt(origin)
    if (result.kind === "answered") {
      permit.succeed()
      return result.answer
    }
    last = result.refusal
    if (result.kind === "failed") permit.fail()
    else permit.abandon()
    const isOver = !isRepeatable || result.kind === "ended" || !result.mayGoElsewhere || tried.length === MOST_TRIES
    onFailure({ origin, refusal: last, isTriedElsewhere: !isOver })
    if (isOver) break
  }
  throw last ?? unavailable(0)
}

function unavailable(retryAfterMs: number): Refusal {
  return refuse("cell.unavailable", { headers: { "retry-after": String(Math.max(1, Math.ceil(retryAfterMs / 1000))) } })
}

/**
 * The origin for a request: the first of its key's order that is fit. An origin that may be fit again is left to requests that may probe, and to all others once there is no other.
 * When none is fit, how long until one may be, in milliseconds.
 */
export function chooseOrigin<Permit extends object>(
  wish: OriginWish,
  health: OriginHealth<Permit>,
): Choice<Permit> | { readonly retryAfterMs: number } {
  const inOrder = rankOrigins(wish.origins, wish.stickyKey).filter((origin) => wish.tried?.includes(origin) !== true)
  const keyOf = (origin: string) => `${wish.zone} ${origin}`
  const isFit = (origin: string) => health.stateOf(keyOf(origin)) === "closed"
  const candidates = wish.mayProbe ? inOrder : [...inOrder.filter(isFit), ...inOrder.filter((each) => !isFit(each))]
  let retryAfterMs = Number.POSITIVE_INFINITY
  for (const origin of candidates) {
    const answer = health.enter(keyOf(origin))
    if (!("retryAfterMs" in answer)) return { origin, permit: answer }
    retryAfterMs = Math.min(retryAfterMs, answer.retryAfterMs)
  }
  return { retryAfterMs }
}

/**
 * Rendezvous hashing: origins in this key's own order, evenly spread over keys. Taking one origin away or adding one moves only the keys whose first it was or becomes.
 * An origin named twice counts once.
 */
export function rankOrigins(origins: readonly string[], stickyKey: string): readonly string[] {
  if (origins.length === 1) return origins
  const scored = [...new Set(origins)].map((origin) => ({ origin, score: hash32(`${origin}\0${stickyKey}`) }))
  scored.sort((one, other) => other.score - one.score || (one.origin < other.origin ? -1 : 1))
  return scored.map(({ origin }) => origin)
}

/** FNV-1a over UTF-16 units, with murmur3's finaliser, since FNV alone spreads the last characters badly. Not for secrets. */
function hash32(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

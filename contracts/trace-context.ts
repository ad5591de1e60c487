/**
 * W3C Trace Context as text: what crosses from the dispatcher to a user Worker, to a sibling and to an origin. Written and read by the dispatcher, which
 * takes no tracing library for it; the kit uses OpenTelemetry's own propagator, and a test holds the two together.
 * @see https://www.w3.org/TR/trace-context/ §3.2
 */

export const TRACEPARENT_HEADER = "traceparent"
export const TRACESTATE_HEADER = "tracestate"
export const BAGGAGE_HEADER = "baggage"

/** One span as its children know it. */
export interface TraceParent {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string
  /** 16 lower-case hex digits, not all zero. */
  readonly spanId: string
  /** Whoever is asked to record does so. */
  readonly isSampled: boolean
}

/** Version, trace id, parent id, flags; a version above 00 may append to it. */
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
/** Characters of a traceparent that are looked at; one of a later version may be longer than ours. */
const TRACEPARENT_MOST = 256

/** The header's value, or null when it is absent, malformed, of the forbidden version ff, or two values joined: a context that is not one is none. */
export function parseTraceparent(value: string | null): TraceParent | null {
  if (value === null || value.length > TRACEPARENT_MOST) return null
  const match = TRACEPARENT.exec(value)
  if (match === null) return null
  const [, version, traceId, spanId, flags, rest] = match
  if (traceId === undefined || spanId === undefined || flags === undefined) return null
  if (version === "00" && rest !== undefined) return null
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

/** The header's value, version 00. */
export function formatTraceparent({ traceId, spanId, isSampled }: TraceParent): string {
  return `00-${traceId}-${spanId}-${isSampled ? "01" : "00"}`
}

/**
 * A JWT, such as a passport: its header is a JSON object, whose base64url begins so. Harmless text of that shape is no loss, nor is the word that goes on into it.
 * Looked for once in each word, at its first `eyJ` (what a lookahead has found is not tried differently): else a path that repeats it would take time by the square of its length.
 */
const TOKEN = /(?<![A-Za-z0-9_-])(?=([A-Za-z0-9_-]*?eyJ))\1[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*/g
const PATH_MOST = 1024

/** `text` with what looks like a token replaced. */
export function withoutTokens(text: string): string {
  return text.includes("eyJ") ? text.replace(TOKEN, "[token]") : text
}

/** A path for `url.path`: no query, no fragment, no token, at most 1,024 characters. */
export function scrubPath(path: string): string {
  const end = path.search(/[?#]/)
  return withoutTokens(end === -1 ? path : path.slice(0, end)).slice(0, PATH_MOST)
}

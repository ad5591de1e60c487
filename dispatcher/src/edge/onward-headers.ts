/**
 * The headers that leave the gateway with a request: what came, without all that a client may not say, and then what the gateway itself says.
 * Made once per dispatch, at the entrance and at a sibling's, from what {@link ReadHeaders} noted.
 */
import { CONFIG_HEADER, PASSPORT_HEADER, REQUEST_ID_HEADER } from "../../../contracts/reserved-headers.ts"
import {
  BAGGAGE_HEADER,
  formatTraceparent,
  TRACEPARENT_HEADER,
  TRACESTATE_HEADER,
  type TraceParent,
} from "../../../contracts/trace-context.ts"
import { withoutGatewayCookies } from "./gateway-cookies.ts"
import type { ReadHeaders } from "./read-headers.ts"

/** What came, as far as it matters here. */
export interface CameIn
  extends Pick<ReadHeaders, "headerNamesToRemove" | "hasGatewayCookie" | "mayGoOn" | "isExactAsText"> {
  readonly request: Pick<Request, "headers">
  readonly requestId: string
}

/** What the gateway says to the Worker. */
export interface Said {
  readonly passport: string
  /** Its span is the parent of what the Worker does; what else came of a trace (`tracestate`, `baggage`) goes on when the trace does. */
  readonly trace: TraceParent & { readonly isContinued: boolean }
  /** The config revision that the request is under; tells the Worker when to forget what it remembers of the config. */
  readonly configRevision: number
  /** The script begins sessions, and gets the cookies of a login under way. */
  readonly beginsSessions: boolean
}

/**
 * Without reserved names in every spelling, the credential, hop-by-hop fields and those that Connection names, and the gateway's own cookies; then, last, so that nothing
 * that came stands in its place, what is `said`.
 *
 * A plain record wherever that says the same: a `Headers` is made, copied once more by the runtime, and collected, which costs some 7 % of the whole line (docs/decisions/0009).
 */
export function onwardHeaders(came: CameIn, said: Said): Headers | Record<string, string> {
  return came.isExactAsText ? asRecord(came, said) : asCopy(came, said)
}

function asRecord(came: CameIn, said: Said): Record<string, string> {
  const { mayGoOn, headerNamesToRemove } = came
  // Without a prototype: a client may name a header `__proto__`.
  const record: Record<string, string> = Object.create(null)
  for (let at = 0; at < mayGoOn.length; at += 2) {
    const name = mayGoOn[at] as string
    const value = mayGoOn[at + 1] as string
    if (headerNamesToRemove.includes(name) || (isTraceState(name) && !said.trace.isContinued)) continue
    const kept = name === "cookie" ? keptCookie(value, came, said) : value
    if (kept !== null) record[name] = kept
  }
  record[REQUEST_ID_HEADER] = came.requestId
  record[CONFIG_HEADER] = String(said.configRevision)
  record[TRACEPARENT_HEADER] = formatTraceparent(said.trace)
  record[PASSPORT_HEADER] = said.passport
  return record
}

/** Keeps the bytes of what is not ASCII, and lines that cannot be joined: as text they would be written anew. */
function asCopy(came: CameIn, said: Said): Headers {
  const headers = new Headers(came.request.headers)
  for (const name of came.headerNamesToRemove) headers.delete(name)
  if (!said.trace.isContinued) {
    headers.delete(TRACESTATE_HEADER)
    headers.delete(BAGGAGE_HEADER)
  }
  const cookie = headers.get("cookie")
  const kept = cookie === null ? null : keptCookie(cookie, came, said)
  if (kept === null) headers.delete("cookie")
  else if (kept !== cookie) headers.set("cookie", kept)
  headers.set(REQUEST_ID_HEADER, came.requestId)
  headers.set(CONFIG_HEADER, String(said.configRevision))
  headers.set(TRACEPARENT_HEADER, formatTraceparent(said.trace))
  headers.set(PASSPORT_HEADER, said.passport)
  return headers
}

function isTraceState(name: string): boolean {
  return name === TRACESTATE_HEADER || name === BAGGAGE_HEADER
}

/** Null when none is left. */
function keptCookie(cookie: string, came: CameIn, said: Said): string | null {
  if (!came.hasGatewayCookie) return cookie
  return withoutGatewayCookies(cookie, said.beginsSessions) || null
}

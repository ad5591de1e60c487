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

/** Of an Inbound, what decides which of its headers go on. */
export interface OnwardSource
  extends Pick<ReadHeaders, "headerNamesToRemove" | "hasGatewayCookie" | "onwardPairs" | "isSayableAsText"> {
  readonly request: Pick<Request, "headers">
  readonly requestId: string
}

/** What the gateway itself says to the Worker, and about it. */
export interface GatewayStatement {
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
 * that came stands in its place, the gateway's `statement`.
 *
 * A plain record wherever that means the same: a `Headers` is made, copied once more by the runtime, and collected, for what docs/decisions/0009 says. In a record names are in lower case,
 * as in HTTP/2, and the lines of one name are one.
 */
export function onwardHeaders(source: OnwardSource, statement: GatewayStatement): Headers | Record<string, string> {
  return source.isSayableAsText ? asRecord(source, statement) : asCopy(source, statement)
}

function asRecord(source: OnwardSource, statement: GatewayStatement): Record<string, string> {
  const { onwardPairs } = source
  // Without a prototype: a client may name a header `__proto__`.
  const record: Record<string, string> = Object.create(null)
  for (let at = 0; at < onwardPairs.length; at += 2) {
    const name = onwardPairs[at] as string
    const value = onwardPairs[at + 1] as string
    if (isTraceState(name) && !statement.trace.isContinued) continue
    const kept = name === "cookie" ? keptCookie(value, source, statement) : value
    if (kept !== null) record[name] = kept
  }
  say(source, statement, (name, value) => {
    record[name] = value
  })
  return record
}

/** Keeps the bytes of what is not ASCII, and lines that a comma cannot join: as text they would be written anew. Not of cookies from which the gateway's are taken. */
function asCopy(source: OnwardSource, statement: GatewayStatement): Headers {
  const headers = new Headers(source.request.headers)
  for (const name of source.headerNamesToRemove) headers.delete(name)
  if (!statement.trace.isContinued) {
    headers.delete(TRACESTATE_HEADER)
    headers.delete(BAGGAGE_HEADER)
  }
  const cookie = headers.get("cookie")
  const kept = cookie === null ? null : keptCookie(cookie, source, statement)
  if (kept === null) headers.delete("cookie")
  else if (kept !== cookie) headers.set("cookie", kept)
  say(source, statement, (name, value) => headers.set(name, value))
  return headers
}

/** Names in lower case; the passport last. */
function say(source: OnwardSource, statement: GatewayStatement, set: (name: string, value: string) => void): void {
  set(REQUEST_ID_HEADER, source.requestId)
  set(CONFIG_HEADER, String(statement.configRevision))
  set(TRACEPARENT_HEADER, formatTraceparent(statement.trace))
  set(PASSPORT_HEADER, statement.passport)
}

function isTraceState(name: string): boolean {
  return name === TRACESTATE_HEADER || name === BAGGAGE_HEADER
}

/** Null when none is left. */
function keptCookie(cookie: string, source: OnwardSource, statement: GatewayStatement): string | null {
  if (!source.hasGatewayCookie) return cookie
  return withoutGatewayCookies(cookie, statement.beginsSessions) || null
}

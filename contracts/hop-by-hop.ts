/**
 * What belongs to one connection and not to the message (RFC 9110 §7.6.1), and what `Connection` may not take away.
 * The one definition for everyone who passes a message on, so that two of our hops never read one message differently.
 */
import { isReservedRequestHeader, normalizeHeaderName } from "./reserved-headers.ts"

/** Never passed on, lower case. `upgrade` is not among them: each hop keeps it for WebSockets and for nothing else. */
export const HOP_BY_HOP_HEADERS: readonly string[] = [
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
]

/**
 * Without these a message means something else, or the next hop decides by less than this one did (CVE-2026-6338 in another gateway).
 * RFC 9110 §7.6.1 itself forbids `cache-control`; `procore-company-id` and `origin` are what the gateway decides by.
 */
const END_TO_END: ReadonlySet<string> = new Set([
  "authorization",
  "cache-control",
  "cookie",
  "host",
  "origin",
  "procore-company-id",
  "set-cookie",
  "upgrade",
])
/** All that says how long the content is and how to read it. */
const END_TO_END_PREFIX = "content-"

/** RFC 9110 §5.6.2; `Headers` throws for a name that is none. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** True when a header of this name is to be removed because `Connection` names it. Any spelling; false for what is no header name. */
export function mayBeNominated(name: string): boolean {
  if (!TOKEN.test(name)) return false
  const normal = normalizeHeaderName(name)
  return !END_TO_END.has(normal) && !normal.startsWith(END_TO_END_PREFIX) && !isReservedRequestHeader(normal)
}

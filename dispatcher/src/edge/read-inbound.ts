/**
 * Stage "readInbound": the one place that says what a request is: for which host, which path, from whom, with which credentials.
 * Everything after it uses the Inbound and never reads the URL or a gateway header again. Runs on every request: no URL object, one pass over the headers.
 */
import type { Facts } from "../../../contracts/passport.ts"
import { canonicalPath } from "../../../kit/canonical-path.ts"
import { refuse } from "../../../kit/problem.ts"
import { canonicalHostname } from "./canonical-hostname.ts"
import { type ReadHeaders, readHeaders } from "./read-headers.ts"
import { readFacts } from "./request-facts.ts"

/** A request as every stage sees it. `authorization`, `pin` and the rest of {@link ReadHeaders} are as sent: unverified. */
export interface Inbound extends Omit<ReadHeaders, "connectingIp" | "asksForCors" | "origin"> {
  /** As it came, headers and all: for what goes on, never to be read for a decision. */
  readonly request: Request
  readonly requestId: string
  readonly method: string
  /** Lower case, no port, no trailing dot, never an address. */
  readonly hostname: string
  /** Canonical, see canonical-path.ts. */
  readonly path: string
  /** With its `?`, as sent; empty when there is none. */
  readonly query: string
  /** Length of the whole URL, which is ASCII. */
  readonly urlBytes: number
  readonly facts: Facts
  /** `Origin` is this request's own origin, its https one where the request came without TLS. */
  readonly isOwnOrigin: boolean
  /** A CORS preflight: OPTIONS, without credential or body (Fetch §4.8). With either it is a request like any: it would pass unasked where others have to say who they are. */
  readonly isPreflight: boolean
}

/**
 * Reads `request`, touching nothing. `requestId` is the gateway's own; what a client sends under that name is removed.
 * Refuses `edge.hostname-invalid`, `edge.path-ambiguous`, `edge.framing-ambiguous`, `edge.body-unexpected`, and never throws anything else.
 */
export function readInbound(request: Request, requestId: string): Inbound {
  const { url } = request
  const authorityAt = url.startsWith("https://") ? 8 : 7
  const pathAt = url.indexOf("/", authorityAt)
  if (pathAt === -1 || (authorityAt === 7 && !url.startsWith("http://"))) throw refuse("edge.hostname-invalid")
  const queryAt = url.indexOf("?", pathAt)
  const pathEnd = queryAt === -1 ? url.length : queryAt
  // A request target has no fragment (RFC 9112 §3.2); one in the path is found by canonicalPath.
  if (queryAt !== -1 && url.indexOf("#", queryAt) !== -1) throw refuse("edge.path-ambiguous")
  const headers = readHeaders(request.headers)
  const { method } = request
  // An empty one is common and harmless: some clients send `Content-Length: 0` with everything.
  const hasBody = request.body !== null && headers.contentLength !== 0
  if (hasBody && (method === "GET" || method === "HEAD")) throw refuse("edge.body-unexpected")
  return {
    request,
    requestId,
    method,
    hostname: canonicalHostname(url.slice(authorityAt, pathAt)),
    path: canonicalPath(url.slice(pathAt, pathEnd)),
    query: queryAt === -1 ? "" : url.slice(queryAt),
    urlBytes: url.length,
    facts: readFacts((request as { readonly cf?: unknown }).cf, headers.connectingIp),
    authorization: headers.authorization,
    pin: headers.pin,
    contentLength: headers.contentLength,
    upgrade: headers.upgrade,
    hasGatewayCookie: headers.hasGatewayCookie,
    sessionCookie: headers.sessionCookie,
    fetchSite: headers.fetchSite,
    fetchMode: headers.fetchMode,
    accept: headers.accept,
    isOwnOrigin: headers.origin !== null && isOwnOrigin(headers.origin, url.slice(0, pathAt)),
    isServiceWorkerScript: headers.isServiceWorkerScript,
    traceparent: headers.traceparent,
    isPreflight: headers.asksForCors && method === "OPTIONS" && !hasBody,
    headerNamesToRemove: headers.headerNamesToRemove,
    onwardPairs: headers.onwardPairs,
    isSayableAsText: headers.isSayableAsText,
    headerBytes: headers.headerBytes,
  }
}

/** Both as the URL parser writes an origin, which leaves out the default port. An http page is never the own one of an https request: anybody on the way could have written it. */
function isOwnOrigin(origin: string, own: string): boolean {
  return origin === own || (own.startsWith("http://") && origin === `https://${own.slice(7)}`)
}

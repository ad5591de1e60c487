/**
 * One pass over the headers, which notes the values that the gateway needs, and what may go on and what may not.
 * Nothing is changed here: onward-headers.ts makes from it the headers that go on.
 */
import { HOP_BY_HOP_HEADERS, mayBeNominated } from "../../../contracts/hop-by-hop.ts"
import { isReservedRequestHeader, normalizeHeaderName, PIN_HEADER } from "../../../contracts/reserved-headers.ts"
import { BAGGAGE_HEADER, TRACEPARENT_HEADER, TRACESTATE_HEADER } from "../../../contracts/trace-context.ts"
import { refuse } from "../../../kit/problem.ts"
import { mayHoldGatewayCookie, sessionCookieOf } from "./gateway-cookies.ts"

export interface ReadHeaders {
  /** Values of headers sent twice are joined by `, `, and then are no single credential, pin or address. Null when absent. */
  readonly authorization: string | null
  readonly pin: string | null
  readonly connectingIp: string | null
  /** Null when not stated. */
  readonly contentLength: number | null
  /** A WebSocket upgrade. */
  readonly upgrade: boolean
  readonly hasGatewayCookie: boolean
  /** Value of the session cookie, unverified; null when there is none, or anything beside it that could be taken for it. */
  readonly sessionCookie: string | null
  /** What the browser says of who asks and for what (Fetch Metadata, Fetch §3.2): text of whoever sends it, null when absent. */
  readonly fetchSite: string | null
  readonly fetchMode: string | null
  readonly origin: string | null
  readonly accept: string | null
  /** The browser asks for the script of a service worker (`Service-Worker: script`). */
  readonly isServiceWorkerScript: boolean
  /** Asks what a page of another origin may send (`Access-Control-Request-Method`), and shows no credential: neither `Authorization` nor any cookie. */
  readonly asksForCors: boolean
  readonly traceparent: string | null
  /** Names present that may not go on, as spelled. */
  readonly headerNamesToRemove: readonly string[]
  /** Name, value, name, value … of all others: names in lower case, the values of a name that came more than once joined by `, `. */
  readonly onwardPairs: readonly string[]
  /** {@link onwardPairs} mean what was sent (RFC 9110 §5.3): no byte beyond ASCII, no lines that a comma cannot join. */
  readonly isSayableAsText: boolean
  /** Names and values and four bytes each, in UTF-16 units: values outside Latin-1 count less than their bytes. */
  readonly headerBytes: number
}

/** What a header means to the gateway. All pass but those of {@link ENDS_HERE}; Cookie loses the gateway's own, and an Upgrade passes for a WebSocket only. */
type Role =
  | "plain"
  | "remove"
  | "cookie"
  | "setCookie"
  | "authorization"
  | "pin"
  | "connectingIp"
  | "contentLength"
  | "transferEncoding"
  | "connection"
  | "upgrade"
  | "serviceWorker"
  | "corsMethod"
  | "fetchSite"
  | "fetchMode"
  | "origin"
  | "accept"
  | "traceparent"

const SPECIAL: ReadonlyMap<string, Role> = new Map<string, Role>([
  ...HOP_BY_HOP_HEADERS.map((name): [string, Role] => [name, "remove"]),
  ["authorization", "authorization"],
  [PIN_HEADER, "pin"],
  ["cf-connecting-ip", "connectingIp"],
  ["content-length", "contentLength"],
  ["transfer-encoding", "transferEncoding"],
  ["connection", "connection"],
  ["upgrade", "upgrade"],
  ["service-worker", "serviceWorker"],
  ["access-control-request-method", "corsMethod"],
  ["sec-fetch-site", "fetchSite"],
  ["sec-fetch-mode", "fetchMode"],
  ["origin", "origin"],
  ["accept", "accept"],
  ["cookie", "cookie"],
  // Its lines cannot be joined (RFC 9110 §5.3); a request has no use for it.
  ["set-cookie", "setCookie"],
  [TRACEPARENT_HEADER, "traceparent"],
  // Only their underscore spelling ends: see roleOf.
  [TRACESTATE_HEADER, "plain"],
  [BAGGAGE_HEADER, "plain"],
  ["host", "plain"],
])

/** Those whose value is kept. */
const READ = [
  "authorization",
  "pin",
  "connectingIp",
  "contentLength",
  "transferEncoding",
  "connection",
  "upgrade",
  "serviceWorker",
  "corsMethod",
  "fetchSite",
  "fetchMode",
  "origin",
  "accept",
  "traceparent",
] as const
type ReadRole = (typeof READ)[number]
const READ_ROLES: ReadonlySet<Role> = new Set(READ)
const ENDS_HERE: ReadonlySet<Role> = new Set([
  "remove",
  "authorization",
  "pin",
  "connectingIp",
  "transferEncoding",
  "connection",
])
/** Up to here a character of text is one and the same byte on the wire. */
const LAST_ASCII = 127

const HOP_BY_HOP: ReadonlySet<string> = new Set(HOP_BY_HOP_HEADERS)
const MOST_NOMINATED = 32
const LENGTH = /^[0-9]{1,15}$/
/** Roles by name as spelled: the same few dozen names come all the time. Clients choose what comes: long names are not remembered, and a full map begins anew, so that nobody fills it for good. */
const roles = new Map<string, Role>()
const ROLES_AT_MOST = 1000
const REMEMBERED_AT_MOST = 64

/** Refuses `edge.framing-ambiguous` when the body's length is stated twice or in a way that a next hop could read differently. */
export function readHeaders(headers: Headers): ReadHeaders {
  const read = walk(headers)
  const { upgrade, connection, headerNamesToRemove } = read
  const isWebSocket = upgrade !== null && upgrade.toLowerCase() === "websocket"
  const nominated = connection === null ? [] : nominatedBy(connection, headers)
  if (upgrade !== null && !isWebSocket) nominated.push("upgrade")
  return {
    authorization: read.authorization,
    pin: read.pin,
    connectingIp: read.connectingIp,
    contentLength: lengthOf(read.contentLength, read.transferEncoding),
    upgrade: isWebSocket,
    hasGatewayCookie: read.hasGatewayCookie,
    sessionCookie: read.sessionCookie,
    fetchSite: read.fetchSite,
    fetchMode: read.fetchMode,
    origin: read.origin,
    accept: read.accept,
    isServiceWorkerScript: read.serviceWorker !== null,
    asksForCors: read.corsMethod !== null && read.authorization === null && !read.hasCookie,
    traceparent: read.traceparent,
    headerNamesToRemove: nominated.length === 0 ? headerNamesToRemove : [...headerNamesToRemove, ...nominated],
    onwardPairs: nominated.length === 0 ? read.onwardPairs : withoutNames(read.onwardPairs, nominated),
    isSayableAsText: read.isSayableAsText,
    headerBytes: read.headerBytes,
  }
}

/** The pass itself. `forEach` takes a fifth less time in workerd than `for…of`, and this is most of what reading a request costs. */
function walk(headers: Headers) {
  const read = {
    authorization: null as string | null,
    pin: null as string | null,
    connectingIp: null as string | null,
    contentLength: null as string | null,
    transferEncoding: null as string | null,
    connection: null as string | null,
    upgrade: null as string | null,
    serviceWorker: null as string | null,
    corsMethod: null as string | null,
    fetchSite: null as string | null,
    fetchMode: null as string | null,
    origin: null as string | null,
    accept: null as string | null,
    traceparent: null as string | null,
    sessionCookie: null as string | null,
    hasCookie: false,
    hasGatewayCookie: false,
    headerNamesToRemove: [] as string[],
    onwardPairs: [] as string[],
    isSayableAsText: true,
    headerBytes: 0,
  }
  headers.forEach((value, name) => {
    read.headerBytes += name.length + value.length + 4
    const role = roles.get(name) ?? roleOf(name)
    if (role !== "plain") {
      if (isRead(role)) read[role] = value
      else if (role === "cookie") {
        read.hasCookie = true
        read.hasGatewayCookie = mayHoldGatewayCookie(value)
        if (read.hasGatewayCookie) read.sessionCookie = sessionCookieOf(value)
        // Two lines of cookies would become one, whose first cookie's value holds the second.
        if (value.includes(",")) read.isSayableAsText = false
      } else if (role === "setCookie") read.isSayableAsText = false
      if (ENDS_HERE.has(role)) {
        read.headerNamesToRemove.push(name)
        return
      }
    }
    read.onwardPairs.push(name, value)
    if (!isAscii(value)) read.isSayableAsText = false
  })
  return read
}

/** By hand: asked for every header, and measured cheaper than a regular expression. */
function isAscii(value: string): boolean {
  for (let at = 0; at < value.length; at++) if (value.charCodeAt(at) > LAST_ASCII) return false
  return true
}

function isRead(role: Role): role is ReadRole {
  return READ_ROLES.has(role)
}

/** A header that only by its underscores differs from one that matters is never honoured, and never handed to a reader that takes the two for one. */
function roleOf(name: string): Role {
  const normal = normalizeHeaderName(name)
  const special = SPECIAL.get(normal)
  const isRemoved = special === undefined ? isReservedRequestHeader(normal) : normal !== name.toLowerCase()
  const role = isRemoved ? "remove" : (special ?? "plain")
  if (name.length > REMEMBERED_AT_MOST) return role
  if (roles.size >= ROLES_AT_MOST) roles.clear()
  roles.set(name, role)
  return role
}

/** RFC 9112 §6.1–6.3: one of the two, once, in its plain form. */
function lengthOf(contentLength: string | null, transferEncoding: string | null): number | null {
  if (transferEncoding !== null) {
    if (contentLength !== null || transferEncoding.trim().toLowerCase() !== "chunked")
      throw refuse("edge.framing-ambiguous")
    return null
  }
  if (contentLength === null) return null
  if (!LENGTH.test(contentLength)) throw refuse("edge.framing-ambiguous")
  return Number(contentLength)
}

/** RFC 9110 §7.6.1: the fields present that Connection names, which are for this hop alone. What the gateway sets, it sets after the removal, out of a client's reach. */
function nominatedBy(connection: string, headers: Headers): string[] {
  const tokens = connection.split(",", MOST_NOMINATED + 1)
  if (tokens.length > MOST_NOMINATED)
    throw refuse("edge.framing-ambiguous", { detail: "Connection names too many headers." })
  // Most name `keep-alive` alone, which never goes on anyway.
  return tokens
    .map((each) => each.trim().toLowerCase())
    .filter((token) => !HOP_BY_HOP.has(token) && mayBeNominated(token) && headers.has(token))
}

/** `names` are few ({@link MOST_NOMINATED}), `pairs` as many as a client likes. */
function withoutNames(pairs: readonly string[], names: readonly string[]): string[] {
  return pairs.filter((_, at) => !names.includes(pairs[at - (at % 2)] as string))
}

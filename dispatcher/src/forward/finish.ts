/**
 * Stage "finish": the Worker's response as the client may see it (R13). A team's Worker speaks for its route and for nothing else:
 * not for the whole site, not for the gateway, and an authenticated answer is private unless it says something stricter.
 * Those that begin sessions set the gateway's cookies too, in the form that keeps them to this host.
 */
import type { SubjectKind } from "../../../contracts/passport.ts"
import {
  CONFIG_HEADER,
  isReservedResponseHeader,
  RELEASE_HEADER,
  REQUEST_ID_HEADER,
} from "../../../contracts/reserved-headers.ts"
import { LOGIN_COOKIE_PREFIX, SESSION_COOKIE } from "../../../contracts/session.ts"

/**
 * Cookies of this prefix are the gateway's. Whatever the edge takes for one when it comes back (edge/gateway-cookies.ts) counts: any case, after white space, after the `=` of a nameless cookie, which
 * comes back as its value alone, and after a comma in a value.
 */
const GATEWAY_COOKIE = /^(?:[^;]*,)?[\s\p{Cc}=]*__(?:host|secure)-sallyport/iu
/** RFC 6265 §4.1.1: in any case, wherever it stands. */
const DOMAIN = /;\s*domain\s*(?:=[^;]*)?(?=;|$)/gi

/** The same response, body untouched, with the headers that it may not set removed and ours added. `release.placedName` is `<script>--v<version>`; `passport` is the one it was given, which it may not hand on to the client (R5). */
export function finish(
  response: Response,
  inbound: { readonly requestId: string; readonly hostname: string },
  release: { readonly placedName: string; readonly beginsSessions: boolean },
  configRevision: number,
  subjectKind: SubjectKind,
  passport: string,
): Response {
  const finished = response.webSocket === null ? new Response(response.body, response) : new Response(null, response)
  const { headers } = finished
  let hasCookies = false
  let cacheControl: string | null = null
  const refused: string[] = []
  headers.forEach((value, name) => {
    if (name === "set-cookie") hasCookies = true
    else if (name === "cache-control") cacheControl = value
    else if (isReservedResponseHeader(name) || value.includes(passport)) refused.push(name)
  })
  for (const name of refused) headers.delete(name)
  if (hasCookies) keepOwnCookies(headers, inbound.hostname, release.beginsSessions)
  if (subjectKind !== "anonymous") keepPrivate(headers, cacheControl)
  headers.set(REQUEST_ID_HEADER, inbound.requestId)
  headers.set(CONFIG_HEADER, String(configRevision))
  headers.set(RELEASE_HEADER, release.placedName)
  return finished
}

/** Drops cookies for other hosts or with the gateway's names, unless it `maySetGateways`. A Domain of the own host is taken off: with it the cookie would reach all hosts below. */
function keepOwnCookies(headers: Headers, hostname: string, maySetGateways: boolean): void {
  const cookies = headers.getSetCookie()
  headers.delete("set-cookie")
  for (const cookie of cookies) {
    if (GATEWAY_COOKIE.test(cookie)) {
      if (maySetGateways && isSoundGatewayCookie(cookie)) headers.append("set-cookie", cookie)
    } else if (isOwnDomain(cookie, hostname)) headers.append("set-cookie", cookie.replace(DOMAIN, ""))
  }
}

function attributeOf(text: string): [name: string, value: string] {
  const [name = "", ...value] = text.split("=")
  return [name.trim().toLowerCase(), value.join("=").trim().toLowerCase()]
}

/** R11: the exact name, and what its prefix promises; the session's besides out of reach of scripts and of other sites' requests. Each attribute once, because readers differ in which of two they take. */
function isSoundGatewayCookie(cookie: string): boolean {
  const [pair = "", ...attributes] = cookie.split(";")
  const name = pair.slice(0, Math.max(0, pair.indexOf("=")))
  const said = new Map(attributes.map(attributeOf))
  const isSealedOff =
    said.size === attributes.length &&
    said.has("secure") &&
    said.has("httponly") &&
    said.get("path") === "/" &&
    !said.has("domain")
  if (name !== SESSION_COOKIE) return isSealedOff && name.startsWith(LOGIN_COOKIE_PREFIX)
  return isSealedOff && /^(lax|strict)$/.test(said.get("samesite") ?? "")
}

/** Every Domain attribute is looked at: RFC 6265 §5.3 takes the last, others the first. */
function isOwnDomain(cookie: string, hostname: string): boolean {
  const domains = cookie.match(DOMAIN) ?? []
  return domains.every((attribute) => {
    const value = attribute.slice(attribute.indexOf("=") + 1)
    return value.trim().replace(/^\./, "").toLowerCase() === hostname
  })
}

function keepPrivate(headers: Headers, cacheControl: string | null): void {
  if (cacheControl === null) {
    headers.set("cache-control", "private")
    return
  }
  const directives = cacheControl.split(",").map((each) => each.trim())
  const names = directives.map((each) => each.toLowerCase())
  if (names.includes("private") || names.includes("no-store")) {
    if (!names.some((each) => each === "public" || each.startsWith("s-maxage"))) return
  }
  const rest = directives.filter((each) => !/^(public|private|s-maxage\b.*)$/i.test(each))
  headers.set("cache-control", ["private", ...rest].join(", "))
}

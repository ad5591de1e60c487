/**
 * Stage "finish": the Worker's response as the client may see it (R13). A team's Worker speaks for its route and for nothing else:
 * not for the whole site, not for the gateway, and an authenticated answer is private unless it says something stricter.
 */
import type { SubjectKind } from "../../../contracts/passport.ts"
import {
  CONFIG_HEADER,
  isReservedResponseHeader,
  RELEASE_HEADER,
  REQUEST_ID_HEADER,
} from "../../../contracts/reserved-headers.ts"

/** Cookies of this prefix are the gateway's. Any case counts, and a leading `=`: a nameless cookie comes back to a server as its value alone. */
const GATEWAY_COOKIE = /^[\s\u00a0=]*__(host|secure)-sallyport/i
/** RFC 6265 §4.1.1: in any case, wherever it stands. */
const DOMAIN = /;\s*domain\s*(?:=[^;]*)?(?=;|$)/gi

/** The same response, body untouched, with the headers that it may not set removed and ours added. `placedName` is the release, `<script>--v<version>`; `passport` is the one it was given, which it may not hand on to the client (R5). */
export function finish(
  response: Response,
  inbound: { readonly requestId: string; readonly hostname: string },
  placedName: string,
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
  if (hasCookies) keepOwnCookies(headers, inbound.hostname)
  if (subjectKind !== "anonymous") keepPrivate(headers, cacheControl)
  headers.set(REQUEST_ID_HEADER, inbound.requestId)
  headers.set(CONFIG_HEADER, String(configRevision))
  headers.set(RELEASE_HEADER, placedName)
  return finished
}

/** Drops cookies for other hosts or with the gateway's names. A Domain of the own host is taken off: with it the cookie would reach all hosts below. */
function keepOwnCookies(headers: Headers, hostname: string): void {
  const cookies = headers.getSetCookie()
  headers.delete("set-cookie")
  for (const cookie of cookies) {
    if (GATEWAY_COOKIE.test(cookie) || !isOwnDomain(cookie, hostname)) continue
    headers.append("set-cookie", cookie.replace(DOMAIN, ""))
  }
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

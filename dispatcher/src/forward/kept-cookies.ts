/** Which of the cookies that a team's Worker sets reach the browser: its own, for its own host, and the gateway's from those alone who begin sessions. */
import { LOGIN_COOKIE_PREFIX, SESSION_COOKIE } from "../../../contracts/session.ts"

/**
 * Cookies of this prefix are the gateway's. Whatever the edge takes for one when it comes back (edge/gateway-cookies.ts) counts: any case, after white space, after the `=` of a nameless cookie, which
 * comes back as its value alone, and after a comma in a value.
 */
const GATEWAY_COOKIE = /^(?:[^;]*,)?[\s\p{Cc}=]*__(?:host|secure)-sallyport/iu
/** RFC 6265 §4.1.1: in any case, wherever it stands. */
const DOMAIN = /;\s*domain\s*(?:=[^;]*)?(?=;|$)/gi

/**
 * Those of `cookies`, values of `Set-Cookie`, that may be set on `hostname`: without cookies for other hosts or with the gateway's names, unless it `maySetGateways`.
 * A Domain of the own host is taken off: with it the cookie would reach all hosts below.
 */
export function keptCookies(cookies: readonly string[], hostname: string, maySetGateways: boolean): string[] {
  const kept: string[] = []
  for (const cookie of cookies) {
    if (GATEWAY_COOKIE.test(cookie)) {
      if (maySetGateways && isSoundGatewayCookie(cookie)) kept.push(cookie)
    } else if (isOwnDomain(cookie, hostname)) kept.push(cookie.replace(DOMAIN, ""))
  }
  return kept
}

function attributeOf(text: string): [name: string, value: string] {
  const [name = "", ...value] = text.split("=")
  return [name.trim().toLowerCase(), value.join("=").trim().toLowerCase()]
}

/** The exact name, and what its prefix promises; the session's besides out of reach of scripts and of other sites' requests. Each attribute once, because readers differ in which of two they take. */
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

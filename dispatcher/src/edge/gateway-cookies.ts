/**
 * The gateway's own cookies (`__Host-sallyport-…`): the session's is read here, exactly or not at all (R11), and all are kept from team Workers:
 * whoever holds a session cookie is the session.
 */
import { LOGIN_COOKIE_PREFIX, SESSION_COOKIE } from "../../../contracts/session.ts"

/** Any case, because some readers ignore it, and wherever it stands: two Cookie headers arrive joined by a comma. */
const ANYWHERE = /__(?:host|secure)-sallyport/i
/** From the delimiter before the name to the one after the value; a comma delimits too, since two Cookie headers arrive joined by one. */
const GATEWAY_COOKIE = /(^|[;,])[\s\p{Cc}]*__(?:host|secure)-sallyport[^;,]*/giu
/** What one reader or another takes for the session cookie: in any case, after any white space or a nameless cookie's `=`, with white space behind the name, with or without a value. */
const SESSION_LOOKALIKE = /(?:^|[;,])[\s\p{Cc}=]*__(?:host|secure)-sallyport-session[\s\p{Cc}]*(?=[=;,]|$)/giu
/** base64url and dots, as kit/session-cookie.ts writes it. */
const SESSION_VALUE = /^[A-Za-z0-9_.-]+$/
const NAMED_SESSION = `${SESSION_COOKIE}=`

/** False when `cookie` certainly holds none of the gateway's: all that most requests cost. */
export function mayHoldGatewayCookie(cookie: string): boolean {
  return ANYWHERE.test(cookie)
}

/**
 * Value of the session cookie in `cookie`, the value of a Cookie header; null unless there is exactly one, spelled exactly, and nothing else that any reader could take for it.
 * Whoever could make a browser send a second one could otherwise choose which of the two counts.
 */
export function sessionCookieOf(cookie: string): string | null {
  const at = cookie.startsWith(NAMED_SESSION) ? 0 : afterDelimiter(cookie)
  if (at === -1 || cookie.match(SESSION_LOOKALIKE)?.length !== 1) return null
  const from = at + NAMED_SESSION.length
  const end = cookie.indexOf(";", from)
  const value = end === -1 ? cookie.slice(from) : cookie.slice(from, end)
  return SESSION_VALUE.test(value) ? value : null
}

/** RFC 6265 §4.2.1: pairs are set apart by a semicolon and one space. */
function afterDelimiter(cookie: string): number {
  const at = cookie.indexOf(`; ${NAMED_SESSION}`)
  return at === -1 ? -1 : at + 2
}

/**
 * `cookie`, the value of a Cookie header, without the gateway's cookies in any case or after any white space; all others stay byte for byte. Empty when none is left.
 * `keepsLogin` leaves those of a login under way, exactly spelled, for the scripts that begin sessions.
 */
export function withoutGatewayCookies(cookie: string, keepsLogin = false): string {
  const kept = cookie.replace(GATEWAY_COOKIE, (found: string) => (keepsLogin && isLoginCookie(found) ? found : ""))
  return kept.replace(/^[;,] ?/, "")
}

/** `found` may begin with a semicolon and a space. What comes after a comma is none: it came in another header, or in another cookie's value. */
function isLoginCookie(found: string): boolean {
  return found.startsWith(LOGIN_COOKIE_PREFIX) || found.startsWith(`; ${LOGIN_COOKIE_PREFIX}`)
}

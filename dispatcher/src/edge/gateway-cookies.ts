/**
 * The gateway's own cookies (`__Host-sallyport-…`): the session's is read here, exactly or not at all, and all are kept from team Workers:
 * whoever holds a session cookie is the session. All of it takes time by the length of the header alone, because it comes before the screen that bounds that.
 */
import { LOGIN_COOKIE_PREFIX, SESSION_COOKIE } from "../../../contracts/session.ts"
import { trimEnd } from "../../../kit/trim.ts"

/** Any case, because some readers ignore it, and the prefix of weaker cookies. Whether it is a name at all depends on what stands before it. */
const GATEWAY_NAME = /__(?:host|secure)-sallyport/gi
const SESSION_NAME = /^__(?:host|secure)-sallyport-session$/i
/** base64url and dots, as kit/session-cookie.ts writes it. */
const SESSION_VALUE = /^[A-Za-z0-9_.-]+$/
/** What stands around a name without being part of it, to one reader or another; with the `=` of a nameless cookie, which comes back as its value alone. */
const BLANK = /[\s\p{Cc}=]/u
const isWhiteSpace = (character: string) => /[\s\p{Cc}]/u.test(character)

/** One of the gateway's cookies, or what could be taken for one, in the value of a Cookie header. */
interface Found {
  /** Where its delimiter stands, or 0. */
  readonly from: number
  /** Where its name begins. */
  readonly nameAt: number
  /** Behind its value. */
  readonly end: number
}

/** False when `cookie` certainly holds none of the gateway's: all that most requests cost. */
export function mayHoldGatewayCookie(cookie: string): boolean {
  GATEWAY_NAME.lastIndex = 0
  return GATEWAY_NAME.test(cookie)
}

/**
 * Value of the session cookie in `cookie`, the value of a Cookie header; null unless there is exactly one, spelled exactly, and nothing else that any reader could take for it.
 * Whoever could make a browser send a second one could otherwise choose which of the two counts.
 */
export function sessionCookieOf(cookie: string): string | null {
  let session: Found | null = null
  for (const found of gatewayCookies(cookie)) {
    if (!SESSION_NAME.test(nameOf(found, cookie))) continue
    if (session !== null) return null
    session = found
  }
  if (session === null || !isExactly(session, cookie, `${SESSION_COOKIE}=`)) return null
  const value = cookie.slice(session.nameAt + SESSION_COOKIE.length + 1, session.end)
  return SESSION_VALUE.test(value) && cookie.charCodeAt(session.end) !== COMMA ? value : null
}

/**
 * `cookie`, the value of a Cookie header, without the gateway's cookies in any case or after any white space; all others stay byte for byte. Empty when none is left.
 * `keepsLogin` leaves those of a login under way, exactly spelled, for the scripts that begin sessions.
 */
export function withoutGatewayCookies(cookie: string, keepsLogin = false): string {
  let kept = ""
  let at = 0
  for (const found of gatewayCookies(cookie)) {
    if (keepsLogin && isExactly(found, cookie, LOGIN_COOKIE_PREFIX)) continue
    kept += cookie.slice(at, found.from)
    at = found.end
  }
  return (kept + cookie.slice(at)).replace(/^[;,] ?/, "")
}

const SEMICOLON = 59
const COMMA = 44
const isDelimiter = (code: number) => code === SEMICOLON || code === COMMA

/** In their order. A comma delimits too, since two Cookie headers arrive joined by one. Linear in the length of the header, whatever it holds. */
function gatewayCookies(cookie: string): Found[] {
  const found: Found[] = []
  let semicolon = -1
  let comma = -1
  GATEWAY_NAME.lastIndex = 0
  for (let match = GATEWAY_NAME.exec(cookie); match !== null; match = GATEWAY_NAME.exec(cookie)) {
    const nameAt = match.index
    let before = nameAt
    while (before > 0 && BLANK.test(cookie.charAt(before - 1))) before -= 1
    if (before > 0 && !isDelimiter(cookie.charCodeAt(before - 1))) continue
    if (semicolon < nameAt) semicolon = placeOf(";", cookie, nameAt)
    if (comma < nameAt) comma = placeOf(",", cookie, nameAt)
    const end = Math.min(semicolon, comma)
    found.push({ from: Math.max(0, before - 1), nameAt, end })
  }
  return found
}

/** Of the next one, or else the end. */
function placeOf(delimiter: string, cookie: string, from: number): number {
  const at = cookie.indexOf(delimiter, from)
  return at === -1 ? cookie.length : at
}

/** Up to the `=` or the end, without the white space behind it. */
function nameOf({ nameAt, end }: Found, cookie: string): string {
  const pair = cookie.slice(nameAt, end)
  const equals = pair.indexOf("=")
  return trimEnd(equals === -1 ? pair : pair.slice(0, equals), isWhiteSpace)
}

/** Begins with `name` as it is, at the start or where RFC 6265 §4.2.1 has the next pair: behind a semicolon and one space. */
function isExactly({ from, nameAt }: Found, cookie: string, name: string): boolean {
  if (!cookie.startsWith(name, nameAt)) return false
  return nameAt === 0 || (nameAt === from + 2 && cookie.startsWith("; ", from))
}

/**
 * Keeps the gateway's own cookies (`__Host-sallyport-…`) from team Workers: whoever holds a session cookie is the session.
 */

/** From the delimiter before the name to the one after the value; a comma delimits too, since two Cookie headers arrive joined by one. */
const GATEWAY_COOKIE = /(^|[;,])[\s\p{Cc}]*__(?:host|secure)-sallyport[^;,]*/giu

/** `cookie`, the value of a Cookie header, without the gateway's cookies in any case or after any white space; all others stay byte for byte. Empty when none is left. */
export function withoutGatewayCookies(cookie: string): string {
  return cookie.replace(GATEWAY_COOKIE, "").replace(/^[;,] ?/, "")
}

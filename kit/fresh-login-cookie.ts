/**
 * The cookie by which a browser whose session was revoked asks for a fresh proof at its next login. Without it a provider that still knows the person would answer at once, with a proof from before the
 * revocation, and the new session would be refused like the old one. Set by the dispatcher, read and cleared by user-workers/login; it says nothing of anybody.
 */
import { FRESH_LOGIN_COOKIE } from "../contracts/session.ts"
import { isSpaceOrTab, trim } from "./trim.ts"

/** Time enough to click on "log in"; who comes later is refused once more, and has the cookie again. */
const MAX_AGE_S = 600
const VALUE = "1"

/** `Set-Cookie`. Lax: a login may begin at a link on another site. */
export function freshLoginCookie(): string {
  return cookie(VALUE, MAX_AGE_S)
}

/** The `Set-Cookie` that takes it from the browser, with the attributes by which it was set. */
export function clearedFreshLoginCookie(): string {
  return cookie("", 0)
}

/** True for a browser that has it, once or twice: asking too often does no harm. Only space and tab are trimmed; a look-alike is another cookie. */
export function asksForFreshLogin(request: Request): boolean {
  const pairs = (request.headers.get("cookie") ?? "").split(";")
  return pairs.some((pair) => trim(pair, isSpaceOrTab) === `${FRESH_LOGIN_COOKIE}=${VALUE}`)
}

function cookie(value: string, maxAgeS: number): string {
  return `${FRESH_LOGIN_COOKIE}=${value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=${maxAgeS}`
}

/** The cookie that binds logins under way to a browser: one secret for all its tabs, of which the store knows the hash. It reaches scripts with the grant `sessions:login` alone. */
import { base64url } from "jose"
import { LOGIN_COOKIE_PREFIX } from "../../contracts/session.ts"
import { isSpaceOrTab, trim } from "../../kit/trim.ts"
import { LOGIN_LIFETIME_MS } from "./login-store.ts"

const SECRET = /^[A-Za-z0-9_-]{43}$/

/** The browser's secret: exactly one cookie of exactly this name, or null. Only space and tab are trimmed; a look-alike is another cookie. */
export function browserSecret(request: Request): string | null {
  const pairs = (request.headers.get("cookie") ?? "").split(";").map((pair) => trim(pair, isSpaceOrTab))
  const found = pairs.filter((pair) => pair.startsWith(`${LOGIN_COOKIE_PREFIX}=`))
  const value = found[0]?.slice(LOGIN_COOKIE_PREFIX.length + 1) ?? ""
  return found.length === 1 && SECRET.test(value) ? value : null
}

export function makeSecret(): string {
  return base64url.encode(crypto.getRandomValues(new Uint8Array(32)))
}

/** `Set-Cookie`. Lax: the browser comes back from the provider by a navigation from another site. */
export function loginCookie(secret: string): string {
  return `${LOGIN_COOKIE_PREFIX}=${secret}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=${LOGIN_LIFETIME_MS / 1000}`
}

/**
 * Where a browser goes instead of seeing a refusal: to the login of the route, and from there back to where it wanted to go; or, where no credential is needed, there at once without the session that
 * is over. Only for what a person does in the address bar or by a link; what a page fetches gets the problem, and decides itself.
 *
 * It is the one place that takes a dead session from a browser, and only where that is in the way: at a page that needs none, such as the login. A cookie is taken by its name, whatever it holds by
 * then: an answer to what a page fetches, sent with the old cookie and late, would take the session that a login or step-up in another tab has just begun.
 */
import type { RouteAuth, ScriptAccess } from "../../../contracts/dispatch-config.ts"
import type { ProblemCode } from "../../../contracts/problem-codes.ts"
import { freshLoginCookie } from "../../../kit/fresh-login-cookie.ts"
import { Refusal, refuse } from "../../../kit/problem.ts"
import { clearedSessionCookie } from "../../../kit/session-cookie.ts"
import { stepUpFor } from "./authorize.ts"

/** Characters of `return_to`, percent-encoded. A longer query is left away, so that the redirect stays one that every browser follows. */
const RETURN_TO_MOST = 4_096

/** Which refusals a login can help against. */
const HELPED: ReadonlySet<ProblemCode> = new Set([
  "auth.credential-required",
  "auth.credential-invalid",
  "auth.session-expired",
  "auth.revoked",
  "auth.step-up-required",
])

/**
 * Which refusals of a session are for good, and what is then set in its browser. After a revocation that has to ask for a fresh proof at its next login, wherever that begins, since an old one would be
 * refused again.
 */
const TAKEN: Partial<Readonly<Record<ProblemCode, readonly string[]>>> = {
  "auth.credential-invalid": [clearedSessionCookie()],
  "auth.session-expired": [clearedSessionCookie()],
  "auth.revoked": [clearedSessionCookie(), freshLoginCookie()],
}

interface Navigation {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly authorization: string | null
  readonly sessionCookie: string | null
  readonly upgrade: boolean
  readonly fetchMode: string | null
  readonly accept: string | null
}

/** A browser's navigation, and what the route and its script ask of it. */
export interface Login {
  readonly inbound: Navigation
  readonly auth: RouteAuth
  readonly access: ScriptAccess | undefined
  /** Path on this hostname; null where the route has no login, and at the login itself. */
  readonly path: string | null
}

/** Where to send this request should it be refused; null for what is not a browser's navigation, and on a route that has nowhere to send it. The login is never sent to the login: that would go on for ever. */
export function loginOf(inbound: Navigation, auth: RouteAuth, access?: ScriptAccess): Login | null {
  const path = inbound.path === auth.login ? null : (auth.login ?? null)
  if ((path === null && auth.mode !== "optional") || !isNavigation(inbound)) return null
  return { inbound, auth, access, path }
}

/**
 * What to answer instead of `thrown`: `auth.session-left`, a redirect to the same place, where a session that is over was not needed; `auth.login-required`, one to the login, where that can help;
 * else `thrown` itself. A form is sent nowhere, for what it holds would be lost.
 * It says what has to be better than before: `level` and `max_age` at a step-up, and after a revocation a fresh proof.
 */
export function orLogin(thrown: unknown, login: Login | null): unknown {
  if (login === null || !(thrown instanceof Refusal) || !HELPED.has(thrown.code)) return thrown
  const { inbound, path } = login
  const { mode } = login.auth
  // Only together with the cookie's end: else the browser would come back the same.
  const cookies = mode === "optional" && inbound.sessionCookie !== null ? TAKEN[thrown.code] : undefined
  if (cookies !== undefined) return withoutSession(thrown, cookies, inbound)
  if (path === null || inbound.method !== "GET") return thrown
  const isStepUp = thrown.code === "auth.step-up-required"
  const { minLevel, maxAuthAgeS } = stepUpFor(login.auth, login.access)
  const level = isStepUp && minLevel !== undefined ? `&level=${minLevel}` : ""
  const age = isStepUp && maxAuthAgeS !== undefined ? `&max_age=${maxAuthAgeS}` : ""
  const fresh = thrown.code === "auth.revoked" ? "&max_age=0" : ""
  return refuse("auth.login-required", {
    headers: { location: `${path}?return_to=${returnTo(inbound)}${level}${age}${fresh}` },
    log: { instead: thrown.code, ...thrown.options.log },
  })
}

/** On to the same place; a form gets its problem, and can be sent once more. */
function withoutSession({ code, options }: Refusal, cookies: readonly string[], inbound: Navigation): Refusal {
  if (inbound.method !== "GET") return refuse(code, { ...options, cookies })
  return refuse("auth.session-left", {
    headers: { location: inbound.path + inbound.query },
    cookies,
    log: options.log ?? {},
  })
}

/** By a link, the address bar or a form. Fetch Metadata says it; where a browser sends none, whether it wants a page does. */
function isNavigation({ method, authorization, upgrade, fetchMode, accept }: Navigation): boolean {
  if ((method !== "GET" && method !== "POST") || authorization !== null || upgrade) return false
  return fetchMode === null ? (accept?.includes("text/html") ?? false) : fetchMode === "navigate"
}

/** Path and query of this very host, which the login checks once more. The path is canonical, so that no `//` can make another host of it. */
function returnTo({ path, query }: Navigation): string {
  const whole = encodeURIComponent(path + query)
  if (whole.length <= RETURN_TO_MOST) return whole
  const alone = encodeURIComponent(path)
  return alone.length <= RETURN_TO_MOST ? alone : encodeURIComponent("/")
}

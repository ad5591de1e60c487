/**
 * Where a browser goes instead of seeing a refusal: to the login of the route, and from there back to where it wanted to go; or, where no credential is needed, there at once without the session that
 * is over. Only for what a person does in the address bar or by a link; what a page fetches gets the problem, and decides itself.
 */
import type { RouteAuth } from "../../../contracts/dispatch-config.ts"
import type { ProblemCode } from "../../../contracts/problem-codes.ts"
import { Refusal, refuse } from "../../../kit/problem.ts"

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

interface Navigation {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly authorization: string | null
  readonly upgrade: boolean
  readonly fetchMode: string | null
  readonly accept: string | null
}

/** A browser's navigation, and what the route asks of it. */
export interface Login {
  readonly inbound: Navigation
  readonly auth: RouteAuth
  /** Path on this hostname; null where the route has no login, and at the login itself. */
  readonly path: string | null
}

/** Where to send this request should it be refused; null for what is not a browser's navigation, and on a route that has nowhere to send it. The login is never sent to the login: that would go on for ever. */
export function loginOf(inbound: Navigation, auth: RouteAuth): Login | null {
  const path = inbound.path === auth.login ? null : (auth.login ?? null)
  if ((path === null && auth.mode !== "optional") || !isNavigation(inbound)) return null
  return { inbound, auth, path }
}

/**
 * What to answer instead of `thrown`: `auth.session-left`, a redirect to the same place, where a session that is over was not needed; `auth.login-required`, one to the login, where that can help;
 * else `thrown` itself.
 * It says what has to be better than before: `level` and `max_age` at a step-up, and after a revocation a fresh proof, since an old one would be refused again.
 */
export function orLogin(thrown: unknown, login: Login | null): unknown {
  if (login === null || !(thrown instanceof Refusal) || !HELPED.has(thrown.code)) return thrown
  const { mode, minLevel, maxAuthAgeS } = login.auth
  // A cookie that is good for nothing any more would be refused there too.
  const { cookies = [], log = {} } = thrown.options
  // Only together with the cookie's end: else the browser would come back the same.
  if (mode === "optional" && cookies.length > 0) {
    return refuse("auth.session-left", {
      headers: { location: login.inbound.path + login.inbound.query },
      cookies,
      log,
    })
  }
  if (login.path === null) return thrown
  const isStepUp = thrown.code === "auth.step-up-required"
  const level = isStepUp && minLevel !== undefined ? `&level=${minLevel}` : ""
  const age = isStepUp && maxAuthAgeS !== undefined ? `&max_age=${maxAuthAgeS}` : ""
  const fresh = thrown.code === "auth.revoked" ? "&max_age=0" : ""
  return refuse("auth.login-required", {
    headers: { location: `${login.path}?return_to=${returnTo(login.inbound)}${level}${age}${fresh}` },
    cookies,
    log: { instead: thrown.code, ...log },
  })
}

/** Fetch Metadata says it; where a browser sends none, whether it wants a page does. */
function isNavigation({ method, authorization, upgrade, fetchMode, accept }: Navigation): boolean {
  if (method !== "GET" || authorization !== null || upgrade) return false
  return fetchMode === null ? (accept?.includes("text/html") ?? false) : fetchMode === "navigate"
}

/** Path and query of this very host, which the login checks once more. The path is canonical, so that no `//` can make another host of it. */
function returnTo({ path, query }: Navigation): string {
  const whole = encodeURIComponent(path + query)
  if (whole.length <= RETURN_TO_MOST) return whole
  const alone = encodeURIComponent(path)
  return alone.length <= RETURN_TO_MOST ? alone : encodeURIComponent("/")
}

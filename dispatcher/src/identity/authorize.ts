/** Stage "authorize": may this subject use this route. Evaluated for every request; nothing of it is ever cached. */
import type { RouteAuth } from "../../../contracts/dispatch-config.ts"
import { refuse } from "../../../kit/problem.ts"
import type { Subject } from "./subject.ts"

/**
 * Holds when the subject has every scope and one of the kinds that the route asks for. Anonymous callers have neither.
 * Refuses `auth.credential-required` for anonymous callers, `auth.not-allowed` for others.
 */
export function authorize(subject: Subject, auth: RouteAuth): void {
  const { kinds, scopes } = auth
  if (kinds === undefined && scopes.length === 0) return
  if (subject.kind === "anonymous") {
    throw refuse("auth.credential-required", { headers: { "www-authenticate": 'Bearer realm="sallyport"' } })
  }
  if (kinds !== undefined && !kinds.includes(subject.kind)) {
    throw refuse("auth.not-allowed", { detail: `This route is for ${kinds.join(" or ")} credentials.` })
  }
  const missing = scopes.filter((scope) => !subject.scopes.includes(scope))
  if (missing.length === 0) return
  throw refuse("auth.not-allowed", {
    detail: `The credential lacks the scope ${missing.join(" ")}.`,
    // RFC 6750 §3.1
    headers: { "www-authenticate": `Bearer error="insufficient_scope", scope="${scopes.join(" ")}"` },
  })
}

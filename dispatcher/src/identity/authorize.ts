/** Stage "authorize": may this subject use this route, and this script. Evaluated for every request and every sibling dispatch; nothing of it is ever cached. */
import type { ScriptAccess } from "../../../contracts/dispatch-config.ts"
import { refuse } from "../../../kit/problem.ts"
import type { Subject } from "./subject.ts"

/**
 * Holds when the subject has every scope and one of the kinds that are asked for: by the route, or by the script whatever the way to it.
 * Anonymous callers have neither. `conditions` undefined asks for nothing. Refuses `auth.credential-required` for anonymous callers, `auth.not-allowed` for others.
 */
export function authorize(subject: Subject, conditions: ScriptAccess | undefined): void {
  if (conditions === undefined) return
  const { kinds, scopes } = conditions
  if (kinds === undefined && scopes.length === 0) return
  if (subject.kind === "anonymous") {
    throw refuse("auth.credential-required", { headers: { "www-authenticate": 'Bearer realm="sallyport"' } })
  }
  if (kinds !== undefined && !kinds.includes(subject.kind)) {
    throw refuse("auth.not-allowed", { detail: `What is asked for is for ${kinds.join(" or ")} credentials.` })
  }
  const missing = scopes.filter((scope) => !subject.scopes.includes(scope))
  if (missing.length === 0) return
  throw refuse("auth.not-allowed", {
    detail: `The credential lacks the scope ${missing.join(" ")}.`,
    // RFC 6750 §3.1
    headers: { "www-authenticate": `Bearer error="insufficient_scope", scope="${scopes.join(" ")}"` },
  })
}

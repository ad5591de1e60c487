/** Stage "authorize": may this subject use this route, and this script. Evaluated for every request and every sibling dispatch; nothing of it is ever cached. */
import type { ScriptAccess } from "../../../contracts/dispatch-config.ts"
import { refuse } from "../../../kit/problem.ts"
import type { Subject } from "./subject.ts"

/** What a route or a script asks of whoever reaches it: of each the same. */
export type Conditions = ScriptAccess

/** What a session has to be for both: the higher level, the shorter age. */
export type StepUp = Pick<Conditions, "minLevel" | "maxAuthAgeS">

/**
 * Holds when the subject has every scope, one of the kinds, the level and the freshness that are asked for: by the route, or by the script whatever the way to it.
 * Anonymous callers have none of them. `conditions` undefined asks for nothing. Refuses `auth.credential-required` for anonymous callers, else `auth.not-allowed`,
 * and `auth.step-up-required` where logging in again can help.
 */
export function authorize(
  subject: Subject,
  conditions: Conditions | undefined,
  clock: { readonly now: () => number },
): void {
  if (conditions === undefined) return
  const { kinds, scopes, minLevel, maxAuthAgeS } = conditions
  if (kinds === undefined && scopes.length === 0 && minLevel === undefined && maxAuthAgeS === undefined) return
  if (subject.kind === "anonymous") {
    throw refuse("auth.credential-required", { headers: { "www-authenticate": 'Bearer realm="sallyport"' } })
  }
  if (kinds !== undefined && !kinds.includes(subject.kind)) {
    throw refuse("auth.not-allowed", { detail: `What is asked for is for ${kinds.join(" or ")} credentials.` })
  }
  requireScopes(subject, scopes)
  const isLevelReached = minLevel === undefined || subject.level >= minLevel
  const isFresh = maxAuthAgeS === undefined || isYounger(subject, maxAuthAgeS * 1000, clock.now())
  if (!isLevelReached || !isFresh) throw stepUp(minLevel, maxAuthAgeS)
}

/** What a login has to prove for the route and its script together, so that a browser is sent there once and not for each in turn. */
export function stepUpFor(route: StepUp, script: StepUp | undefined): StepUp {
  return {
    minLevel: bound(Math.max, route.minLevel, script?.minLevel),
    maxAuthAgeS: bound(Math.min, route.maxAuthAgeS, script?.maxAuthAgeS),
  }
}

/** Refuses while it is not known what was revoked: when the route asks for that, or its script does. */
export function isSensitive(
  route: Pick<Conditions, "sensitive">,
  script: Pick<Conditions, "sensitive"> | undefined,
): boolean {
  return route.sensitive === true || script?.sensitive === true
}

function bound(stricter: (a: number, b: number) => number, a: number | undefined, b: number | undefined) {
  return a === undefined || b === undefined ? (a ?? b) : stricter(a, b)
}

function requireScopes(subject: Subject, scopes: readonly string[]): void {
  const missing = scopes.filter((scope) => !subject.scopes.includes(scope))
  if (missing.length === 0) return
  throw refuse("auth.not-allowed", {
    detail: `The credential lacks the scope ${missing.join(" ")}.`,
    // RFC 6750 §3.1
    headers: { "www-authenticate": `Bearer error="insufficient_scope", scope="${scopes.join(" ")}"` },
  })
}

/** Of a token nobody knows whether a person was there when it was made. */
function isYounger({ sid, authTimeMs }: Subject, maxMs: number, nowMs: number): boolean {
  return sid !== null && authTimeMs !== null && nowMs - authTimeMs <= maxMs
}

/** RFC 9470 §3 */
function stepUp(minLevel: number | undefined, maxAuthAgeS: number | undefined): Error {
  const level = minLevel === undefined ? "" : `, acr_values="${minLevel}"`
  const age = maxAuthAgeS === undefined ? "" : `, max_age="${maxAuthAgeS}"`
  const error = 'Bearer error="insufficient_user_authentication", error_description="Log in again for this"'
  return refuse("auth.step-up-required", { headers: { "www-authenticate": `${error}${level}${age}` } })
}

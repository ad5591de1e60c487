/**
 * What the platform answered in place of an origin, as a refusal: a call that was never sent, because its passport could not be made or it may not go there,
 * or one that got no answer. Whatever status an origin gives is its own answer and none of this.
 */
import { PROBLEMS, type ProblemCode } from "../contracts/problem-codes.ts"
import { EGRESS_PROBLEM_HEADER } from "../contracts/reserved-headers.ts"
import { type Refusal, refuse } from "./problem.ts"

/**
 * Null when the origin answered. A refusal of the passport for the destination (`auth.revoked`, `zone.country-refused`, …) keeps its code, since it is the caller's to hear;
 * `platform.unavailable` when none was to be had, and `otherwise` for what is this Worker's own affair: a destination that does not answer, or that is not its team's.
 *
 * ```ts
 * const response = await fetch(url, { headers })
 * const refusal = egressRefusal(response, "service.failed")
 * if (refusal !== null) throw refusal
 * ```
 */
export function egressRefusal(response: Response, otherwise: ProblemCode): Refusal | null {
  const code = response.headers.get(EGRESS_PROBLEM_HEADER)
  if (code === null) return null
  if (code === "egress.passport-exchange-failed") return refuse("platform.unavailable", { cause: code })
  return refuse(isProblemCode(code) && !code.startsWith("egress.") ? code : otherwise, { cause: code })
}

function isProblemCode(text: string): text is ProblemCode {
  return Object.hasOwn(PROBLEMS, text)
}

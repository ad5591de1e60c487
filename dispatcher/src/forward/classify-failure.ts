/**
 * What a rejected dispatch means. The only place that looks at the text of a platform error, because there is nothing else to look at.
 * A team's Worker can throw any of these texts itself: so none of them leads to an answer that blames anyone but that Worker's route,
 * and whether a route exists at all is decided from our own config, never here.
 * @see https://developers.cloudflare.com/cloudflare-for-platforms/workers-for-platforms/configuration/dynamic-dispatch/
 */

import type { ProblemCode } from "../../../contracts/problem-codes.ts"
import { type Refusal, refuse } from "../../../kit/problem.ts"

/** The registry is ahead of the namespace: worth an alert, and worth a retry by the client. */
const MISSING = "Worker not found"
/** `Worker exceeded CPU time limit.`, `Too many subrequests.`, `Worker exceeded memory limit.` */
const LIMIT = /exceeded (CPU time|memory) limit|Too many subrequests/
/** The runtime saw that nothing can ever resolve the Worker's promise. */
const HUNG = "code had hung"

/** Thrown by {@link withDeadline} in forward.ts when the Worker was not in time. */
export class DeadlineExceeded extends Error {
  override readonly name = "DeadlineExceeded"
}

/** The refusal for whatever a dispatch threw; the text stays in `cause`. */
export function classifyFailure(thrown: unknown, placedName: string): Refusal {
  const code = codeOf(thrown)
  const retryAfter = code === "dispatch.script-missing" || code === "dispatch.limit-exceeded"
  return refuse(code, {
    cause: thrown,
    log: { placedName },
    ...(retryAfter ? { headers: { "retry-after": "5" } } : {}),
  })
}

function codeOf(thrown: unknown): ProblemCode {
  if (thrown instanceof DeadlineExceeded) return "dispatch.worker-timeout"
  const message = thrown instanceof Error ? thrown.message : ""
  if (message.startsWith(MISSING)) return "dispatch.script-missing"
  if (LIMIT.test(message)) return "dispatch.limit-exceeded"
  if (message.includes(HUNG)) return "dispatch.worker-timeout"
  return "dispatch.worker-failed"
}

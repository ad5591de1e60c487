/**
 * What a rejected dispatch means. The only place that looks at the text of a platform error, because there is nothing else to look at.
 * Texts are compared whole, as the platform writes them: a Worker's own error that begins with one or holds one is the Worker's. One that throws exactly such a
 * text cannot be told from the platform; so none leads to an answer that blames anyone but that Worker's route, and whether a route exists at all is decided from
 * our own config, never here. A text that the platform words anew one day counts as the Worker's until it stands here.
 * @see https://developers.cloudflare.com/cloudflare-for-platforms/workers-for-platforms/configuration/dynamic-dispatch/
 */

import type { ProblemCode } from "../../../contracts/problem-codes.ts"
import { type Refusal, refuse } from "../../../kit/problem.ts"

const DOCS = "https://developers.cloudflare.com/workers"
const SUBREQUESTS = "Too many subrequests by single Worker invocation."
/** By whole text. What production writes, and what workerd does; each is there for as long as a runtime may still write it. */
const PLATFORM_TEXTS: ReadonlyMap<string, ProblemCode> = new Map<string, ProblemCode>([
  // The registry is ahead of the namespace: worth a retry by the client.
  ["Worker not found.", "dispatch.script-missing"],
  ["Worker exceeded CPU time limit.", "dispatch.limit-exceeded"],
  ["Worker exceeded memory limit.", "dispatch.limit-exceeded"],
  ["Worker has exceeded memory limit.", "dispatch.limit-exceeded"],
  ["Too many subrequests.", "dispatch.limit-exceeded"],
  [SUBREQUESTS, "dispatch.limit-exceeded"],
  [
    `${SUBREQUESTS} To configure this limit, refer to ${DOCS}/wrangler/configuration/#limits`,
    "dispatch.limit-exceeded",
  ],
  [`${SUBREQUESTS} To configure this limit, refer to ${DOCS}/platform/limits/`, "dispatch.limit-exceeded"],
  // The runtime saw that nothing can ever resolve the Worker's promise.
  [
    `The Workers runtime canceled this request because it detected that your Worker's code had hung and would never generate a response. Refer to: ${DOCS}/observability/errors/`,
    "dispatch.worker-timeout",
  ],
])

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
  const known = thrown instanceof Error ? PLATFORM_TEXTS.get(thrown.message) : undefined
  return known ?? "dispatch.worker-failed"
}

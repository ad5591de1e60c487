/**
 * Refusals as this API has always sent them, beside RFC 9457: clients written for it read `message` and `errors`, those of
 * `company_base_url` read `error`. Extension members of a problem are allowed by RFC 9457 §3.2.
 */
import { PROBLEMS, problemType } from "../../contracts/problem-codes.ts"
import type { Refusal } from "../../kit/problem.ts"

/** `application/problem+json` with the legacy members. */
export function legacyProblem(refusal: Refusal, requestId: string): Response {
  const { status, title, fix } = PROBLEMS[refusal.code]
  const detail = refusal.options.detail ?? fix
  const body = {
    type: problemType(refusal.code),
    title,
    status,
    detail,
    code: refusal.code,
    requestId,
    message: title,
    errors: detail,
    error: { code: refusal.code, message: title },
  }
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      "x-request-id": requestId,
      ...refusal.options.headers,
    },
  })
}

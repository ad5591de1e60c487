/**
 * Refusals as this API has always sent them, beside RFC 9457: clients written for it read `message` and `errors`, those of
 * `company_base_url` read `error`. Extension members of a problem are allowed by RFC 9457 §3.2.
 */
import { PROBLEMS } from "../../contracts/problem-codes.ts"
import { problemResponse, type Refusal } from "../../kit/problem.ts"

/** The problem response with the legacy members added; `errors` is one sentence here, as this API sends it. */
export async function legacyProblem(refusal: Refusal, requestId: string): Promise<Response> {
  const problem = problemResponse(refusal, { requestId })
  const { title, fix } = PROBLEMS[refusal.code]
  const body = {
    ...(await problem.json<Record<string, unknown>>()),
    message: title,
    errors: refusal.options.detail ?? fix,
    error: { code: refusal.code, message: title },
  }
  return new Response(JSON.stringify(body), problem)
}

/**
 * Refusals as this API has always sent them, beside RFC 9457: clients written for it read `message` and `errors`, those of
 * `company_base_url` read `error`. Extension members of a problem are allowed by RFC 9457 §3.2.
 */
import { trace } from "@opentelemetry/api"
import { PROBLEMS, type ProblemCode } from "../../contracts/problem-codes.ts"
import { problemResponse, type Refusal } from "../../kit/problem.ts"

/** What the API's documentation prints under the title; some clients compare it. */
const PUBLISHED_ERRORS: Partial<Record<ProblemCode, string>> = {
  "company.required":
    "Each call your application makes to the Procore API must contain a request header that includes the Procore-Company-Id field. This request header field specifies the id of the company into which you are making the call.",
}

/** The problem response with the legacy members added; `errors` is one sentence here, as this API sends it. */
export async function legacyProblem(refusal: Refusal, requestId: string): Promise<Response> {
  const traceId = trace.getActiveSpan()?.spanContext().traceId ?? null
  const problem = problemResponse(refusal, { requestId, traceId })
  const { title, fix } = PROBLEMS[refusal.code]
  const body = {
    ...(await problem.json<Record<string, unknown>>()),
    message: title,
    errors: refusal.options.detail ?? PUBLISHED_ERRORS[refusal.code] ?? fix,
    error: { code: refusal.code, message: title },
  }
  return new Response(JSON.stringify(body), problem)
}

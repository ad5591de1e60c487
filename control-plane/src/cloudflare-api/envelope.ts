/**
 * Answers in the form of Cloudflare's API, and the one place where a refusal of ours becomes one: wrangler prints `message` as it stands,
 * so everything a person needs is in it. No other file of the door builds an error.
 */
import { PROBLEMS, type ProblemCode, problemType } from "../../../contracts/problem-codes.ts"
import { asRefusal, type Refusal, type RefusalOptions } from "../../../kit/problem.ts"
import { CodedRefusal } from "../coded-refusal.ts"

/** What clients of Cloudflare's API match on. */
export const CLOUDFLARE_CODE = {
  /** No such script, on paths of the account. */
  scriptNotFound: 10007,
  /** No such script in the namespace; anything else makes wrangler give up before its upload. */
  notInNamespace: 10092,
  noSuchNamespace: 100119,
  noSuchPath: 7003,
  /** No such Workflow; wrangler asks before an upload that declares one, and gives up at anything else. */
  noSuchWorkflow: 10200,
  authentication: 10000,
  /** What `/user/tokens/verify` answers for a token that is none; wrangler says so legibly. */
  invalidToken: 1000,
  /** Validation of an upload. */
  validation: 10021,
  tooLarge: 10027,
  scriptName: 10016,
  /** Seen of Cloudflare itself, with 429; wrangler waits as long as Retry-After says if that is a minute at most, and else prints the message. */
  tooManyCalls: 971,
  internal: 10013,
} as const

const CODE_OF_PROBLEM: Readonly<Partial<Record<ProblemCode, number>>> = {
  "api.unauthenticated": CLOUDFLARE_CODE.authentication,
  "api.not-found": CLOUDFLARE_CODE.noSuchPath,
  "script.name-invalid": CLOUDFLARE_CODE.scriptName,
  "upload.too-large": CLOUDFLARE_CODE.tooLarge,
  "api.too-large": CLOUDFLARE_CODE.tooLarge,
  "cloudflare.budget-spent": CLOUDFLARE_CODE.tooManyCalls,
  internal: CLOUDFLARE_CODE.internal,
}
/** Where Cloudflare's own status tells clients more: wrangler repeats an upload that fails with 5xx, and code that was refused will be refused again. */
const STATUS_OF_PROBLEM: Readonly<Partial<Record<ProblemCode, number>>> = { "cloudflare.refused": 400 }

/** Makes (does not throw) a refusal that clients know by `cloudflareCode`. */
export function refuseAs(cloudflareCode: number, code: ProblemCode, options: RefusalOptions = {}): Refusal {
  return new CodedRefusal(cloudflareCode, code, options)
}

/** What an operation of the door answers, unless it answers with a Response of its own. */
export interface Answer {
  readonly result: unknown
  /** 200 when absent. */
  readonly status?: number
  /** One sentence each, for people. */
  readonly messages?: readonly string[]
  readonly resultInfo?: Readonly<Record<string, unknown>>
}

export function envelope({ result, status = 200, messages = [], resultInfo }: Answer): Response {
  const body = {
    success: true,
    errors: [],
    messages: messages.map((message) => ({ code: 0, message })),
    result,
    ...(resultInfo === undefined ? {} : { result_info: resultInfo }),
  }
  return Response.json(body, { status, headers: { "cache-control": "no-store" } })
}

/** `url` is the request's, for the link to the problem's description. */
export function errorEnvelope(thrown: unknown, url: string, requestId: string | null): Response {
  const refusal = asRefusal(thrown)
  const { code, options } = refusal
  const number =
    refusal instanceof CodedRefusal
      ? refusal.cloudflareCode
      : (CODE_OF_PROBLEM[code] ?? (refusal.status < 500 ? CLOUDFLARE_CODE.validation : CLOUDFLARE_CODE.internal))
  const error = {
    code: number,
    message: messageOf(refusal, requestId),
    documentation_url: new URL(problemType(code), url).href,
  }
  const body = { success: false, errors: [error], messages: [], result: null }
  const headers = { "cache-control": "no-store", ...options.headers }
  return Response.json(body, { status: STATUS_OF_PROBLEM[code] ?? refusal.status, headers })
}

/** Title, what was wrong in this case, and each pointer on a line of its own. */
function messageOf({ code, status, options }: Refusal, requestId: string | null): string {
  const { title, fix } = PROBLEMS[code]
  const { detail, errors = [] } = options
  const lines = errors.map((each) => `- ${each.pointer}: ${each.detail}`)
  const said = detail ?? (errors.length > 0 ? "" : fix)
  const report = status === 500 && requestId !== null ? ` Request id: ${requestId}` : ""
  return [`${title}.${said === "" ? "" : ` ${said}`}${report}`, ...lines].join("\n")
}

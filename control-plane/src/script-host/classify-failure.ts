/**
 * What a failed call to Cloudflare means to the caller: `cloudflare.refused` (the team's own code or settings; Cloudflare's words are passed on,
 * they are about nothing else), or `cloudflare.unavailable` (everything the team cannot mend; no words of Cloudflare's leave).
 */
import { APIError } from "cloudflare/error"
import { asRefusal, Refusal, refuse } from "../../../kit/problem.ts"
import { CodedRefusal } from "../coded-refusal.ts"

/** Statuses by which Cloudflare speaks of the upload itself. */
const REFUSING: ReadonlySet<number> = new Set([400, 413, 422])
/** Statuses beside 5xx that say: later. */
const PASSING: ReadonlySet<number> = new Set([408, 409, 425, 429])
/** Of an answer without one: Cloudflare's for a failed validation. */
const NO_CODE = 10021
const NOT_FOUND: ReadonlySet<number> = new Set([10007, 10092])

/** Any failure of a call as the refusal it becomes; a refusal stays itself, and what is no failure of a call is a bug of ours. */
export function refusalOf(failure: unknown): Refusal {
  if (failure instanceof Refusal || !isAnswer(failure)) return asRefusal(failure)
  const status = failure instanceof APIError ? failure.status : undefined
  const errors = errorsOf(failure)
  if (status === undefined || !REFUSING.has(status))
    return refuse("cloudflare.unavailable", {
      headers: { "retry-after": "5" },
      cause: failure,
      log: { status: status ?? "no answer", errors },
    })
  return new CodedRefusal(errors[0]?.code ?? NO_CODE, "cloudflare.refused", {
    detail: errors.map(sayError).join(" ") || `Cloudflare answered ${status} and did not say why.`,
    cause: failure,
    log: { status, errors },
  })
}

/** True when the same call may succeed in a moment: no answer, an unreadable one, a limit, or a fault of Cloudflare's. A credential or a namespace that is wrong stays wrong. */
export function mayPass(failure: unknown): boolean {
  if (!(failure instanceof APIError)) return failure instanceof SyntaxError
  return failure.status === undefined || failure.status >= 500 || PASSING.has(failure.status)
}

/** The SDK wraps what `fetch` throws; JSON that cannot be read it throws as it is. */
function isAnswer(failure: unknown): boolean {
  return failure instanceof APIError || failure instanceof SyntaxError
}

/** True for an answer that says: there is no such script. A namespace that does not exist (100119) is not among them. */
export function saysNotFound(thrown: unknown): boolean {
  const failure = thrown instanceof Refusal ? thrown.cause : thrown
  return (
    failure instanceof APIError && failure.status === 404 && errorsOf(failure).some(({ code }) => NOT_FOUND.has(code))
  )
}
/** As `errors` of the envelope. */
interface CloudflareError {
  readonly code: number
  readonly message: string
}

function errorsOf(failure: unknown): CloudflareError[] {
  const errors: unknown = failure instanceof APIError ? failure.errors : null
  return Array.isArray(errors) ? errors.filter(isError) : []
}

function isError(value: unknown): value is CloudflareError {
  return (
    typeof value === "object" &&
    value !== null &&
    "message" in value &&
    typeof value.message === "string" &&
    "code" in value &&
    typeof value.code === "number"
  )
}

function sayError({ message }: CloudflareError): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal would act on is taken out
  const text = message.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, " ").trim()
  return text.slice(0, 2000)
}

/**
 * The one place that builds error responses (RFC 9457). Anything that refuses throws `refuse(code, …)`;
 * whoever wraps a request renders it with `problemResponse`. `cause` and `log` stay inside; only `detail`, `errors`, `headers` and `cookies` reach the wire.
 */
import { PROBLEMS, type ProblemCode, problemType } from "../contracts/problem-codes.ts"

/** One fault in the input: where (RFC 6901 JSON pointer) and what. */
export interface PointedError {
  readonly pointer: string
  readonly detail: string
}

export interface RefusalOptions {
  /** What was wrong in this case; written for the client, never a tenant's or dependency's text. */
  readonly detail?: string
  readonly errors?: readonly PointedError[]
  /** Extra response headers, such as Retry-After or Allow. */
  readonly headers?: Readonly<Record<string, string>>
  /** Values of `Set-Cookie`, of which there may be several. */
  readonly cookies?: readonly string[]
  readonly cause?: unknown
  /** Facts for the log only. */
  readonly log?: Readonly<Record<string, unknown>>
}

/** A request that ends with a problem. Match on `code`, never on the message. */
export class Refusal extends Error {
  override readonly name = "Refusal"
  readonly code: ProblemCode
  readonly options: RefusalOptions

  constructor(code: ProblemCode, options: RefusalOptions) {
    super(code, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.options = options
  }

  get status(): number {
    return PROBLEMS[this.code].status
  }
}

/** Makes (does not throw) a refusal: `throw refuse("auth.token-expired")`. */
export function refuse(code: ProblemCode, options: RefusalOptions = {}): Refusal {
  return new Refusal(code, options)
}

/** Any thrown value as a refusal: itself, or `internal` for what nobody foresaw. */
export function asRefusal(thrown: unknown): Refusal {
  return thrown instanceof Refusal ? thrown : new Refusal("internal", { cause: thrown })
}

/**
 * The response for a refusal: `application/problem+json`, not cacheable, with the request id and, where known, the config revision in force.
 * `context.instance` is the canonical path.
 */
export function problemResponse(
  refusal: Refusal,
  context: {
    readonly requestId: string
    readonly instance?: string
    readonly configRevision?: number | null
    /** Of the trace that the request belongs to, where there is one. */
    readonly traceId?: string | null
  },
): Response {
  const kind = PROBLEMS[refusal.code]
  const { detail, errors, headers, cookies = [] } = refusal.options
  const body = {
    type: problemType(refusal.code),
    title: kind.title,
    status: kind.status,
    detail: detail ?? kind.fix,
    ...(context.instance === undefined ? {} : { instance: context.instance }),
    code: refusal.code,
    requestId: context.requestId,
    ...(context.traceId == null ? {} : { traceId: context.traceId }),
    ...(errors === undefined ? {} : { errors }),
  }
  const response = new Response(JSON.stringify(body), {
    status: kind.status,
    headers: {
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      "x-request-id": context.requestId,
      ...headers,
    },
  })
  for (const cookie of cookies) response.headers.append("set-cookie", cookie)
  if (context.configRevision != null) response.headers.set("x-sallyport-config", String(context.configRevision))
  return response
}

/**
 * The envelope around every JSON answer of the Cloudflare API, and the one error that operations throw.
 * Production's envelope is not RFC 9457, so this folder does not use kit/problem.ts.
 * @see https://developers.cloudflare.com/fundamentals/api/how-to/make-api-calls/
 */
import { ERRORS, type ErrorName } from "./error-codes.ts"

export interface FailureOptions {
  /** Replaces the table's message. */
  readonly message?: string
  /** Overrides the table's status. */
  readonly status?: number
  /** JSON pointer into the request. */
  readonly pointer?: string
  readonly meta?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
}

/** A request that ends with an error envelope. */
export class ApiFailure extends Error {
  override readonly name = "ApiFailure"
  readonly kind: ErrorName
  readonly options: FailureOptions

  constructor(kind: ErrorName, options: FailureOptions) {
    super(options.message ?? ERRORS[kind].message)
    this.kind = kind
    this.options = options
  }
}

/** Makes (does not throw) a failure: `throw fail("namespaceMissing")`. */
export function fail(kind: ErrorName, options: FailureOptions = {}): ApiFailure {
  return new ApiFailure(kind, options)
}

/** A successful answer; `info` is `result_info`. */
export function ok(result: unknown, info?: Readonly<Record<string, unknown>>, status = 200): Response {
  const body = { success: true, errors: [], messages: [], result, ...(info === undefined ? {} : { result_info: info }) }
  return Response.json(body, { status })
}

export function failureResponse(failure: ApiFailure): Response {
  const { code, status } = ERRORS[failure.kind]
  const { options } = failure
  const error = {
    code,
    message: failure.message,
    ...(options.pointer === undefined ? {} : { source: { pointer: options.pointer } }),
    ...(options.meta === undefined ? {} : { meta: options.meta }),
  }
  return Response.json(
    { success: false, errors: [error], messages: [], result: null },
    { status: options.status ?? status, headers: options.headers ?? {} },
  )
}

/** One page of `items` by `page` and `per_page`, with the `result_info` that production sends. */
export function paged(items: readonly unknown[], query: URLSearchParams, defaultPerPage = 20): Response {
  const page = Math.max(1, Number(query.get("page") ?? 1) || 1)
  const perPage = Math.min(1000, Math.max(1, Number(query.get("per_page") ?? defaultPerPage) || defaultPerPage))
  const slice = items.slice((page - 1) * perPage, page * perPage)
  return ok(slice, {
    page,
    per_page: perPage,
    count: slice.length,
    total_count: items.length,
    total_pages: Math.ceil(items.length / perPage),
  })
}

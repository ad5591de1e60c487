/**
 * What every team's Worker starts from: a Hono app in which whatever is thrown becomes a problem response with the request id, and one log line.
 * Middleware of this folder is added with `app.use(…)`; each sets at most one typed variable, and refuses by throwing.
 */
import { trace } from "@opentelemetry/api"
import { Hono } from "hono"
import { REQUEST_ID_HEADER } from "../contracts/reserved-headers.ts"
import { asRefusal, problemResponse, type Refusal, refuse } from "./problem.ts"

export interface WorkerOptions {
  /** Makes the response for a refusal; default {@link problemResponse}. */
  readonly render?: (refusal: Refusal, requestId: string, request: Request) => Response | Promise<Response>
  /** Receives refusals with status 500 and above; default none. Never a credential or the query. */
  readonly log?: (record: FailureRecord) => void
}

export interface FailureRecord {
  readonly event: "worker-failed"
  readonly requestId: string
  readonly code: string
  /** Name and message of what was thrown: for the team's own log, never for the wire. */
  readonly cause: string | null
}

/**
 * The default export of a team's Worker. A handler may throw a `Refusal`; any other thrown value is answered as `internal`, without a word of it, and a path
 * that no handler takes as `route.not-found`.
 *
 * ```ts
 * const app = worker<Env, PassportVariables>({ log: writeLog })
 * app.use(requirePassport({ script: "example" }))
 * app.get("/hello/", (c) => c.text(`hello ${c.var.passport.sub}`))
 * export default app
 * ```
 */
export function worker<Bindings extends object = object, Variables extends object = object>(
  options: WorkerOptions = {},
): Hono<{ Bindings: Bindings; Variables: Variables }> {
  const app = new Hono<{ Bindings: Bindings; Variables: Variables }>()
  app.onError((thrown, c) => render(asRefusal(thrown), c.req.raw, options))
  app.notFound((c) => render(refuse("route.not-found"), c.req.raw, options))
  return app
}

function render(refusal: Refusal, request: Request, options: WorkerOptions): Response | Promise<Response> {
  const requestId = request.headers.get(REQUEST_ID_HEADER) ?? crypto.randomUUID()
  if (refusal.status >= 500) {
    options.log?.({ event: "worker-failed", requestId, code: refusal.code, cause: nameOf(refusal.cause) })
  }
  const traceId = trace.getActiveSpan()?.spanContext().traceId ?? null
  return options.render?.(refusal, requestId, request) ?? problemResponse(refusal, { requestId, traceId })
}

function nameOf(cause: unknown): string | null {
  if (cause === undefined) return null
  return cause instanceof Error ? `${cause.name}: ${cause.message}` : typeof cause
}

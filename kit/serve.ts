/**
 * What surrounds every request of a team's Worker: whatever is thrown becomes a problem response with the request id, and one log line.
 */
import { REQUEST_ID_HEADER } from "../contracts/reserved-headers.ts"
import { asRefusal, problemResponse, type Refusal } from "./problem.ts"

export interface ServeOptions {
  /** Makes the response for a refusal; default {@link problemResponse}. */
  readonly render?: (refusal: Refusal, requestId: string) => Response | Promise<Response>
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

type Handler<Env> = (request: Request, env: Env, context: ExecutionContext) => Response | Promise<Response>

/** The default export of a team's Worker. `handler` may throw a `Refusal`; any other thrown value is answered as `internal`, without a word of it. */
export function serve<Env>(handler: Handler<Env>, options: ServeOptions = {}) {
  return {
    async fetch(request: Request, env: Env, context: ExecutionContext): Promise<Response> {
      try {
        return await handler(request, env, context)
      } catch (thrown) {
        const refusal = asRefusal(thrown)
        const requestId = request.headers.get(REQUEST_ID_HEADER) ?? crypto.randomUUID()
        if (refusal.status >= 500) {
          options.log?.({ event: "worker-failed", requestId, code: refusal.code, cause: nameOf(refusal.cause) })
        }
        return await (options.render?.(refusal, requestId) ?? problemResponse(refusal, { requestId }))
      }
    },
  }
}

function nameOf(cause: unknown): string | null {
  if (cause === undefined) return null
  return cause instanceof Error ? `${cause.name}: ${cause.message}` : typeof cause
}

/**
 * The id under which the gateway, the logs and the client know a request, as `c.var.requestId`. Add it before whatever reads the id.
 * The gateway makes it, takes it from nobody outside, and puts it on every response itself (dispatcher/src/forward/finish.ts), over whatever a Worker says: so behind the
 * gateway this sets no header. Only where no usable id came, which means that no gateway stands in front, it makes one and says it.
 */
import type { MiddlewareHandler } from "hono"
import { REQUEST_ID_HEADER } from "../contracts/reserved-headers.ts"

export interface RequestIdVariables {
  /** At most 128 of `A–Z a–z 0–9 . _ -`. */
  readonly requestId: string
}

/** Safe in a log line and in a header; the gateway's own is a UUID. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/

/** The id that came, or null when none came or one that is not fit to be written anywhere. */
export function requestIdOf(headers: Headers): string | null {
  const sent = headers.get(REQUEST_ID_HEADER)
  return sent !== null && REQUEST_ID.test(sent) ? sent : null
}

/**
 * Sets `requestId`. An id made here stands in the request's headers too, so that problems, siblings and origins see the same one. `makeId` is for tests; default a UUID.
 *
 * ```ts
 * const app = worker<Env, RequestIdVariables>()
 * app.use(requestId())
 * app.get("/id", (c) => c.text(c.var.requestId))
 * ```
 */
export function requestId(
  makeId: () => string = () => crypto.randomUUID(),
): MiddlewareHandler<{ Variables: RequestIdVariables }> {
  return async function requestId(c, next) {
    const sent = requestIdOf(c.req.raw.headers)
    if (sent !== null) {
      c.set("requestId", sent)
      return next()
    }
    const made = makeId()
    const headers = new Headers(c.req.raw.headers)
    headers.set(REQUEST_ID_HEADER, made)
    c.req.raw = new Request(c.req.raw, { headers })
    c.set("requestId", made)
    await next()
    c.header(REQUEST_ID_HEADER, made)
  }
}

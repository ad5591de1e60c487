/**
 * Which scripts may read a problem that the gateway answers in a Worker's place. Without it a page of another origin cannot tell "log in again" from a network that is down:
 * its browser keeps the answer, and `Retry-After` with it, to itself (Fetch §3.3). A Worker's answers are the Worker's to open (kit/cors.ts).
 */
import { isGatewayOwned } from "../../../contracts/reserved-headers.ts"

/** What of a problem is said in headers, beyond those that every script may read. */
const EXPOSED = "Retry-After, WWW-Authenticate, X-Request-Id, X-Sallyport-Config, X-Sallyport-Release"

/** What is known of a request, from before anything could refuse it: the screen's problems are read by the same origins. */
export interface Asked {
  readonly inbound: { readonly request: Request; readonly hostname: string; readonly path: string }
  readonly routes: {
    find(
      hostname: string,
      path: string,
    ): string | { readonly config: { readonly problemsReadableBy?: readonly string[] | undefined } }
  }
}

interface Readers {
  /** The origin that asks, when it is one of those that may read; null for any other. */
  readonly origin: string | null
}

/** Null where no script asks, no route is found, or one that names no readers. An origin is compared as text, so that `null`, which any sandboxed frame sends, is never one of them. */
export function readersOf(asked: Asked | null): Readers | null {
  const origin = asked?.inbound.request.headers.get("origin") ?? null
  // Another spelling of a gateway path belongs to no route, as findRoute has it.
  if (asked === null || origin === null || isGatewayOwned(asked.inbound.path)) return null
  const { hostname, path } = asked.inbound
  const match = asked.routes.find(hostname, path)
  if (typeof match === "string" || match.config.problemsReadableBy === undefined) return null
  return { origin: match.config.problemsReadableBy.includes(origin) ? origin : null }
}

/** The same problem, open to the origin that asked where that may read it. */
export function readableBy(readers: Readers | null, problem: Response): Response {
  if (readers === null) return problem
  const { headers } = problem
  headers.append("vary", "Origin")
  if (readers.origin === null) return problem
  headers.set("access-control-allow-origin", readers.origin)
  headers.set("access-control-allow-credentials", "true")
  headers.set("access-control-expose-headers", EXPOSED)
  return problem
}

/**
 * Carries one request to a cell and the answer back: bodies stream, WebSockets and server-sent events stay open, redirects and
 * cookies belong to the client. The only time limit is on the response headers.
 */
import { PASSPORT_HEADER } from "../../contracts/reserved-headers.ts"
import { forwardedBody } from "../../kit/forwarded-body.ts"
import { removeHopByHop } from "../../kit/hop-by-hop.ts"
import { refuse } from "../../kit/problem.ts"
import type { CellAccess } from "./cell-passport.ts"

export interface ProxyOptions {
  /** Hostname by which the request entered, from the verified passport. Never from the request: a sibling writes its URL as it likes. */
  readonly host: string | undefined
  readonly fetch: (request: Request) => Promise<Response>
  /** Milliseconds until the response headers must be there. */
  readonly timeoutMs: number
}

/** The cell's response. Refuses `cell.timeout`, `cell.failed`. Nothing is tried twice: the cell may have acted already. */
export async function proxyToCell(request: Request, cell: CellAccess, options: ProxyOptions): Promise<Response> {
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(), options.timeoutMs)
  const signal = AbortSignal.any([request.signal, timeout.signal])
  try {
    return withoutHopByHop(await options.fetch(requestToCell(request, cell, options.host, signal)))
  } catch (cause) {
    throw refuse(timeout.signal.aborted ? "cell.timeout" : "cell.failed", { cause })
  } finally {
    clearTimeout(timer)
  }
}

/** The address is joined as text: resolving a path such as `//evil.example/` against the origin would change the host. */
function requestToCell(request: Request, cell: CellAccess, host: string | undefined, signal: AbortSignal): Request {
  const url = new URL(request.url)
  const headers = new Headers(request.headers)
  removeHopByHop(headers)
  headers.set(PASSPORT_HEADER, cell.passport)
  if (host === undefined) headers.delete("x-forwarded-host")
  else headers.set("x-forwarded-host", host)
  headers.set("x-forwarded-proto", url.protocol.slice(0, -1))
  const body = forwardedBody(request, headers)
  const init: RequestInit = { method: request.method, headers, body, redirect: "manual", signal }
  return new Request(cell.origin + url.pathname + url.search, init)
}

/** Copied only where there is something to remove: a copy costs, and a WebSocket's response must stay itself. */
function withoutHopByHop(response: Response): Response {
  const isClean = !["connection", "keep-alive", "trailer"].some((name) => response.headers.has(name))
  if (isClean || response.webSocket !== null) return response
  const copy = new Response(response.body, response)
  removeHopByHop(copy.headers)
  return copy
}

/**
 * Stage "forward": one dispatch to a user Worker, with limits, deadline and egress policy. Never retried: a body may have been read.
 * The headers are copied once, and what the copy carries is decided here: no gateway header but ours, no credential, then the passport, last.
 */
import type { EgressParameters, EgressPolicyParameter } from "../../../contracts/platform.ts"
import { CONFIG_HEADER, PASSPORT_HEADER, REQUEST_ID_HEADER } from "../../../contracts/reserved-headers.ts"
import { TRACEPARENT_HEADER } from "../../../contracts/trace-context.ts"
import { refuse } from "../../../kit/problem.ts"
import { classifyFailure, DeadlineExceeded } from "./classify-failure.ts"

/** The slice of a release target that a dispatch needs. */
export interface DispatchTarget {
  readonly placedName: string
  readonly dispatchOptions: {
    readonly limits: { readonly cpuMs: number; readonly subRequests: number }
    readonly outbound: EgressPolicyParameter
  }
}

export interface ForwardOrder {
  readonly request: Request
  readonly requestId: string
  /** Takes everything from the copied headers that a client may not say; see edge/read-inbound.ts. */
  readonly strip: (headers: Headers) => void
  readonly passport: string
  /** Names the trip as the parent of what the Worker does. */
  readonly traceparent: string
  /** The config revision that the request is under; tells the Worker when to forget what it remembers of the config. */
  readonly configRevision: number
  readonly target: DispatchTarget
  /** Milliseconds until the response's headers must be there. */
  readonly timeoutMs: number
}

/** The Worker's own response. Refuses `dispatch.*` when there is none that can be passed on. */
export async function forward(order: ForwardOrder, namespace: DispatchNamespace): Promise<Response> {
  const { request, target } = order
  const { placedName, dispatchOptions } = target
  const { limits, outbound } = dispatchOptions
  const headers = new Headers(request.headers)
  order.strip(headers)
  headers.set(REQUEST_ID_HEADER, order.requestId)
  headers.set(CONFIG_HEADER, String(order.configRevision))
  headers.set(TRACEPARENT_HEADER, order.traceparent)
  headers.set(PASSPORT_HEADER, order.passport)
  // Not a copy of the request: that would parse, clone and write out `request.cf`, which no user Worker may see, and cost a tenth of the line.
  // A redirect is always the client's to follow, never ours.
  const sent = { method: request.method, headers, body: bodyOf(request), redirect: "manual" as const }
  let response: Response
  try {
    const parameters: EgressParameters = { egress: outbound.egress, requestId: order.requestId }
    const worker = await namespace.get(placedName, {}, { limits, outbound: parameters })
    response = await withDeadline(worker.fetch(request.url, sent), order.timeoutMs)
  } catch (thrown) {
    throw classifyFailure(thrown, placedName)
  }
  if (!isUsable(response)) throw refuse("dispatch.response-invalid", { log: { placedName, status: response.status } })
  return response
}

/** None for GET and HEAD, with which the runtime makes no request; what came with one is empty, or was refused at the entrance. */
function bodyOf(request: Request): ReadableStream | null {
  return request.method === "GET" || request.method === "HEAD" ? null : request.body
}

/** `Response.error()` has status 0; a 101 without a socket, or another 1xx, cannot be sent. */
function isUsable(response: Response): boolean {
  return response.status >= 200 || (response.status === 101 && response.webSocket !== null)
}

function withDeadline(answer: Promise<Response>, timeoutMs: number): Promise<Response> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new DeadlineExceeded(`no response within ${timeoutMs} ms`))
      discardWhenItComes(answer)
    }, timeoutMs)
    answer.then(
      (response) => {
        clearTimeout(timer)
        resolve(response)
      },
      (thrown) => {
        clearTimeout(timer)
        reject(thrown)
      },
    )
  })
}

/** A response that nobody waits for any more is cancelled, so that the Worker's stream and its origin's are closed. */
function discardWhenItComes(answer: Promise<Response>): void {
  answer.then(
    (late) => late.body?.cancel(),
    () => undefined,
  )
}

/**
 * Stage "forward": one dispatch to a user Worker, with limits, deadline and egress policy. Never retried: a body may have been read.
 * Which headers go along was decided before (edge/onward-headers.ts): nothing of the request but its method, its URL and its body is read here.
 */
import type { EgressParameters, EgressPolicyParameter } from "../../../contracts/platform.ts"
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
  /** All that the Worker gets to see, the passport with it; see edge/onward-headers.ts. */
  readonly headers: HeadersInit
  readonly target: DispatchTarget
  /** Milliseconds until the response's headers must be there. */
  readonly timeoutMs: number
}

/** The Worker's own response. Refuses `dispatch.*` when there is none that can be passed on. */
export async function forward(order: ForwardOrder, namespace: DispatchNamespace): Promise<Response> {
  const { request, headers, target } = order
  const { placedName, dispatchOptions } = target
  const { limits, outbound } = dispatchOptions
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

/**
 * Stage "forward": one dispatch to a user Worker, with limits, deadline and egress policy. Never retried: a body may have been read.
 * The request is copied once, and what the copy carries is decided here: no gateway header but ours, no credential, then the passport, last.
 */
import { PASSPORT_HEADER, REQUEST_ID_HEADER } from "../../../contracts/reserved-headers.ts"
import { refuse } from "../../../kit/problem.ts"
import { classifyFailure, DeadlineExceeded } from "./classify-failure.ts"

/** The slice of a release target that a dispatch needs. */
export interface DispatchTarget {
  readonly placedName: string
  readonly dispatchOptions: DynamicDispatchOptions
}

export interface ForwardOrder {
  readonly request: Request
  readonly requestId: string
  /** Takes everything from the copy that a client may not say; see edge/read-inbound.ts. */
  readonly strip: (headers: Headers) => void
  readonly passport: string
  readonly target: DispatchTarget
  /** Milliseconds until the response's headers must be there. */
  readonly timeoutMs: number
}

/** The Worker's own response. Refuses `dispatch.*` when there is none that can be passed on. */
export async function forward(order: ForwardOrder, namespace: DispatchNamespace): Promise<Response> {
  const { placedName, dispatchOptions } = order.target
  // A request that came over RPC says `follow`; a redirect is always the client's to follow, never ours.
  const outgoing = new Request(order.request, { redirect: "manual" })
  order.strip(outgoing.headers)
  outgoing.headers.set(REQUEST_ID_HEADER, order.requestId)
  outgoing.headers.set(PASSPORT_HEADER, order.passport)
  let response: Response
  try {
    const worker = await namespace.get(placedName, {}, dispatchOptions)
    response = await withDeadline(worker.fetch(outgoing), order.timeoutMs)
  } catch (thrown) {
    throw classifyFailure(thrown, placedName)
  }
  if (!isUsable(response)) throw refuse("dispatch.response-invalid", { log: { placedName, status: response.status } })
  return response
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

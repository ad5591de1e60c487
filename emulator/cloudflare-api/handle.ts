/** What happens to a request to the local Cloudflare API, top to bottom. Faults stand outside: they spoil answers, not decisions. */
import type { Call } from "./call.ts"
import type { Dependencies } from "./dependencies.ts"
import { ApiFailure, fail, failureResponse } from "./envelope.ts"
import { administerFaults, faultResponse } from "./faults.ts"
import { matchRoute, type Route } from "./match-route.ts"
import { ROUTES } from "./routes.ts"

export async function handle(incoming: Request, deps: Dependencies): Promise<Response> {
  const request = await withWholeBody(incoming)
  const url = new URL(request.url)
  const fault = deps.faults.take(request.method, url.pathname)
  if (fault !== null) await deps.clock.sleep(fault.delayMs)
  if (fault?.answer != null && !fault.applied) return faultResponse(fault.answer)
  const response = await answer(request, url, deps)
  return fault?.answer == null ? response : faultResponse(fault.answer)
}

/** Takes the body in before anything is decided: answering a client that is still sending breaks its connection. */
async function withWholeBody(request: Request): Promise<Request> {
  return request.body === null ? request : new Request(request, { body: await request.arrayBuffer() })
}

async function answer(request: Request, url: URL, deps: Dependencies): Promise<Response> {
  try {
    const matched = matchRoute(ROUTES, request.method, url.pathname)
    if (matched?.route.auth !== "none") authenticate(request, deps)
    if (url.pathname === "/emulator/faults") return await administerFaults(request, deps.faults)
    const headers = meterHeaders(deps)
    if (matched === null)
      throw fail("noRoute", {
        message: `Could not route to ${url.pathname}, perhaps your object identifier is invalid?`,
      })
    checkAccount(matched.params, deps)
    const response = await matched.route.operation(callOf(request, url, matched.params), deps)
    for (const [name, value] of Object.entries(headers)) response.headers.set(name, value)
    return response
  } catch (thrown) {
    if (thrown instanceof ApiFailure) return failureResponse(thrown)
    return failureResponse(
      fail("unknown", {
        message: `A bug in the local API: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`,
      }),
    )
  }
}

function authenticate(request: Request, deps: Dependencies): void {
  const header = request.headers.get("authorization")
  if (header === null) throw fail("authentication", { status: 401 })
  if (header === `Bearer ${deps.apiToken}`) return
  throw new URL(request.url).pathname.endsWith("/user/tokens/verify") ? fail("tokenInvalid") : fail("authentication")
}

/** A token knows one account; another one is refused as if it lacked the permission. */
function checkAccount(params: Route["params"], deps: Dependencies): void {
  const account = params.account
  if (account !== undefined && account !== deps.accountId) throw fail("authentication")
}

/** Counts the request. @throws ApiFailure rateLimited */
function meterHeaders({ meter, apiToken, clock }: Dependencies): Record<string, string> {
  const verdict = meter?.take(apiToken, clock.now())
  if (verdict === undefined) return {}
  if (!verdict.allowed) throw fail("rateLimited", { headers: { "retry-after": String(verdict.retryAfterS) } })
  return {
    ratelimit: `"default";r=${verdict.remaining};t=${verdict.resetS}`,
    "ratelimit-policy": `"default";q=${verdict.limit};w=300`,
  }
}

function callOf(request: Request, url: URL, params: Route["params"]): Call {
  return {
    request,
    url,
    query: url.searchParams,
    param(name) {
      const value = params[name]
      if (value === undefined) throw new Error(`The route has no parameter ${name}`)
      return value
    },
  }
}

/**
 * The straight line of one call that a team's Worker makes: judge → forward → record.
 * Called by outbound/src/index.ts in production and by the local namespace's door in process; every `fetch()` of a user Worker ends here,
 * each hop of a redirect anew, because the runtime follows redirects on the Worker's side of this line.
 * It adds nothing of its own to a call: no credential, no cookie.
 */
import type { EgressParameters } from "../../contracts/platform.ts"
import { EGRESS_PROBLEM_HEADER, REQUEST_ID_HEADER } from "../../contracts/reserved-headers.ts"
import type { EgressRecord } from "../../contracts/trip.ts"
import { forwardedBody } from "../../kit/forwarded-body.ts"
import { removeHopByHop } from "../../kit/hop-by-hop.ts"
import { asRefusal, problemResponse, refuse } from "../../kit/problem.ts"
import { passportCarried } from "./passport-destination.ts"

export type EgressPolicy = EgressParameters["egress"]

export interface EgressDependencies {
  readonly fetch: (request: Request) => Promise<Response>
  /** Milliseconds since the epoch. */
  readonly clock: { now(): number }
  /** Called exactly once per call, refused or not. */
  readonly log: (record: EgressRecord) => void
}

/**
 * Sends the call on if the team may make it, and answers a problem if not; never throws.
 * `policy` is what the dispatcher gave with the dispatch, undefined when nothing came: then nothing leaves.
 * Answers egress.policy-missing, egress.destination-refused, egress.passport-misdirected, egress.destination-failed.
 * Bodies and WebSockets pass through untouched.
 */
export async function handleEgress(
  request: Request,
  policy: EgressPolicy | undefined,
  deps: EgressDependencies,
): Promise<Response> {
  const startedAt = deps.clock.now()
  const requestId = request.headers.get(REQUEST_ID_HEADER)
  const url = URL.parse(request.url)
  let response: Response
  let problem: string | null = null
  try {
    if (url === null) throw refuse("egress.destination-refused")
    judge(url, request.headers, policy)
    response = await forward(url, request, deps.fetch)
  } catch (thrown) {
    const refusal = asRefusal(thrown)
    problem = refusal.code
    response = problemResponse(refusal, { requestId: requestId ?? "unknown" })
    response.headers.set(EGRESS_PROBLEM_HEADER, refusal.code)
  }
  deps.log({
    event: "egress",
    team: policy?.team ?? "unknown",
    script: policy?.script ?? "unknown",
    version: policy?.version ?? 0,
    method: request.method,
    origin: url?.origin ?? "invalid",
    status: response.status,
    problem,
    ms: deps.clock.now() - startedAt,
    requestId: requestId?.slice(0, 128) ?? null,
  })
  return response
}

/**
 * Throws unless the team may send this to `url`.
 * Origins are compared whole and never by pattern, so loopback, private and link-local addresses, cloud metadata and the platform's own hostnames
 * are refused in every spelling unless ops listed exactly that origin (R19). What a listed *name* resolves to is not visible here.
 */
function judge(url: URL, headers: Headers, policy: EgressPolicy | undefined): void {
  if (policy === undefined) throw refuse("egress.policy-missing")
  if (url.protocol !== "https:" && url.protocol !== "http:") throw refuse("egress.destination-refused")
  if (url.username !== "" || url.password !== "") throw refuse("egress.destination-refused")
  const carried = passportCarried(url.href, headers)
  switch (carried.kind) {
    case "none":
      if (!policy.allow.includes(url.origin)) throw refuse("egress.destination-refused")
      return
    case "for": {
      const origins = Object.hasOwn(policy.audiences, carried.audience) ? policy.audiences[carried.audience] : undefined
      if (origins?.includes(url.origin) !== true) throw refuse("egress.passport-misdirected")
      return
    }
    case "stray":
      throw refuse("egress.passport-misdirected")
  }
}

/** Whatever goes wrong from here on, making the request included, is the call's failure and not a bug of ours. */
async function forward(url: URL, request: Request, send: EgressDependencies["fetch"]): Promise<Response> {
  try {
    return withoutOurs(await send(outgoing(url, request)))
  } catch (cause) {
    throw refuse("egress.destination-failed", { cause })
  }
}

/** An answer that came is the origin's own, however it looks: by the header the Worker tells whether one came at all, and so whether it may try elsewhere. */
function withoutOurs(response: Response): Response {
  if (!response.headers.has(EGRESS_PROBLEM_HEADER)) return response
  const copy = new Response(response.body, response)
  copy.headers.delete(EGRESS_PROBLEM_HEADER)
  return copy
}

/**
 * The request is built anew from its parts: `cf` options of a team's `fetch` (`resolveOverride`, `cacheEverything`) would act here with the platform's standing
 * and on a cache shared by all teams, and a `Host` header could name another site than the origin that was judged.
 */
function outgoing(url: URL, request: Request): Request {
  const headers = new Headers(request.headers)
  removeHopByHop(headers)
  headers.delete("host")
  const body = forwardedBody(request, headers)
  return new Request(url, { method: request.method, headers, body, redirect: "manual", signal: request.signal })
}

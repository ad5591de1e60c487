/**
 * The straight line of one call that a team's Worker makes: judge → exchange → forward → record.
 * Called by outbound/src/index.ts in production and by the local namespace's door in process; every `fetch()` of a user Worker ends here,
 * each hop of a redirect anew, because the runtime follows redirects on the Worker's side of this line.
 * The one thing that it puts on a call is a passport for the destination, in place of the caller's own; otherwise no credential, no cookie.
 */
import { TXN_TOKEN_HEADER } from "../../contracts/passport.ts"
import type { EgressParameters, ExchangedPassport, PassportExchangeApi } from "../../contracts/platform.ts"
import {
  AUDIENCE_HEADER,
  CONFIG_HEADER,
  EGRESS_PROBLEM_HEADER,
  normalizeHeaderName,
  PASSPORT_HEADER,
  REQUEST_ID_HEADER,
} from "../../contracts/reserved-headers.ts"
import type { EgressRecord } from "../../contracts/trip.ts"
import { forwardedBody } from "../../kit/forwarded-body.ts"
import { removeHopByHop } from "../../kit/hop-by-hop.ts"
import { asRefusal, problemResponse, refuse } from "../../kit/problem.ts"
import { revisionOf } from "../../kit/zone-resolution.ts"
import type { ExchangedPassports, ExchangeWish } from "./exchanged-passports.ts"
import { audienceAt, passportCarried } from "./passport-destination.ts"

export type EgressPolicy = EgressParameters["egress"]

/** What came with the dispatch; nothing of it, where the dispatcher gave none. */
export type GivenParameters = { readonly [Name in keyof EgressParameters]?: EgressParameters[Name] | undefined }

/** Characters kept of a request id that a Worker passed on. */
const REQUEST_ID_MOST = 128

export interface EgressDependencies {
  readonly fetch: (request: Request) => Promise<Response>
  /** The dispatcher's entrypoint `PassportExchange`. */
  readonly exchange: PassportExchangeApi["exchange"]
  /** One per isolate. */
  readonly passports: Pick<ExchangedPassports, "passportFor">
  /** Milliseconds since the epoch. */
  readonly clock: { now(): number }
  /** Called exactly once per call, refused or not. */
  readonly log: (record: EgressRecord) => void
}

/**
 * Sends the call on if the team may make it, and answers a problem if not; never throws.
 * Without a policy (`egress`) nothing leaves. Without the dispatch's `requestId`, the one that the Worker passed on stands in record and refusal.
 * Answers egress.policy-missing, egress.destination-refused, egress.passport-misdirected, egress.audience-ambiguous, egress.passport-exchange-failed,
 * egress.destination-failed, and what the exchange refuses, such as zone.country-refused or auth.revoked.
 * Bodies and WebSockets pass through untouched.
 */
export async function handleEgress(
  request: Request,
  { egress: policy, requestId: given }: GivenParameters,
  deps: EgressDependencies,
): Promise<Response> {
  const startedAt = deps.clock.now()
  const requestId = given ?? request.headers.get(REQUEST_ID_HEADER)?.slice(0, REQUEST_ID_MOST) ?? null
  const url = URL.parse(request.url)
  let response: Response
  let problem: string | null = null
  try {
    if (url === null) throw refuse("egress.destination-refused")
    const wish = judge(url, request.headers, policy)
    const passport = wish === null ? null : await deps.passports.passportFor(wish, deps.exchange)
    response = await forward(url, request, passport, deps.fetch)
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
    requestId,
  })
  return response
}

/**
 * Throws unless the team may send this to `url`. Gives what passport is to be put in place of the script's own, or null for a call without one.
 * Origins are compared whole and never by pattern, so loopback, private and link-local addresses, cloud metadata and the platform's own hostnames
 * are refused in every spelling unless ops listed exactly that origin. What a listed *name* resolves to is not visible here.
 */
function judge(url: URL, headers: Headers, policy: EgressPolicy | undefined): ExchangeWish | null {
  if (policy === undefined) throw refuse("egress.policy-missing")
  if (url.protocol !== "https:" && url.protocol !== "http:") throw refuse("egress.destination-refused")
  if (url.username !== "" || url.password !== "") throw refuse("egress.destination-refused")
  const { allow, audiences, script, team, version } = policy
  const carried = passportCarried(url.href, headers, script)
  switch (carried.kind) {
    case "none":
      if (!allow.includes(url.origin)) throw refuse("egress.destination-refused")
      return null
    case "own": {
      const audience = audienceAt(url.origin, headers.get(AUDIENCE_HEADER), audiences)
      return { own: carried, audience, caller: { script, team, version }, revision: revisionOf(headers) }
    }
    case "stray":
      throw refuse("egress.passport-misdirected")
  }
}

/** Whatever goes wrong from here on, making the request included, is the call's failure and not a bug of ours. */
async function forward(
  url: URL,
  request: Request,
  passport: ExchangedPassport | null,
  send: EgressDependencies["fetch"],
): Promise<Response> {
  try {
    return withoutOurs(await send(outgoing(url, request, passport)))
  } catch (cause) {
    throw refuse("egress.destination-failed", { cause })
  }
}

/** Of a response: what says whether an answer came at all, and so whether the Worker may try elsewhere; and what an origin that echoes would give away. */
const OURS = [EGRESS_PROBLEM_HEADER, PASSPORT_HEADER, TXN_TOKEN_HEADER] as const

/** An answer that came is the origin's own, however it looks. */
function withoutOurs(response: Response): Response {
  if (!OURS.some((name) => response.headers.has(name))) return response
  const copy = new Response(response.body, response)
  for (const name of OURS) copy.headers.delete(name)
  return copy
}

/**
 * The request is built anew from its parts: `cf` options of a team's `fetch` (`resolveOverride`, `cacheEverything`) would act here with the platform's standing
 * and on a cache shared by all teams, and a `Host` header could name another site than the origin that was judged.
 */
function outgoing(url: URL, request: Request, passport: ExchangedPassport | null): Request {
  const headers = new Headers(request.headers)
  removeHopByHop(headers)
  headers.delete("host")
  headers.delete(AUDIENCE_HEADER)
  headers.delete(CONFIG_HEADER)
  if (passport !== null) putInPlace(passport, headers)
  const body = forwardedBody(request, headers)
  return new Request(url, { method: request.method, headers, body, redirect: "manual", signal: request.signal })
}

/** Last, and alone: neither the script's own passport nor anything that a receiver may take for one is beside it. */
function putInPlace({ header, token }: ExchangedPassport, headers: Headers): void {
  for (const name of [...headers.keys()]) {
    const normal = normalizeHeaderName(name)
    if (normal === PASSPORT_HEADER || normal === TXN_TOKEN_HEADER) headers.delete(name)
  }
  headers.set(header, token)
}

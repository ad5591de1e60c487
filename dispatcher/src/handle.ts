/**
 * The request line: what happens to a request, top to bottom. Each stage is a named function with a typed result;
 * a stage that refuses throws, and the trip turns that into the problem which the client gets. In steady state nothing waits for I/O before `forward`.
 * Called by index.ts for everything that the gateway does not answer itself.
 */
import type { Dependencies } from "./dependencies.ts"
import { onwardHeaders } from "./edge/onward-headers.ts"
import { type Inbound, readInbound } from "./edge/read-inbound.ts"
import { screen } from "./edge/screen.ts"
import { finish } from "./forward/finish.ts"
import { type ForwardOrder, forward } from "./forward/forward.ts"
import { type Asked, readableBy, readersOf } from "./forward/readable-problem.ts"
import { authenticate } from "./identity/authenticate.ts"
import { authorize, isSensitive } from "./identity/authorize.ts"
import { type Login, loginOf, orLogin } from "./identity/login-redirect.ts"
import { mintPassport, type PassportOrder } from "./identity/mint-passport.ts"
import { refuseRevoked } from "./identity/refuse-revoked.ts"
import type { Subject } from "./identity/subject.ts"
import { type FoundRoute, findRoute, refuseSwitchedOff } from "./route/find-route.ts"
import { choiceOf, pickRelease, type Release } from "./route/pick-release.ts"
import { stickyFactsOf } from "./route/release.ts"
import { beginTrace, type TraceContext } from "./trace/begin-trace.ts"
import { Trip } from "./trip.ts"

/** What of the platform's ExecutionContext a request needs. */
export interface RequestContext {
  readonly waitUntil: (work: Promise<unknown>) => void
}

/** Answers one request. Never rejects: every refusal, failure and bug is a problem with a request id. */
export async function handle(request: Request, context: RequestContext, deps: Dependencies): Promise<Response> {
  const trip = new Trip(deps.clock, deps.log, deps.makeId(), request)
  let login: Login | null = null
  let asked: Asked | null = null
  try {
    const inbound = trip.entered(readInbound(request, trip.requestId)) // reserved headers are named from here on
    const config = trip.under(await trip.leg("config", deps.config.current(context.waitUntil)))
    asked = { inbound, routes: config.loaded.routes } // who may read a problem is the route's to say
    const trace = trip.traced(beginTrace(inbound, config.tracing))
    await trip.leg("screen", screen(inbound, config.screen, deps.brake, trip.note, context.waitUntil))
    const route = trip.routed(findRoute(inbound, config.loaded))
    const { auth } = route.config
    refuseSwitchedOff(route, config.loaded, trip.note)
    const { access } = route.script // asked whatever the way to it
    login = loginOf(inbound, auth, access) // where a browser goes in place of a refusal
    const around = { note: trip.note, waitUntil: context.waitUntil }
    const subject = trip.known(await trip.leg("authenticate", authenticate(inbound, route, config, deps, around)))
    await trip.leg("revocation", refuseRevoked(subject, isSensitive(auth, access), config, deps, around))
    authorize(subject, auth, deps.clock)
    authorize(subject, access, deps.clock)
    const pinned = await trip.leg("pin", deps.pins.read(inbound.pin, route.config.script))
    const choice = choiceOf(route)
    const release = trip.released(pickRelease(choice, () => stickyFactsOf(inbound, subject), pinned, config.loaded))
    const order = passportOrder(inbound, route, subject, release, config.passportIssuer)
    const { token } = await trip.leg("passport", mintPassport(order, deps))
    const answer = await trip.leg(
      "forward",
      forward(forwardOrder(inbound, trace, route, release, token, config.revision), deps.namespace),
    )
    return trip.answered(finish(answer, inbound, release.target, config.revision, subject.kind, token))
  } catch (thrown) {
    return readableBy(readersOf(asked), trip.refused(orLogin(thrown, login)))
  } finally {
    trip.close(deps.tripSpans, context.waitUntil)
  }
}

function passportOrder(
  inbound: Inbound,
  route: FoundRoute,
  subject: Subject,
  release: Release,
  issuer: string,
): PassportOrder {
  return {
    issuer,
    audience: release.target.audience,
    subject,
    route: route.config.id,
    host: inbound.hostname,
    zone: route.config.zone ?? null,
    actor: null,
    hops: 0,
    facts: inbound.facts,
  }
}

function forwardOrder(
  inbound: Inbound,
  trace: TraceContext,
  route: FoundRoute,
  release: Release,
  passport: string,
  configRevision: number,
): ForwardOrder {
  return {
    request: inbound.request,
    requestId: inbound.requestId,
    headers: onwardHeaders(inbound, { passport, trace, configRevision, beginsSessions: release.target.beginsSessions }),
    target: release.target,
    timeoutMs: route.config.timeoutMs ?? release.target.timeoutMs,
  }
}

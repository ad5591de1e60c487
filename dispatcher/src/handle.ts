/**
 * The request line: what happens to a request, top to bottom. Each stage is a named function with a typed result;
 * a stage that refuses throws, and the trip turns that into the problem which the client gets. In steady state nothing waits for I/O before `forward`.
 * Called by index.ts for everything that the gateway does not answer itself.
 */
import { companyOf } from "../../kit/company-detection.ts"
import type { Dependencies } from "./dependencies.ts"
import { type Inbound, readInbound, stripReserved } from "./edge/read-inbound.ts"
import { screen } from "./edge/screen.ts"
import { finish } from "./forward/finish.ts"
import { type ForwardOrder, forward } from "./forward/forward.ts"
import { authorize } from "./identity/authorize.ts"
import type { PassportOrder } from "./identity/mint-passport.ts"
import type { Subject } from "./identity/subject.ts"
import { type FoundRoute, findRoute } from "./route/find-route.ts"
import { pickRelease, type Release } from "./route/pick-release.ts"
import type { StickyFacts } from "./route/release.ts"
import { Trip } from "./trip.ts"

/** Answers one request. Never rejects: every refusal, failure and bug is a problem with a request id. */
export async function handle(request: Request, context: RequestContext, deps: Dependencies): Promise<Response> {
  const trip = new Trip(deps.clock, deps.log, deps.makeId())
  try {
    const inbound = trip.entered(readInbound(request, trip.requestId))
    const config = trip.under(await trip.leg("config", deps.config.current(context.waitUntil)))
    await trip.leg("screen", screen(inbound, config.screen, deps.brake, trip.note, context.waitUntil))
    const route = trip.routed(findRoute(inbound, config.loaded, trip.note))
    const subject = trip.known(await trip.leg("authenticate", deps.authenticator.authenticate(inbound.authorization, route.config.auth, config.issuers)))
    trip.leg("authorize", authorize(subject, route.config.auth))
    const pinned = await deps.pins.read(inbound.pin, route.config.script)
    const release = trip.released(pickRelease(choiceOf(route), () => stickyFacts(inbound, subject), pinned, config.loaded))
    const passport = await trip.leg("passport", deps.passports.mint(passportFor(inbound, route, subject, release, config.passportIssuer), deps.keys))
    const response = await trip.leg("forward", forward(forwardOrder(inbound, route, release, passport), deps.namespace))
    return trip.answered(finish(response, inbound, release.target.placedName, config.revision, subject.kind))
  } catch (thrown) {
    return trip.refused(thrown)
  } finally {
    trip.close()
  }
}

/** What of the platform's ExecutionContext a request needs. */
export interface RequestContext {
  readonly waitUntil: (work: Promise<unknown>) => void
}

function choiceOf({ config, script }: FoundRoute) {
  return {
    script: config.script,
    releases: config.releases ?? script.releases,
    stickyBy: config.stickyBy ?? script.stickyBy,
  }
}

/** The company named by the request goes before the credential's: one account may act for many companies. */
function stickyFacts(inbound: Inbound, subject: Subject): StickyFacts {
  return {
    company: companyOf(inbound.request.headers.get("procore-company-id"), inbound.path, inbound.query) ?? subject.company,
    subject: subject.kind === "anonymous" ? null : `${subject.idp}|${subject.id}`,
    requestId: inbound.requestId,
  }
}

function passportFor(inbound: Inbound, route: FoundRoute, subject: Subject, release: Release, issuer: string): PassportOrder {
  return {
    issuer,
    audience: release.target.audience,
    subject,
    route: route.config.id,
    zone: route.config.zone ?? null,
    actor: null,
    hops: 0,
    facts: inbound.facts,
  }
}

function forwardOrder(inbound: Inbound, route: FoundRoute, release: Release, passport: string): ForwardOrder {
  return {
    request: inbound.request,
    requestId: inbound.requestId,
    strip: (headers) => stripReserved(headers, inbound),
    passport,
    target: release.target,
    timeoutMs: route.config.timeoutMs ?? release.target.timeoutMs,
  }
}

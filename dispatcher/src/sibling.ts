/**
 * The request line of a sibling dispatch: one team's Worker hands a request to another script through its platform binding.
 * The subject comes from the passport that the caller received, which must be the caller's own; the sibling gets one made for it. Policy runs again:
 * the caller's grants, and what the sibling itself asks of whoever reaches it. A route's conditions are those of the entrance.
 * Called by platform.ts for the RPC method and for upgrades alike.
 */
import type { ScriptConfig } from "../../contracts/dispatch-config.ts"
import { type PassportClaims, scriptAudience } from "../../contracts/passport.ts"
import type { PlatformProps } from "../../contracts/platform.ts"
import { PASSPORT_HEADER, REQUEST_ID_HEADER } from "../../contracts/reserved-headers.ts"
import { refuse } from "../../kit/problem.ts"
import { revisionOf } from "../../kit/zone-resolution.ts"
import type { Dependencies, ReadyConfig } from "./dependencies.ts"
import { onwardHeaders } from "./edge/onward-headers.ts"
import { readInbound } from "./edge/read-inbound.ts"
import { forward } from "./forward/forward.ts"
import type { RequestContext } from "./handle.ts"
import { authorize } from "./identity/authorize.ts"
import { mintPassport } from "./identity/mint-passport.ts"
import { subjectOfPassport } from "./identity/passport-subject.ts"
import { refuseRevoked } from "./identity/refuse-revoked.ts"
import type { Subject } from "./identity/subject.ts"
import { refuseKilled } from "./route/find-route.ts"
import { pickRelease } from "./route/pick-release.ts"
import { stickyFactsOf } from "./route/release.ts"
import { continueTrace } from "./trace/begin-trace.ts"
import { Trip } from "./trip.ts"

/** Dispatches of one request, one inside the other; two Workers that call each other in a circle end here. */
const MAX_HOPS = 8
/** As this gateway makes them; a caller that sends on anything else gets a new one, so that no team writes into the records of others. */
const REQUEST_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export interface SiblingOrder {
  readonly script: string
  /** Zone for the sibling's passport; null keeps the caller's. */
  readonly zone: string | null
}

/** The sibling's response, or a problem: `platform.*`, `dispatch.*`, and `auth.*` for what the sibling asks of the subject. Never rejects. */
export async function dispatchSibling(
  request: Request,
  asked: SiblingOrder,
  caller: PlatformProps,
  context: RequestContext,
  deps: Dependencies,
): Promise<Response> {
  const trip = new Trip(deps.clock, deps.log, requestIdOf(request, deps.makeId), request)
  try {
    const inbound = trip.entered(readInbound(request, trip.requestId))
    const config = trip.under(await trip.leg("config", deps.config.current(context.waitUntil)))
    const trace = trip.traced(continueTrace(inbound, deps.makeId(), config.tracing))
    const claims = await trip.leg("authenticate", callerPassport(request, caller, config, deps))
    const zone = asked.zone ?? claims.zone ?? null
    trip.continued(claims, asked.script, zone, caller.script)
    authorizeSibling(asked, claims, caller, config)
    const subject = await subjectOfPassport(claims)
    const around = { note: trip.note, waitUntil: context.waitUntil }
    // A call by RPC has no location, and isolates without one would all ask the same relay.
    deps.revocations.at(claims.facts.colo)
    const sibling = siblingOf(asked.script, config)
    const { access } = sibling
    refuseKilled(config.loaded.killOf(sibling.team), "dispatch.team-killed", trip.note)
    refuseKilled(sibling.kill, "dispatch.script-killed", trip.note)
    // What the route asks was asked at the entrance, less than a passport's life ago; what this script asks, perhaps nowhere yet.
    await trip.leg("revocation", refuseRevoked(subject, access?.sensitive ?? false, config, deps, around))
    authorize(subject, access, deps.clock)
    const choice = { script: asked.script, releases: sibling.releases, stickyBy: sibling.stickyBy }
    const facts = () => stickyFactsOf(inbound, subject)
    const release = trip.released(pickRelease(choice, facts, null, config.loaded))
    const { target } = release
    const passport = {
      ...continueOrder(claims, subject, caller, config),
      audience: target.audience,
      zone,
      hops: claims.hops + 1,
    }
    const { token } = await trip.leg("passport", mintPassport(passport, deps))
    // This isolate may be behind the one that let the request in. A sibling that was told the older revision could go by what the switch of a company undid.
    const configRevision = Math.max(config.revision, revisionOf(request.headers) ?? 0)
    const order = {
      request,
      requestId: trip.requestId,
      headers: onwardHeaders(inbound, { passport: token, trace, configRevision, beginsSessions: false }),
      target,
      timeoutMs: target.timeoutMs,
    }
    return trip.answered(await trip.leg("forward", forward(order, deps.namespace)))
  } catch (thrown) {
    return trip.refused(thrown)
  } finally {
    trip.close(deps.tripSpans, context.waitUntil)
  }
}

/** The order for a passport that continues the one in hand, which speaks of `subject`, asked for by `caller`; whoever asks adds the audience. */
export function continueOrder(claims: PassportClaims, subject: Subject, caller: PlatformProps, config: ReadyConfig) {
  const before = claims.act === undefined ? {} : { act: claims.act }
  return {
    issuer: config.passportIssuer,
    subject,
    route: claims.route,
    host: claims.host ?? null,
    zone: claims.zone ?? null,
    actor: { sub: scriptAudience(caller.script), ...before },
    hops: claims.hops,
    facts: claims.facts,
  }
}

function requestIdOf(request: Request, makeId: () => string): string {
  const sent = request.headers.get(REQUEST_ID_HEADER)
  return sent !== null && REQUEST_ID.test(sent) ? sent : makeId()
}

function callerPassport(
  request: Request,
  caller: PlatformProps,
  config: ReadyConfig,
  deps: Dependencies,
): Promise<PassportClaims> {
  const token = request.headers.get(PASSPORT_HEADER)
  return deps.passportVerifier.verify(token, scriptAudience(caller.script), config.passportIssuer, deps.keys)
}

/** Grants are the caller's team's: to reach the script at all, and to name a zone that the passport does not. */
function authorizeSibling(
  asked: SiblingOrder,
  claims: PassportClaims,
  caller: PlatformProps,
  config: ReadyConfig,
): void {
  const require = (grant: string) => {
    if (config.loaded.isGranted(caller.team, grant)) return
    throw refuse("platform.not-granted", { detail: `${caller.script} needs the grant ${grant}.` })
  }
  require(`dispatch:${asked.script}`)
  if (asked.zone !== null && asked.zone !== claims.zone) require(`zone:${asked.zone}`)
  if (asked.zone !== null && !Object.hasOwn(config.loaded.document.directory.zones, asked.zone)) {
    throw refuse("platform.zone-unknown")
  }
  if (claims.hops >= MAX_HOPS) throw refuse("platform.too-many-hops")
}

function siblingOf(script: string, config: ReadyConfig): ScriptConfig {
  const { scripts } = config.loaded.document
  const sibling = Object.hasOwn(scripts, script) ? scripts[script] : undefined
  if (sibling === undefined) throw refuse("platform.script-unknown")
  return sibling
}

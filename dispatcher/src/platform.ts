/**
 * The `Platform` entrypoint: what a user Worker can ask of the gateway through its PLATFORM binding.
 * Who asks is in the binding's props, set by the control plane; what they may do is looked up in the config in force, every time.
 * A refusal is an Error whose message is the problem code; siblings' failures come back as problem responses.
 */
import { WorkerEntrypoint } from "cloudflare:workers"
import { type PassportClaims, scriptAudience } from "../../contracts/passport.ts"
import type { AudiencePassport, PlatformApi, PlatformProps, ZoneOfCompany } from "../../contracts/platform.ts"
import {
  PASSPORT_HEADER,
  REQUEST_ID_HEADER,
  SIBLING_HEADER,
  SIBLING_ZONE_HEADER,
} from "../../contracts/reserved-headers.ts"
import { refuse } from "../../kit/problem.ts"
import { type Dependencies, dependenciesOf, type ReadyConfig } from "./dependencies.ts"
import { readInbound, stripReserved } from "./edge/read-inbound.ts"
import type { Env } from "./env.ts"
import { forward } from "./forward/forward.ts"
import { mintPassport } from "./identity/mint-passport.ts"
import { makeSubject, type Subject } from "./identity/subject.ts"
import { pickRelease } from "./route/pick-release.ts"
import { stickyFactsOf } from "./route/release.ts"
import { Trip } from "./trip.ts"

/** Dispatches of one request, one inside the other; two Workers that call each other in a circle end here. */
const MAX_HOPS = 8

export class Platform extends WorkerEntrypoint<Env, PlatformProps> implements PlatformApi {
  /** {@link PlatformApi.dispatch} for requests that an RPC call cannot carry: WebSocket upgrades. The script is named by a header. */
  override async fetch(request: Request): Promise<Response> {
    const zone = request.headers.get(SIBLING_ZONE_HEADER)
    return this.dispatch(request.headers.get(SIBLING_HEADER) ?? "", request, zone === null ? {} : { zone })
  }

  /** As {@link PlatformApi.dispatch}. Answers problem responses rather than throwing: the caller is in the middle of a request. */
  async dispatch(script: string, request: Request, options: { readonly zone?: string } = {}): Promise<Response> {
    const deps = await dependenciesOf(this.env)
    const trip = new Trip(deps.clock, deps.log, request.headers.get(REQUEST_ID_HEADER) ?? deps.makeId())
    try {
      const inbound = trip.entered(readInbound(request, trip.requestId))
      const config = trip.under(await trip.leg("config", deps.config.current(this.#waitUntil)))
      this.#requireGrant(config, `dispatch:${script}`)
      const claims = await trip.leg(
        "authenticate",
        this.#callerPassport(request.headers.get(PASSPORT_HEADER), config, deps),
      )
      if (claims.hops >= MAX_HOPS) throw refuse("platform.too-many-hops")
      const zone = zoneFor(options.zone, claims, config)
      trip.continued(claims, script, zone)
      const sibling = config.loaded.document.scripts[script]
      if (sibling === undefined || !Object.hasOwn(config.loaded.document.scripts, script))
        throw refuse("platform.script-unknown")
      const subject = subjectOf(claims)
      const choice = { script, releases: sibling.releases, stickyBy: sibling.stickyBy }
      const release = trip.released(pickRelease(choice, () => stickyFactsOf(inbound, subject), null, config.loaded))
      const order = {
        ...this.#orderFrom(claims, subject, config),
        audience: release.target.audience,
        zone,
        hops: claims.hops + 1,
      }
      const passport = await trip.leg("passport", mintPassport(order, deps))
      const strip = (headers: Headers) => stripReserved(headers, inbound)
      const dispatch = {
        request,
        requestId: trip.requestId,
        strip,
        passport,
        target: release.target,
        timeoutMs: sibling.timeoutMs,
      }
      return trip.answered(await trip.leg("forward", forward(dispatch, deps.namespace)))
    } catch (thrown) {
      return trip.refused(thrown)
    } finally {
      trip.close()
    }
  }

  /** As {@link PlatformApi.passportFor}. Throws `platform.not-granted`, `platform.audience-unknown`, `platform.passport-required`. */
  async passportFor(audience: string, passport: string): Promise<AudiencePassport> {
    const { deps, config } = await this.#ready()
    this.#requireGrant(config, `audience:${audience}`)
    const { audiences } = config.loaded.document
    const destination = Object.hasOwn(audiences, audience) ? audiences[audience] : undefined
    if (destination === undefined) throw refuse("platform.audience-unknown")
    const claims = await this.#callerPassport(passport, config, deps)
    const order = { ...this.#orderFrom(claims, subjectOf(claims), config), audience, hops: claims.hops }
    return { token: await mintPassport(order, deps), audience, origins: destination.origins }
  }

  /** As {@link PlatformApi.zoneOf}. Throws `platform.not-granted`. */
  async zoneOf(companyId: string): Promise<ZoneOfCompany | null> {
    const { config } = await this.#ready()
    this.#requireGrant(config, "zones:read")
    const { companies, zones } = config.loaded.document.directory
    const zone = Object.hasOwn(companies, companyId) ? companies[companyId] : undefined
    const found = zone === undefined ? undefined : zones[zone]
    return zone === undefined || found === undefined ? null : { zone, audience: found.audience, baseUrl: found.baseUrl }
  }

  /** As {@link PlatformApi.flags}. Throws `platform.not-granted`. */
  async flags(): Promise<Readonly<Record<string, boolean | string | number>>> {
    const { config } = await this.#ready()
    this.#requireGrant(config, "flags:read")
    return config.loaded.document.flags
  }

  /** As {@link PlatformApi.keys}. */
  async keys(): Promise<{ readonly keys: readonly JsonWebKey[] }> {
    return (await dependenciesOf(this.env)).keys.jwks
  }

  readonly #waitUntil = (work: Promise<unknown>): void => this.ctx.waitUntil(work)

  async #ready(): Promise<{ deps: Dependencies; config: ReadyConfig }> {
    const deps = await dependenciesOf(this.env)
    return { deps, config: await deps.config.current(this.#waitUntil) }
  }

  #requireGrant(config: ReadyConfig, grant: string): void {
    const { team, script } = this.ctx.props
    if (!config.loaded.isGranted(team, grant))
      throw refuse("platform.not-granted", { detail: `${script} needs the grant ${grant}.` })
  }

  #callerPassport(token: string | null, config: ReadyConfig, deps: Dependencies): Promise<PassportClaims> {
    return deps.passportVerifier.verify(token, scriptAudience(this.ctx.props.script), config.passportIssuer, deps.keys)
  }

  #orderFrom(claims: PassportClaims, subject: Subject, config: ReadyConfig) {
    return {
      issuer: config.passportIssuer,
      subject,
      route: claims.route,
      zone: claims.zone ?? null,
      actor: scriptAudience(this.ctx.props.script),
      facts: claims.facts,
    }
  }
}

function zoneFor(asked: string | undefined, claims: PassportClaims, config: ReadyConfig): string | null {
  if (asked === undefined) return claims.zone ?? null
  if (!Object.hasOwn(config.loaded.document.directory.zones, asked)) {
    throw refuse("platform.script-unknown", { detail: "There is no such zone." })
  }
  return asked
}

function subjectOf(claims: PassportClaims): Subject {
  return makeSubject({
    kind: claims.kind,
    id: claims.sub,
    idp: claims.idp ?? null,
    scopes: claims.scope === undefined ? [] : claims.scope.split(" "),
    company: claims.company ?? null,
  })
}

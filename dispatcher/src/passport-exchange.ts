/**
 * The `PassportExchange` entrypoint: a passport for an audience outside, made for the subject of a script's own.
 * Bound by the outbound Worker alone, which puts the answer on a call that is on its way out, so that no team's code ever holds it (docs/decisions/0019).
 * What the caller may do is looked up in the config in force, every time; the outbound Worker says who it is, as the dispatcher told it with the dispatch.
 */
import { WorkerEntrypoint } from "cloudflare:workers"
import type { AudienceConfig, DispatchConfig } from "../../contracts/dispatch-config.ts"
import { scriptAudience, TXN_TOKEN_HEADER } from "../../contracts/passport.ts"
import type { ExchangedPassport, PassportExchangeApi, PlatformProps } from "../../contracts/platform.ts"
import { PASSPORT_HEADER } from "../../contracts/reserved-headers.ts"
import { refuse } from "../../kit/problem.ts"
import { type Dependencies, dependenciesOf, type ReadyConfig } from "./dependencies.ts"
import type { Env } from "./env.ts"
import { mintPassport } from "./identity/mint-passport.ts"
import { subjectOfPassport } from "./identity/passport-subject.ts"
import { refuseRevoked } from "./identity/refuse-revoked.ts"
import { revisionArgument, textArgument } from "./rpc-argument.ts"
import { continueOrder } from "./sibling.ts"

export class PassportExchange extends WorkerEntrypoint<Env> implements PassportExchangeApi {
  /** As {@link PassportExchangeApi.exchange}. Throws `platform.argument-invalid` too. */
  async exchange(
    ownPassport: string,
    audience: string,
    caller: PlatformProps,
    atLeast?: number,
  ): Promise<ExchangedPassport> {
    const deps = await dependenciesOf(this.env)
    const waitUntil = (work: Promise<unknown>) => this.ctx.waitUntil(work)
    const config = await deps.config.atLeast(revisionArgument(atLeast), waitUntil)
    const { script, team, version } = (caller ?? {}) as Partial<PlatformProps>
    const who = { script: textArgument(script), team: textArgument(team), version: Number(version) }
    return exchangePassport(textArgument(ownPassport), textArgument(audience), who, config, deps, waitUntil)
  }
}

/** The exchange itself. Refuses as {@link PassportExchangeApi.exchange} says; what it refuses it refuses before anything is minted. */
export async function exchangePassport(
  ownPassport: string,
  audience: string,
  caller: PlatformProps,
  config: ReadyConfig,
  deps: Dependencies,
  waitUntil: (work: Promise<unknown>) => void,
): Promise<ExchangedPassport> {
  const own = scriptAudience(caller.script)
  const claims = await deps.passportVerifier.verify(ownPassport, own, config.passportIssuer, deps.keys)
  const { profile = "passport" } = grantedAudience(audience, caller, config)
  requireAcceptedCountry(audience, claims.facts.country, config.loaded.document.directory)
  const subject = await subjectOfPassport(claims)
  // A call by RPC has no location, and isolates without one would all ask the same relay.
  deps.revocations.at(claims.facts.colo)
  // What is sensitive was asked on the way to the caller, less than a passport's life ago. There is no trip here to note anything in.
  await refuseRevoked(subject, false, config, deps, { note: () => undefined, waitUntil })
  const order = { ...continueOrder(claims, subject, caller, config), audience, profile }
  const { token, expiresS } = await mintPassport(order, deps)
  return { header: profile === "txn-token" ? TXN_TOKEN_HEADER : PASSPORT_HEADER, token, expiresS }
}

/** What the config says of the audience. Refuses `platform.not-granted`, before anything is said of what there is, and `platform.audience-unknown`. */
export function grantedAudience(
  audience: string,
  { team, script }: Pick<PlatformProps, "team" | "script">,
  { loaded }: ReadyConfig,
): AudienceConfig {
  const grant = `audience:${audience}`
  if (!loaded.isGranted(team, grant))
    throw refuse("platform.not-granted", { detail: `${script} needs the grant ${grant}.` })
  const { audiences } = loaded.document
  const destination = Object.hasOwn(audiences, audience) ? audiences[audience] : undefined
  if (destination === undefined) throw refuse("platform.audience-unknown")
  return destination
}

/** Whatever the way a request took, a zone that accepts some countries only gives no passport for another client. */
function requireAcceptedCountry(
  audience: string,
  country: string | null,
  { zones }: DispatchConfig["directory"],
): void {
  for (const { audience: name, countries } of Object.values(zones)) {
    if (name !== audience || countries === undefined) continue
    if (country === null || !countries.includes(country)) throw refuse("zone.country-refused")
  }
}

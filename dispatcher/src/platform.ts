/**
 * The `Platform` entrypoint: what a user Worker can ask of the gateway through its PLATFORM binding.
 * Who asks is in the binding's props, set by the control plane; what they may do is looked up in the config in force, every time.
 * Arguments come from a team's code and are of any type until checked. A refusal is an Error whose message is the problem code.
 */
import { WorkerEntrypoint } from "cloudflare:workers"
import type { DispatchConfig } from "../../contracts/dispatch-config.ts"
import type { AudienceOrigins, PlatformApi, PlatformProps, ZoneOfCompany } from "../../contracts/platform.ts"
import { SIBLING_HEADER, SIBLING_ZONE_HEADER } from "../../contracts/reserved-headers.ts"
import type { RevocationRequest } from "../../contracts/revocation.ts"
import { refuse } from "../../kit/problem.ts"
import { type Dependencies, dependenciesOf, type ReadyConfig } from "./dependencies.ts"
import type { Env } from "./env.ts"
import { grantedAudience } from "./passport-exchange.ts"
import { publishedKeys } from "./published-keys.ts"
import { revokeFor } from "./revoke.ts"
import { revisionArgument, textArgument } from "./rpc-argument.ts"
import { dispatchSibling } from "./sibling.ts"

export class Platform extends WorkerEntrypoint<Env, PlatformProps> implements PlatformApi {
  /** {@link PlatformApi.dispatch} for requests that an RPC call cannot carry: WebSocket upgrades. The script is named by a header. */
  override async fetch(request: Request): Promise<Response> {
    const zone = request.headers.get(SIBLING_ZONE_HEADER)
    return this.dispatch(request.headers.get(SIBLING_HEADER) ?? "", request, zone === null ? {} : { zone })
  }

  /** As {@link PlatformApi.dispatch}. Answers problem responses rather than throwing: the caller is in the middle of a request. */
  async dispatch(script: string, request: Request, options: { readonly zone?: string } = {}): Promise<Response> {
    if (!(request instanceof Request)) throw refuse("platform.argument-invalid", { detail: "A Request is needed." })
    const deps = await dependenciesOf(this.env)
    const asked = {
      script: textArgument(script),
      zone: options?.zone === undefined ? null : textArgument(options.zone),
    }
    return dispatchSibling(request, asked, this.ctx.props, { waitUntil: this.#waitUntil }, deps)
  }

  /** As {@link PlatformApi.originsOf}. Throws `platform.not-granted`, `platform.audience-unknown`. */
  async originsOf(audience: string): Promise<AudienceOrigins> {
    const { config } = await this.#ready()
    const name = textArgument(audience)
    const { origins } = grantedAudience(name, this.ctx.props, config)
    return { audience: name, origins, revision: config.revision }
  }

  /** As {@link PlatformApi.revoke}. Throws `platform.argument-invalid`, `platform.not-granted`, `revocation.log-full`, `platform.unavailable` when it is not known whether it was done. */
  async revoke(revocations: readonly RevocationRequest[]): Promise<{ readonly seq: number; readonly boundMs: number }> {
    const { config } = await this.#ready()
    return revokeFor(revocations, this.ctx.props, config, this.env.REVOCATIONS)
  }

  /** As {@link PlatformApi.zoneOf}. Throws `platform.not-granted`, `config.unavailable`. */
  async zoneOf(companyId: string, atLeast?: number): Promise<ZoneOfCompany | null> {
    const deps = await dependenciesOf(this.env)
    const config = await deps.config.atLeast(revisionArgument(atLeast), this.#waitUntil)
    this.#requireGrant(config, "zones:read")
    return zoneOfCompany(textArgument(companyId), config.loaded.document.directory, config.revision)
  }

  /** As {@link PlatformApi.flags}. Throws `platform.not-granted`. */
  async flags(): Promise<Readonly<Record<string, boolean | string | number>>> {
    const { config } = await this.#ready()
    this.#requireGrant(config, "flags:read")
    return config.loaded.document.flags
  }

  /** As {@link PlatformApi.keys}. */
  async keys(): Promise<{ readonly keys: readonly JsonWebKey[] }> {
    return publishedKeys(await dependenciesOf(this.env), this.#waitUntil)
  }

  readonly #waitUntil = (work: Promise<unknown>): void => this.ctx.waitUntil(work)

  async #ready(): Promise<{ deps: Dependencies; config: ReadyConfig }> {
    const deps = await dependenciesOf(this.env)
    return { deps, config: await deps.config.current(this.#waitUntil) }
  }

  #requireGrant(config: ReadyConfig, grant: string): void {
    const { team, script } = this.ctx.props
    if (config.loaded.isGranted(team, grant)) return
    throw refuse("platform.not-granted", { detail: `${script} needs the grant ${grant}.` })
  }
}

function zoneOfCompany(id: string, directory: DispatchConfig["directory"], revision: number): ZoneOfCompany | null {
  const { companies, zones, overrides, moving } = directory
  const name = entryOf(overrides, id) ?? entryOf(companies, id)
  const zone = entryOf(zones, name)
  if (name === undefined || zone === undefined) return null
  const { audience, baseUrl, countries = null } = zone
  return { zone: name, audience, baseUrl, countries, moving: entryOf(moving, id) ?? null, revision }
}

function entryOf<T>(record: Readonly<Record<string, T>> | undefined, key: string | undefined): T | undefined {
  return record !== undefined && key !== undefined && Object.hasOwn(record, key) ? record[key] : undefined
}

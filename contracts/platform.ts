/**
 * What a user Worker can ask of the gateway: the RPC surface behind its `PLATFORM` binding.
 * Served by dispatcher/src/platform.ts; the caller is known by the binding's props, which user code can neither read nor forge.
 * Every method throws an Error whose `message` is a problem code (contracts/problem-codes.ts) when it refuses.
 */
import type { RevocationRequest } from "./revocation.ts"

/** Set by the control plane when it places a version; grants are looked up live, so that taking one away acts in seconds. */
export interface PlatformProps {
  readonly script: string
  readonly version: number
  readonly team: string
}

export interface AudienceOrigins {
  readonly audience: string
  /** Where requests for it may go, at least one. */
  readonly origins: readonly string[]
  /** The config revision that says so. */
  readonly revision: number
}

/** What the outbound Worker puts on a call in place of the calling script's own passport. */
export interface ExchangedPassport {
  /** Header to set: `x-passport` or `txn-token`, by the audience's profile. */
  readonly header: string
  readonly token: string
  /** Seconds since the epoch, as its `exp`. */
  readonly expiresS: number
}

/** RPC surface of the dispatcher's entrypoint `PassportExchange`, bound by the outbound Worker alone. */
export interface PassportExchangeApi {
  /**
   * A passport for `audience` and the subject of `ownPassport`, which must be one for `caller.script`. Needs the grant `audience:<audience>` of the caller's team.
   * `atLeast` is the config revision that the call is under: an isolate that has only an older one looks, and refuses `config.unavailable` rather than answer from it.
   * Throws an Error whose message is a problem code: also `platform.not-granted`, `platform.audience-unknown`, `platform.passport-required`, `zone.country-refused`, `auth.revoked`.
   */
  exchange(ownPassport: string, audience: string, caller: PlatformProps, atLeast?: number): Promise<ExchangedPassport>
}

export interface ZoneOfCompany {
  readonly zone: string
  /** Audience of the zone's cell. */
  readonly audience: string
  /** Public base URL of the zone. */
  readonly baseUrl: string
  /** Countries from whose addresses the zone accepts requests, ISO 3166-1 alpha-2; null: from everywhere. */
  readonly countries: readonly string[] | null
  /** What the company's requests get while it is on its way to another zone; null when it is not. */
  readonly moving: CompanyMove | null
  /** The config revision that says so. An answer is good for requests under this revision and older ones. */
  readonly revision: number
}

export interface CompanyMove {
  /** `read-only`: requests that change nothing still go to the zone. `closed`: none does. */
  readonly mode: "read-only" | "closed"
  readonly retryAfterS: number
}

export interface PlatformApi {
  /**
   * Sends a request to the deployed release of a sibling script. `request` must carry the `x-passport` that the caller received; the sibling gets one of its own for the same subject.
   * Needs the grant `dispatch:<script>`. `zone` replaces the zone in the sibling's passport; naming another than the caller's own needs `zone:<zone>`.
   */
  dispatch(script: string, request: Request, options?: { readonly zone?: string }): Promise<Response>
  /** The same for what an RPC call cannot carry, a WebSocket upgrade: the script stands in the header `x-sallyport-sibling`, a zone in `x-sallyport-sibling-zone`. */
  fetch(request: Request): Promise<Response>
  /**
   * Where the origins of an audience outside are, such as a cell's. Needs the grant `audience:<audience>`. A request that goes there with the caller's own `x-passport`
   * arrives with one made for the audience in its place: no script ever holds that.
   */
  originsOf(audience: string): Promise<AudienceOrigins>
  /**
   * Revokes sessions and other credentials everywhere, durably when it answers. Needs the grant `revoke:<kind>`.
   * `boundMs`: within so many milliseconds the edge refuses them, on routes and by scripts that are marked sensitive whatever happens.
   */
  revoke(revocations: readonly RevocationRequest[]): Promise<{ readonly seq: number; readonly boundMs: number }>
  /**
   * The zone of a company, or null when the directory does not know it. Needs `zones:read`.
   * `atLeast` is the config revision that the request is under (its header `x-sallyport-config`): an isolate that has only an older one refuses `config.unavailable` rather than answer from it.
   */
  zoneOf(companyId: string, atLeast?: number): Promise<ZoneOfCompany | null>
  /** The public keys that passports are verified with, as at `/.well-known/jwks.json`. Needs no grant. */
  keys(): Promise<{ readonly keys: readonly JsonWebKey[] }>
  /** All flags. Needs `flags:read`. */
  flags(): Promise<Readonly<Record<string, boolean | string | number>>>
}

/** Values that the dispatcher hands to the outbound Worker with each dispatch; they arrive there in `env`, by the same names. The names must be listed in `parameters` of wrangler.toml. */
export interface EgressParameters extends EgressPolicyParameter {
  /** Id of the request that is dispatched, as in its trip. */
  readonly requestId: string
}

/** The part that stays the same for a release as long as the config revision lasts. */
export interface EgressPolicyParameter {
  readonly egress: {
    readonly team: string
    readonly script: string
    readonly version: number
    /** Origins that the team may call. */
    readonly allow: readonly string[]
    /** Origins by audience, for those audiences that the team was granted. */
    readonly audiences: Readonly<Record<string, readonly string[]>>
  }
}

/** RPC surface of the dispatcher's `Explain` entrypoint, bound by the control plane alone. */
export interface ExplainRequest {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  /** `request.cf`-like facts to assume. */
  readonly facts?: Readonly<
    Partial<{ ip: string; country: string; colo: string; asn: number; tls: string; bot: number }>
  >
}

/** What would happen, stage by stage, without anything being dispatched. A stage after a refusal is absent. */
export interface Explanation {
  readonly configRevision: number
  readonly steps: readonly ExplainStep[]
  readonly outcome:
    | { readonly kind: "dispatch"; readonly placedName: string; readonly audience: string }
    | { readonly kind: "problem"; readonly code: string; readonly status: number }
    | { readonly kind: "gateway"; readonly what: string }
    /** Another team's route gets the request; only the control plane says so, to a team. */
    | { readonly kind: "withheld"; readonly what: string }
}
export interface ExplainStep {
  readonly stage: "inbound" | "screen" | "route" | "authenticate" | "authorize" | "release" | "passport"
  /** One sentence: what was decided and why. */
  readonly says: string
  readonly facts: Readonly<Record<string, unknown>>
}

import type { RelayApi, RevocationsApi } from "../../contracts/revocation.ts"

/** The dispatcher's bindings, as in wrangler.toml (a test compares the two). A leaf: only index.ts and dependencies.ts know it. */
export interface Env {
  readonly DISPATCHER: DispatchNamespace
  readonly CONFIG: KVNamespace
  /** Written by the login Worker; contracts/session.ts says what lies in it. */
  readonly SESSIONS: KVNamespace
  /** One object per location, of the revocations Worker. */
  readonly REVOCATION_RELAYS: RelayNamespace
  /** The revocations Worker's entrypoint `Revocations`, for teams that may revoke. */
  readonly REVOCATIONS: RevocationsApi
  readonly BRAKE: RateLimit
  /** Secret: JSON `{"current": "<kid>", "keys": [private EC P-256 JWKs, each with kid]}`: signs while no key of the config can. May be left out once one does. */
  readonly PASSPORT_KEYS?: string
  /** Secret: 32 bytes, base64url; shared with the control plane, which signs release pins. */
  readonly PIN_KEY: string
  /** Secret: one or more keys of 32 bytes, base64url, separated by spaces; the first seals session cookies, all open them. Without it no session is accepted. */
  readonly SESSION_KEYS?: string
  /** Secret: one to four keys of 32 bytes, base64url, separated by spaces; shared with the control plane, which seals the config's passport keys with it. Without it PASSPORT_KEYS alone signs. */
  readonly RING_KEY?: string
  /** Decimal milliseconds. */
  readonly CONFIG_REFRESH_MS: string
  /** Decimal milliseconds. */
  readonly CONFIG_MAX_STALE_MS: string
  readonly ENVIRONMENT: string
  /** Base URL of an OpenTelemetry collector for the trips that are sampled; absent or empty: they are sent nowhere. */
  readonly OTLP_ENDPOINT?: string
  /** Secret: headers of the collector, `name=value,name2=value2`; may be left out. */
  readonly OTLP_HEADERS?: string
  readonly CF_VERSION_METADATA?: WorkerVersionMetadata
}

/** The slice of a Durable Object namespace by which relays are reached. */
export interface RelayNamespace {
  getByName(name: string): RelayApi
}

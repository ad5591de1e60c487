/** The dispatcher's bindings, as in wrangler.toml (a test compares the two). A leaf: only index.ts and dependencies.ts know it. */
export interface Env {
  readonly DISPATCHER: DispatchNamespace
  readonly CONFIG: KVNamespace
  readonly BRAKE: RateLimit
  /** Secret: JSON `{"current": "<kid>", "keys": [private EC P-256 JWKs, each with kid]}`. */
  readonly PASSPORT_KEYS: string
  /** Secret: 32 bytes, base64url; shared with the control plane, which signs release pins. */
  readonly PIN_KEY: string
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

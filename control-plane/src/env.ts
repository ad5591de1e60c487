import type { ExplainRequest, Explanation } from "../../contracts/platform.ts"
import type { RevocationsApi } from "../../contracts/revocation.ts"

/** The control plane's bindings, as in wrangler.toml (a test compares the two). A leaf: only index.ts and dependencies.ts know it. */
export interface Env {
  readonly DB: D1Database
  readonly ARTIFACTS: R2Bucket
  /** Written here, read by the dispatcher. */
  readonly CONFIG: KVNamespace
  /** The dispatcher's `Explain` entrypoint. */
  readonly EDGE: ExplainService
  /** The dispatcher itself, which the probe of revocations calls. */
  readonly EDGE_FRONT: Fetcher
  /** The revocations Worker's entrypoint `Revocations`. */
  readonly REVOCATIONS: RevocationsApi
  /** control-plane/web/dist, made by the build command. */
  readonly ASSETS: Fetcher
  /** Secret: a Cloudflare API token that may edit Workers scripts; held here and nowhere else. */
  readonly CLOUDFLARE_API_TOKEN: string
  /** Secret: 32 bytes, base64url; shared with the dispatcher, which checks release pins. */
  readonly PIN_KEY: string
  /** Secret: the dispatcher's session keys, with which the probe seals its cookie; without it there is no probe. */
  readonly SESSION_KEYS?: string
  /** Secret: one to four keys of 32 bytes, base64url, separated by spaces; the first seals passport keys, which the dispatcher opens with it. Without it no key is made. */
  readonly RING_KEY?: string
  /** Secret: SHA-256 (hex) of the first ops token; delete it once real ops tokens exist. */
  readonly BOOTSTRAP_TOKEN_HASH?: string
  /** Secret: SHA-256 (hex) of a scraper's token, `spm_` and 43 characters of base64url, which opens `/metrics` and nothing else; without it ops tokens alone do. */
  readonly METRICS_TOKEN_HASH?: string
  /** Secret: 32 bytes, base64url, under which secrets of uploads are kept; without it uploads with secrets are refused. */
  readonly ARTIFACT_KEY?: string
  readonly CLOUDFLARE_API_BASE_URL: string
  readonly CLOUDFLARE_ACCOUNT_ID: string
  /** Decimal: requests that Cloudflare takes of the token in five minutes. */
  readonly CLOUDFLARE_CALL_LIMIT: string
  readonly DISPATCH_NAMESPACE: string
  /** Service that a placed version's PLATFORM binding leads to. */
  readonly DISPATCHER_SERVICE: string
  /** Service through which teams' Workers call out: what the dispatcher's binding to the namespace has to name. */
  readonly OUTBOUND_SERVICE: string
  /** `iss` of passports, written into the dispatch config. */
  readonly PASSPORT_ISSUER: string
  /** Decimal seconds that a key of the passports signs before the schedule rotates. */
  readonly PASSPORT_KEY_MAX_AGE_S: string
  /** Decimal seconds that a key stands published before it signs. */
  readonly PASSPORT_KEY_LEAD_S: string
  readonly ENVIRONMENT: string
  readonly CF_VERSION_METADATA?: WorkerVersionMetadata
}

export interface ExplainService {
  explain(request: ExplainRequest): Promise<Explanation>
}

/**
 * Everything the control plane works with, made from the bindings in one place. Functions name the slice they use.
 * Tests replace what is not deterministic: clock, ids, waiting, and what lies behind another process.
 */
import type { RevocationsApi } from "../../contracts/revocation.ts"
import { toHex } from "../../kit/sha256.ts"
import { writeLog } from "../../kit/write-log.ts"
import type { Env, ExplainService } from "./env.ts"
import { type KeySettings, keySettingsOf } from "./keys/key-settings.ts"
import { callLimitOf } from "./script-host/call-budget.ts"
import { type Store, storeOf } from "./store/store.ts"

export interface Settings {
  readonly environment: string
  readonly passportIssuer: string
  /** 32 bytes, base64url. */
  readonly pinKey: string
  /** The dispatcher's, separated by spaces, the first seals; null where none is set. */
  readonly sessionKeys: string | null
  /** 32 bytes, base64url: seals passport keys; null where none is set. */
  readonly ringKey: string | null
  /** When keys of the passports are rotated. */
  readonly keys: KeySettings
  /** SHA-256 hex of the first ops token; null once it is retired. */
  readonly bootstrapTokenHash: string | null
  /** SHA-256 hex of the token that opens `/metrics` and nothing else; null where none is set. */
  readonly metricsTokenHash: string | null
  /** 32 bytes, base64url: keeps the secrets of uploads; null where none is set. */
  readonly artifactKey: string | null
  /** Id of the uploaded version of this Worker, or null where the platform gives none. */
  readonly workerVersion: string | null
  readonly cloudflare: {
    readonly baseUrl: string
    readonly accountId: string
    readonly apiToken: string
    readonly namespace: string
    readonly dispatcherService: string
    readonly outboundService: string
    /** Calls that the token may make in five minutes. */
    readonly callLimit: number
  }
}

export interface LogRecord {
  /** Stable and dotted, such as `publish.retry`. */
  readonly event: string
  readonly [field: string]: unknown
}

export interface Dependencies {
  readonly db: D1Database
  readonly artifacts: R2Bucket
  /** KV that the dispatcher reads its config from. */
  readonly config: KVNamespace
  readonly edge: ExplainService
  /** The dispatcher's own entrance. */
  readonly edgeFront: Fetcher
  readonly revocations: RevocationsApi
  readonly assets: Fetcher
  readonly store: Store
  readonly clock: { now(): number }
  /** `next("d")` is an id such as `d-018f…`: unique, 34 characters, growing with time to the millisecond. */
  readonly ids: { next(prefix: string): string }
  /** Waits that many milliseconds. */
  readonly wait: (ms: number) => Promise<void>
  readonly fetch: typeof fetch
  readonly log: (record: LogRecord) => void
  readonly settings: Settings
}

export type Overrides = Partial<Omit<Dependencies, "store">>

const perEnv = new WeakMap<Env, Dependencies>()

/** The same object for the same `env`, so that what is prepared once is prepared once per isolate. */
export function dependenciesOf(env: Env): Dependencies {
  let made = perEnv.get(env)
  if (made === undefined) {
    made = makeDependencies(env)
    perEnv.set(env, made)
  }
  return made
}

export function makeDependencies(env: Env, overrides: Overrides = {}): Dependencies {
  const parts = {
    db: env.DB,
    artifacts: env.ARTIFACTS,
    config: env.CONFIG,
    edge: env.EDGE,
    edgeFront: env.EDGE_FRONT,
    revocations: env.REVOCATIONS,
    assets: env.ASSETS,
    clock: { now: () => Date.now() },
    ids: { next: (prefix: string) => `${prefix}-${sortableId(Date.now())}` },
    wait: (ms: number) => scheduler.wait(ms),
    fetch: (input: RequestInfo | URL, init?: RequestInit) => fetch(input, init),
    log: writeLog,
    settings: settingsOf(env),
    ...overrides,
  }
  return { ...parts, store: storeOf(parts) }
}

function settingsOf(env: Env): Settings {
  return {
    environment: env.ENVIRONMENT,
    passportIssuer: env.PASSPORT_ISSUER,
    pinKey: env.PIN_KEY,
    sessionKeys: env.SESSION_KEYS ?? null,
    ringKey: env.RING_KEY ?? null,
    keys: keySettingsOf(env),
    bootstrapTokenHash: env.BOOTSTRAP_TOKEN_HASH ?? null,
    metricsTokenHash: env.METRICS_TOKEN_HASH ?? null,
    artifactKey: env.ARTIFACT_KEY ?? null,
    workerVersion: env.CF_VERSION_METADATA?.id ?? null,
    cloudflare: {
      baseUrl: env.CLOUDFLARE_API_BASE_URL,
      accountId: env.CLOUDFLARE_ACCOUNT_ID,
      apiToken: env.CLOUDFLARE_API_TOKEN,
      namespace: env.DISPATCH_NAMESPACE,
      dispatcherService: env.DISPATCHER_SERVICE,
      outboundService: env.OUTBOUND_SERVICE,
      callLimit: callLimitOf(env.CLOUDFLARE_CALL_LIMIT),
    },
  }
}

/** 12 hex digits of time, then 80 random bits. */
function sortableId(now: number): string {
  const random = toHex(crypto.getRandomValues(new Uint8Array(10)))
  return now.toString(16).padStart(12, "0") + random
}

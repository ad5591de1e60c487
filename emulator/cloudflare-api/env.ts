/** What the local Cloudflare API is bound to; wrangler.toml says the same. A leaf: it imports types only. */
import type { NamespaceMemoryApi } from "../namespace/stored-script.ts"
import type { Account } from "./account.ts"
import type { Database } from "./database.ts"

export interface Env {
  readonly ACCOUNT: DurableObjectNamespace<Account>
  readonly DATABASES: DurableObjectNamespace<Database>
  readonly BLOBS: R2Bucket
  readonly BUCKETS: R2Bucket
  readonly VALUES: KVNamespace
  readonly LOADER: WorkerLoader
  /** Absent in this folder's own tests. */
  readonly NAMESPACE?: NamespaceMemoryApi
  readonly ACCOUNT_ID: string
  readonly API_TOKEN: string
  /** Comma-separated names. */
  readonly PLATFORM_WORKERS: string
  /** Name of the outbound Worker, or empty. */
  readonly PLATFORM_OUTBOUND: string
  /** A whole number per five minutes, or `off`. */
  readonly RATE_LIMIT: string
  readonly ASSET_UPLOADS: string
}

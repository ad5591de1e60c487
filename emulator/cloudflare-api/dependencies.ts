/** What operations are given: the account's tables, bytes, clock and ids. Built once per Account object. */
import type { NamespaceMemoryApi } from "../namespace/stored-script.ts"
import type { Env } from "./env.ts"
import { FaultList } from "./faults.ts"
import { Queue } from "./one-at-a-time.ts"
import { type RateMeter, rateMeter } from "./rate-meter.ts"
import { resourceContents } from "./resource-contents.ts"
import type { ResourcesApi } from "./resources.ts"
import { type BlobStore, blobStore } from "./store/blobs.ts"
import { createTables, keptKey } from "./store/schema.ts"

export interface Dependencies {
  readonly accountId: string
  readonly apiToken: string
  readonly platformWorkers: readonly string[]
  /** Null where the first of the platform's Workers, the dispatcher, names none. */
  readonly platformOutbound: string | null
  readonly sql: SqlStorage
  /** Runs synchronously and all or nothing. */
  readonly transaction: <T>(run: () => T) => T
  readonly blobs: BlobStore
  readonly loader: WorkerLoader
  /** Told of every write before it is answered; null where nobody listens. */
  readonly namespace: NamespaceMemoryApi | null
  /** Contents of KV namespaces, buckets and databases. */
  readonly contents: Omit<ResourcesApi, "queueSend">
  readonly clock: { readonly now: () => number; readonly sleep: (ms: number) => Promise<void> }
  readonly ids: { readonly uuid: () => string; readonly hex32: () => string }
  /** Keyed by the namespace's name. */
  readonly writes: Queue
  readonly faults: FaultList
  readonly meter: RateMeter | null
  /** Signs asset upload tokens; made on the first start and kept. */
  readonly uploadKey: Uint8Array
  readonly singleAssetUploads: boolean
}

export function dependenciesOf(ctx: DurableObjectState, env: Env): Dependencies {
  const { sql } = ctx.storage
  createTables(sql)
  const hex32 = () => crypto.randomUUID().replaceAll("-", "")
  const key = keptKey(sql, "upload-key", () => hex32() + hex32())
  return {
    accountId: env.ACCOUNT_ID,
    apiToken: env.API_TOKEN,
    platformWorkers: env.PLATFORM_WORKERS.split(",").map((name) => name.trim()),
    platformOutbound: env.PLATFORM_OUTBOUND === "" ? null : env.PLATFORM_OUTBOUND,
    sql,
    transaction: (run) => ctx.storage.transactionSync(run),
    blobs: blobStore(env.BLOBS),
    loader: env.LOADER,
    namespace: env.NAMESPACE ?? null,
    contents: resourceContents(env),
    clock: { now: () => Date.now(), sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) },
    ids: { uuid: () => crypto.randomUUID(), hex32 },
    writes: new Queue(),
    faults: new FaultList(),
    meter: rateMeter(env.RATE_LIMIT),
    uploadKey: new TextEncoder().encode(key),
    singleAssetUploads: env.ASSET_UPLOADS === "single",
  }
}

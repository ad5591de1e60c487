/**
 * What bindings of user Workers to KV, R2, D1 and Queues do, as calls by the identifier that stands in the upload's metadata.
 * The local namespace's binding proxies call the `Resources` entrypoint of the local Cloudflare API; the REST paths read the same data.
 * Types only. Every method throws an Error whose message is the one production's binding would give, or `… not found` when the id is unknown.
 */

export interface KvPutOptions {
  /** Seconds since the epoch, at least 60 s ahead. */
  readonly expiration?: number
  /** Seconds, at least 60. */
  readonly expirationTtl?: number
  /** JSON, at most 1024 bytes. */
  readonly metadata?: unknown
}

export interface KvListOptions {
  readonly prefix?: string | null
  /** At most 1000, the default. */
  readonly limit?: number
  readonly cursor?: string | null
}

export interface KvList {
  readonly keys: { name: string; expiration?: number; metadata?: unknown }[]
  readonly list_complete: boolean
  /** Present while `list_complete` is false. */
  readonly cursor?: string
}

/** The fields of an R2Object, without its methods. */
export interface R2Facts {
  readonly key: string
  readonly version: string
  readonly size: number
  readonly etag: string
  readonly httpEtag: string
  readonly uploaded: Date
  readonly httpMetadata: R2HTTPMetadata
  readonly customMetadata: Record<string, string>
  readonly range?: R2Range
  readonly storageClass: string
}

export interface R2ListFacts {
  readonly objects: R2Facts[]
  readonly truncated: boolean
  readonly cursor?: string
  readonly delimitedPrefixes: string[]
}

/** `sql` is one statement; `params` are what D1 can bind. */
export interface SqlStatement {
  readonly sql: string
  readonly params?: readonly (string | number | null | ArrayBuffer)[]
}

/** One statement's answer: `rows[i][j]` belongs to `columns[j]`. */
export interface SqlResult {
  readonly columns: string[]
  readonly rows: (string | number | null | ArrayBuffer)[][]
  readonly meta: {
    readonly duration: number
    readonly changes: number
    readonly last_row_id: number
    readonly rows_read: number
    readonly rows_written: number
    readonly size_after: number
    readonly changed_db: boolean
  }
}

export interface QueueSend {
  /** As stored and given back by HTTP pull; for `json` the JSON text, for `bytes` base64, for `v8` base64 of the serialized value. */
  readonly body: string
  readonly contentType: "text" | "json" | "bytes" | "v8"
  readonly delaySeconds?: number
}

/** Entrypoint `Resources` of `sallyport-cloudflare-api`. */
export interface ResourcesApi {
  /** Null when the key is absent or expired. */
  kvGet(namespaceId: string, key: string): Promise<{ value: ArrayBuffer; metadata: unknown } | null>
  kvPut(namespaceId: string, key: string, value: ArrayBuffer | string, options?: KvPutOptions): Promise<void>
  kvDelete(namespaceId: string, key: string): Promise<void>
  kvList(namespaceId: string, options?: KvListOptions): Promise<KvList>

  r2Head(bucketName: string, key: string): Promise<R2Facts | null>
  /** `body` is null when `onlyIf` was not met; the result is null when the key is absent. */
  r2Get(
    bucketName: string,
    key: string,
    options?: R2GetOptions,
  ): Promise<{ object: R2Facts; body: ReadableStream | null } | null>
  /** Null when `onlyIf` was not met. */
  r2Put(
    bucketName: string,
    key: string,
    value: ArrayBuffer | string | null,
    options?: R2PutOptions,
  ): Promise<R2Facts | null>
  r2Delete(bucketName: string, keys: string[]): Promise<void>
  r2List(bucketName: string, options?: R2ListOptions): Promise<R2ListFacts>

  /** All statements in one transaction, as `batch()`; a single `prepare().run()` is a batch of one. */
  d1Batch(databaseId: string, statements: SqlStatement[]): Promise<SqlResult[]>
  /** `exec()`: several statements in one text, no parameters. */
  d1Exec(databaseId: string, sql: string): Promise<{ count: number; duration: number }>

  queueSend(queueName: string, messages: QueueSend[]): Promise<void>
}

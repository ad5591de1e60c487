/** Resources in memory, as far as the bindings' tests need them: what is tested is the way from user code to a call here and back. */
import { WorkerEntrypoint } from "cloudflare:workers"
import type {
  KvList,
  KvListOptions,
  KvPutOptions,
  QueueSend,
  R2Facts,
  ResourcesApi,
  SqlResult,
  SqlStatement,
} from "../../cloudflare-api/resources.ts"

const values = new Map<string, { value: ArrayBuffer; metadata: unknown }>()
const objects = new Map<string, { facts: R2Facts; body: ArrayBuffer }>()
/** What was sent to queues, by name. */
export const sent = new Map<string, QueueSend[]>()
/** What databases were asked, by id. */
export const asked = new Map<string, SqlStatement[]>()

export class TestResources extends WorkerEntrypoint implements ResourcesApi {
  async kvGet(namespaceId: string, key: string) {
    return values.get(`${namespaceId}/${key}`) ?? null
  }
  async kvPut(namespaceId: string, key: string, value: ArrayBuffer | string, options?: KvPutOptions) {
    values.set(`${namespaceId}/${key}`, { value: asBytes(value), metadata: options?.metadata ?? null })
  }
  async kvDelete(namespaceId: string, key: string) {
    values.delete(`${namespaceId}/${key}`)
  }
  async kvList(namespaceId: string, options: KvListOptions = {}): Promise<KvList> {
    const start = `${namespaceId}/${options.prefix ?? ""}`
    const names = [...values.keys()].filter((key) => key.startsWith(start)).sort()
    return { keys: names.map((key) => ({ name: key.slice(namespaceId.length + 1) })), list_complete: true }
  }

  async r2Head(bucketName: string, key: string) {
    return objects.get(`${bucketName}/${key}`)?.facts ?? null
  }
  async r2Get(bucketName: string, key: string) {
    const found = objects.get(`${bucketName}/${key}`)
    return found === undefined ? null : { object: found.facts, body: new Response(found.body).body }
  }
  async r2Put(bucketName: string, key: string, value: ArrayBuffer | string | null, options?: R2PutOptions) {
    const body = asBytes(value ?? "")
    const facts: R2Facts = {
      key,
      version: "1",
      size: body.byteLength,
      etag: "e",
      httpEtag: '"e"',
      uploaded: new Date(0),
      httpMetadata: (options?.httpMetadata ?? {}) as R2HTTPMetadata,
      customMetadata: options?.customMetadata ?? {},
      storageClass: "Standard",
    }
    objects.set(`${bucketName}/${key}`, { facts, body })
    return facts
  }
  async r2Delete(bucketName: string, keys: string[]) {
    for (const key of keys) objects.delete(`${bucketName}/${key}`)
  }
  async r2List(bucketName: string) {
    const found = [...objects].filter(([key]) => key.startsWith(`${bucketName}/`))
    return { objects: found.map(([, { facts }]) => facts), truncated: false, delimitedPrefixes: [] }
  }

  async d1Batch(databaseId: string, statements: SqlStatement[]): Promise<SqlResult[]> {
    asked.set(databaseId, statements)
    if (statements.some(({ sql }) => sql.includes("nowhere"))) throw new Error("no such table: nowhere: SQLITE_ERROR")
    const meta = {
      duration: 0,
      changes: 0,
      last_row_id: 0,
      rows_read: 1,
      rows_written: 0,
      size_after: 0,
      changed_db: false,
    }
    return statements.map(({ params = [] }) => ({ columns: ["a", "b"], rows: [[...params].slice(0, 2)], meta }))
  }
  async d1Exec(_databaseId: string, sql: string) {
    return { count: sql.split(";").length - 1, duration: 0 }
  }

  async queueSend(queueName: string, messages: QueueSend[]) {
    sent.set(queueName, [...(sent.get(queueName) ?? []), ...messages])
  }
}

function asBytes(value: ArrayBuffer | string): ArrayBuffer {
  return typeof value === "string" ? new TextEncoder().encode(value).slice().buffer : value
}

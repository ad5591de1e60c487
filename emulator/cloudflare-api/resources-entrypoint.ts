/** RPC entrypoint by which bindings of user Workers reach KV, R2, D1 and Queues of the emulated account. */
import { WorkerEntrypoint } from "cloudflare:workers"
import type { Env } from "./env.ts"
import { resourceContents } from "./resource-contents.ts"
import type {
  KvList,
  KvListOptions,
  KvPutOptions,
  QueueSend,
  R2Facts,
  R2ListFacts,
  ResourcesApi,
  SqlResult,
  SqlStatement,
} from "./resources.ts"

export class Resources extends WorkerEntrypoint<Env> implements ResourcesApi {
  get #contents(): Omit<ResourcesApi, "queueSend"> {
    return resourceContents(this.env)
  }

  kvGet(namespaceId: string, key: string): Promise<{ value: ArrayBuffer; metadata: unknown } | null> {
    return this.#contents.kvGet(namespaceId, key)
  }
  kvPut(namespaceId: string, key: string, value: ArrayBuffer | string, options?: KvPutOptions): Promise<void> {
    return this.#contents.kvPut(namespaceId, key, value, options)
  }
  kvDelete(namespaceId: string, key: string): Promise<void> {
    return this.#contents.kvDelete(namespaceId, key)
  }
  kvList(namespaceId: string, options?: KvListOptions): Promise<KvList> {
    return this.#contents.kvList(namespaceId, options)
  }

  r2Head(bucketName: string, key: string): Promise<R2Facts | null> {
    return this.#contents.r2Head(bucketName, key)
  }
  r2Get(bucketName: string, key: string, options?: R2GetOptions): ReturnType<ResourcesApi["r2Get"]> {
    return this.#contents.r2Get(bucketName, key, options)
  }
  r2Put(
    bucketName: string,
    key: string,
    value: ArrayBuffer | string | null,
    options?: R2PutOptions,
  ): Promise<R2Facts | null> {
    return this.#contents.r2Put(bucketName, key, value, options)
  }
  r2Delete(bucketName: string, keys: string[]): Promise<void> {
    return this.#contents.r2Delete(bucketName, keys)
  }
  r2List(bucketName: string, options?: R2ListOptions): Promise<R2ListFacts> {
    return this.#contents.r2List(bucketName, options)
  }

  d1Batch(databaseId: string, statements: SqlStatement[]): Promise<SqlResult[]> {
    return this.#contents.d1Batch(databaseId, statements)
  }
  d1Exec(databaseId: string, sql: string): Promise<{ count: number; duration: number }> {
    return this.#contents.d1Exec(databaseId, sql)
  }

  async queueSend(queueName: string, messages: QueueSend[]): Promise<void> {
    await this.env.ACCOUNT.getByName("account").queueSend(queueName, messages)
  }
}

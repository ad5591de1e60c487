/**
 * Contents of emulated KV namespaces, R2 buckets and D1 databases. KV and R2 are real local bindings shared by all emulated
 * resources, with `{id}/` before each key; so their own checks and messages apply, and a key may be that much shorter than in production.
 */
import type { Env } from "./env.ts"
import type { R2Facts, ResourcesApi } from "./resources.ts"

export function resourceContents(env: Pick<Env, "VALUES" | "BUCKETS" | "DATABASES">): Omit<ResourcesApi, "queueSend"> {
  return { ...kvContents(env.VALUES), ...r2Contents(env.BUCKETS), ...d1Contents(env.DATABASES) }
}

type KvContents = Pick<ResourcesApi, "kvGet" | "kvPut" | "kvDelete" | "kvList">

function kvContents(kv: KVNamespace): KvContents {
  return {
    async kvGet(namespaceId, key) {
      const { value, metadata } = await kv.getWithMetadata(`${namespaceId}/${key}`, "arrayBuffer")
      return value === null ? null : { value, metadata }
    },
    async kvPut(namespaceId, key, value, options = {}) {
      await kv.put(`${namespaceId}/${key}`, value, options)
    },
    async kvDelete(namespaceId, key) {
      await kv.delete(`${namespaceId}/${key}`)
    },
    async kvList(namespaceId, { prefix, limit, cursor } = {}) {
      const own = `${namespaceId}/`
      const page = await kv.list({ prefix: own + (prefix ?? ""), limit: limit ?? 1000, cursor: cursor ?? null })
      const keys = page.keys.map((key) => ({ ...key, name: key.name.slice(own.length) }))
      return page.list_complete ? { keys, list_complete: true } : { keys, list_complete: false, cursor: page.cursor }
    },
  }
}

type R2Contents = Pick<ResourcesApi, "r2Head" | "r2Get" | "r2Put" | "r2Delete" | "r2List">

function r2Contents(r2: R2Bucket): R2Contents {
  return {
    async r2Head(bucket, key) {
      const object = await r2.head(`${bucket}/${key}`)
      return object === null ? null : factsOf(bucket, object)
    },
    async r2Get(bucket, key, options = {}) {
      const object = await r2.get(`${bucket}/${key}`, options)
      if (object === null) return null
      return { object: factsOf(bucket, object), body: "body" in object ? object.body : null }
    },
    async r2Put(bucket, key, value, options = {}) {
      const object: R2Object | null = await r2.put(`${bucket}/${key}`, value, options)
      return object === null ? null : factsOf(bucket, object)
    },
    async r2Delete(bucket, keys) {
      await r2.delete(keys.map((key) => `${bucket}/${key}`))
    },
    async r2List(bucket, options = {}) {
      const own = `${bucket}/`
      const { startAfter } = options
      const page = await r2.list({
        ...options,
        prefix: own + (options.prefix ?? ""),
        ...(startAfter === undefined ? {} : { startAfter: own + startAfter }),
      })
      return {
        objects: page.objects.map((object) => factsOf(bucket, object)),
        truncated: page.truncated,
        ...(page.truncated ? { cursor: page.cursor } : {}),
        delimitedPrefixes: page.delimitedPrefixes.map((prefix) => prefix.slice(own.length)),
      }
    },
  }
}

function d1Contents(databases: Env["DATABASES"]): Pick<ResourcesApi, "d1Batch" | "d1Exec"> {
  return {
    d1Batch: async (databaseId, statements) => await databases.getByName(databaseId).batch(statements),
    d1Exec: async (databaseId, sql) => await databases.getByName(databaseId).execute(sql),
  }
}

function factsOf(bucket: string, object: R2Object): R2Facts {
  return {
    key: object.key.slice(bucket.length + 1),
    version: object.version,
    size: object.size,
    etag: object.etag,
    httpEtag: object.httpEtag,
    uploaded: object.uploaded,
    httpMetadata: object.httpMetadata ?? {},
    customMetadata: object.customMetadata ?? {},
    ...(object.range === undefined ? {} : { range: object.range }),
    storageClass: object.storageClass,
  }
}

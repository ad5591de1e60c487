/** R2 buckets and objects. @see https://developers.cloudflare.com/api/resources/r2/ */
import { type Call, jsonBody, type Operation, stringMember } from "../call.ts"
import type { Dependencies } from "../dependencies.ts"
import { fail, ok } from "../envelope.ts"
import { deleteResource, findResource, listResources, type ResourceRow, saveResource } from "../store/resources.ts"

export const listAll: Operation = (_call, deps) => ok({ buckets: listResources(deps.sql, "r2").map(describeBucket) })

export const create: Operation = async (call, deps) => {
  const name = stringMember(await jsonBody(call), "name")
  if (!/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(name))
    throw fail("malformed", { message: "The specified bucket name is not valid." })
  if (findResource(deps.sql, "r2", "name", name) !== null) throw fail("bucketExists")
  const row = { id: name, name, createdOn: new Date(deps.clock.now()).toISOString() }
  saveResource(deps.sql, "r2", row)
  return ok(describeBucket(row))
}

export const read: Operation = (call, deps) => ok(describeBucket(requireBucket(call, deps)))

export const remove: Operation = async (call, deps) => {
  const { name } = requireBucket(call, deps)
  if ((await deps.contents.r2List(name, { limit: 1 })).objects.length > 0) throw fail("bucketNotEmpty")
  deleteResource(deps.sql, "r2", name)
  return ok({})
}

export const readObject: Operation = async (call, deps) => {
  const found = await deps.contents.r2Get(requireBucket(call, deps).name, call.param("key"))
  if (found?.body == null) throw fail("objectMissing")
  const { httpMetadata, httpEtag } = found.object
  const type = httpMetadata.contentType ?? "application/octet-stream"
  return new Response(found.body, { headers: { "content-type": type, etag: httpEtag } })
}

export const writeObject: Operation = async (call, deps) => {
  const { name } = requireBucket(call, deps)
  const contentType = call.request.headers.get("content-type")
  const httpMetadata = contentType === null ? {} : { contentType }
  const object = await deps.contents.r2Put(name, call.param("key"), await call.request.arrayBuffer(), { httpMetadata })
  return ok({ key: object?.key, etag: object?.etag, size: String(object?.size), version: object?.version })
}

export const removeObject: Operation = async (call, deps) => {
  await deps.contents.r2Delete(requireBucket(call, deps).name, [call.param("key")])
  return ok({})
}

function requireBucket(call: Call, deps: Dependencies): ResourceRow {
  const row = findResource(deps.sql, "r2", "name", call.param("bucket"))
  if (row === null) throw fail("bucketMissing")
  return row
}

function describeBucket({ name, createdOn }: ResourceRow): Record<string, unknown> {
  return { name, creation_date: createdOn, location: "WEUR", storage_class: "Standard", jurisdiction: "default" }
}

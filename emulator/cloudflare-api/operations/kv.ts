/** KV namespaces and what is in them. @see https://developers.cloudflare.com/api/resources/kv/ */
import { SESSIONS_NAMESPACE_ID } from "../account-resources.ts"
import { type Call, jsonBody, type Operation, stringMember } from "../call.ts"
import type { Dependencies } from "../dependencies.ts"
import { fail, ok, paged } from "../envelope.ts"
import type { KvPutOptions } from "../resources.ts"
import { deleteResource, findResource, listResources, type ResourceRow, saveResource } from "../store/resources.ts"
import { type FormPart, parseMultipart } from "../upload/parse-multipart.ts"

export const listAll: Operation = (call, deps) =>
  paged(listResources(deps.sql, "kv").map(describeNamespace), call.query)

export const create: Operation = async (call, deps) => {
  const title = stringMember(await jsonBody(call), "title")
  if (findResource(deps.sql, "kv", "name", title) !== null) throw fail("kvNamespaceExists")
  const row = { id: deps.ids.hex32(), name: title, createdOn: new Date(deps.clock.now()).toISOString() }
  saveResource(deps.sql, "kv", row)
  return ok(describeNamespace(row))
}

export const read: Operation = (call, deps) => ok(describeNamespace(requireKv(call, deps)))

export const rename: Operation = async (call, deps) => {
  const title = stringMember(await jsonBody(call), "title")
  const row = requireKv(call, deps)
  if (title !== row.name && findResource(deps.sql, "kv", "name", title) !== null) throw fail("kvNamespaceExists")
  saveResource(deps.sql, "kv", { ...row, name: title })
  return ok(describeNamespace({ ...row, name: title }))
}

export const remove: Operation = async (call, deps) => {
  const { id } = requireKv(call, deps)
  for (
    let list = await deps.contents.kvList(id);
    ;
    list = await deps.contents.kvList(id, { cursor: list.cursor ?? null })
  ) {
    for (const { name } of list.keys) await deps.contents.kvDelete(id, name)
    if (list.list_complete) break
  }
  deleteResource(deps.sql, "kv", id)
  return ok(null)
}

export const listKeys: Operation = async (call, deps) => {
  const { id } = requireKv(call, deps)
  const limit = Number(call.query.get("limit") ?? 1000)
  const page = await deps.contents.kvList(id, {
    prefix: call.query.get("prefix"),
    limit,
    cursor: call.query.get("cursor") || null,
  })
  return ok(page.keys, { count: page.keys.length, cursor: page.cursor ?? "" })
}

/** The value itself, without an envelope. */
export const readValue: Operation = async (call, deps) => {
  const found = await deps.contents.kvGet(requireKv(call, deps).id, call.param("key"))
  if (found === null) throw fail("kvKeyMissing")
  return new Response(found.value, { headers: { "content-type": "application/octet-stream" } })
}

export const readMetadata: Operation = async (call, deps) => {
  const found = await deps.contents.kvGet(requireKv(call, deps).id, call.param("key"))
  if (found === null) throw fail("kvKeyMissing")
  return ok(found.metadata ?? null)
}

/** The body is the value, or a form with `value` and `metadata`. */
export const writeValue: Operation = async (call, deps) => {
  const { id } = requireKv(call, deps)
  const body = new Uint8Array(await call.request.arrayBuffer())
  const contentType = call.request.headers.get("content-type") ?? ""
  const parts = contentType.startsWith("multipart/form-data") ? parseMultipart(body, contentType) : null
  const value = parts === null ? body : (partOf(parts, "value")?.body ?? new Uint8Array())
  const metadata = parts === null ? undefined : partOf(parts, "metadata")
  await deps.contents
    .kvPut(id, call.param("key"), value.slice().buffer, { ...lifetimeOf(call), ...metadataOption(metadata) })
    .catch((thrown: unknown) => {
      throw fail("malformed", { message: thrown instanceof Error ? thrown.message : String(thrown) })
    })
  return ok(null)
}

export const removeValue: Operation = async (call, deps) => {
  await deps.contents.kvDelete(requireKv(call, deps).id, call.param("key"))
  return ok(null)
}

function lifetimeOf({ query }: Call): KvPutOptions {
  const expiration = query.get("expiration")
  const ttl = query.get("expiration_ttl")
  return {
    ...(expiration === null ? {} : { expiration: Number(expiration) }),
    ...(ttl === null ? {} : { expirationTtl: Number(ttl) }),
  }
}

function metadataOption(part: FormPart | undefined): KvPutOptions {
  if (part === undefined) return {}
  try {
    return { metadata: JSON.parse(new TextDecoder().decode(part.body)) as unknown }
  } catch {
    throw fail("malformed", { message: "metadata must be JSON" })
  }
}

function partOf(parts: readonly FormPart[], name: string): FormPart | undefined {
  return parts.find((part) => part.name === name)
}

function requireKv(call: Call, deps: Dependencies): ResourceRow {
  const id = call.param("kv")
  const row = findResource(deps.sql, "kv", "id", id)
  if (row !== null) return row
  if (id === SESSIONS_NAMESPACE_ID) return { id, name: id, createdOn: new Date(0).toISOString() }
  throw fail("kvNamespaceMissing")
}

function describeNamespace({ id, name }: ResourceRow): Record<string, unknown> {
  return { id, title: name, supports_url_encoding: true }
}

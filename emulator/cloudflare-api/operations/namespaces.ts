/** Dispatch namespaces: list, create, read, rename, trust, delete. */
import { type Call, jsonBody, type Operation, stringMember } from "../call.ts"
import type { Dependencies } from "../dependencies.ts"
import { fail, ok } from "../envelope.ts"
import {
  deleteNamespace,
  findNamespace,
  listNamespaces,
  type NamespaceRow,
  saveNamespace,
} from "../store/namespaces.ts"
import { countScripts, listScripts } from "../store/scripts.ts"

/** The namespace in the path. @throws ApiFailure namespaceMissing */
export function requireNamespace(call: Call, deps: Dependencies): NamespaceRow {
  const row = findNamespace(deps.sql, call.param("namespace"))
  if (row === null) throw fail("namespaceMissing")
  return row
}

export const listAll: Operation = (_call, deps) =>
  ok(listNamespaces(deps.sql).map((row) => describeNamespace(row, deps)))

export const create: Operation = async (call, deps) => {
  const body = await jsonBody(call)
  const name = stringMember(body, "name")
  const now = new Date(deps.clock.now()).toISOString()
  if (findNamespace(deps.sql, name) !== null) throw fail("namespaceExists")
  const row = { id: deps.ids.uuid(), name, trusted: body.trusted_workers === true, createdOn: now, modifiedOn: now }
  saveNamespace(deps.sql, row)
  return ok(describeNamespace(row, deps))
}

export const read: Operation = (call, deps) => ok(describeNamespace(requireNamespace(call, deps), deps))

/** PUT: an omitted `trusted_workers` falls back to untrusted, as a replacement does. */
export const replace: Operation = async (call, deps) => {
  const body = await jsonBody(call)
  return await change(call, deps, stringMember(body, "name"), body.trusted_workers === true)
}

/** PATCH: what is omitted stays. */
export const edit: Operation = async (call, deps) => {
  const body = await jsonBody(call)
  const row = requireNamespace(call, deps)
  const name = body.name === undefined ? row.name : stringMember(body, "name")
  const trusted = body.trusted_workers
  return await change(call, deps, name, typeof trusted === "boolean" ? trusted : row.trusted)
}

export const remove: Operation = async (call, deps) => {
  const row = requireNamespace(call, deps)
  const scripts = listScripts(deps.sql, row.id).map(({ name }) => name)
  deps.transaction(() => deleteNamespace(deps.sql, row.id))
  for (const script of scripts) await deps.namespace?.changed(row.name, script)
  return ok(null)
}

async function change(call: Call, deps: Dependencies, name: string, trusted: boolean): Promise<Response> {
  const row = requireNamespace(call, deps)
  if (name !== row.name && findNamespace(deps.sql, name) !== null) throw fail("namespaceExists")
  const changed = { ...row, name, trusted, modifiedOn: new Date(deps.clock.now()).toISOString() }
  saveNamespace(deps.sql, changed)
  for (const script of listScripts(deps.sql, row.id)) {
    await deps.namespace?.changed(row.name, script.name)
    if (name !== row.name) await deps.namespace?.changed(name, script.name)
  }
  return ok(describeNamespace(changed, deps))
}

function describeNamespace(row: NamespaceRow, { sql, accountId }: Dependencies): Record<string, unknown> {
  return {
    namespace_id: row.id,
    namespace_name: row.name,
    script_count: countScripts(sql, row.id),
    trusted_workers: row.trusted,
    created_on: row.createdOn,
    created_by: accountId,
    modified_on: row.modifiedOn,
    modified_by: accountId,
  }
}

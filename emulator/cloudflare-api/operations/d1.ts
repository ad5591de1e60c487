/** D1 databases and queries. @see https://developers.cloudflare.com/api/resources/d1/ */
import { type Call, jsonBody, type Operation, stringMember } from "../call.ts"
import type { Dependencies } from "../dependencies.ts"
import { fail, ok, paged } from "../envelope.ts"
import type { SqlResult, SqlStatement } from "../resources.ts"
import { deleteResource, findResource, listResources, type ResourceRow, saveResource } from "../store/resources.ts"

export const listAll: Operation = (call, deps) => {
  const name = call.query.get("name")
  const rows = listResources(deps.sql, "d1").filter((row) => name === null || row.name === name)
  return paged(rows.map(describeDatabase), call.query, 100)
}

export const create: Operation = async (call, deps) => {
  const name = stringMember(await jsonBody(call), "name")
  if (findResource(deps.sql, "d1", "name", name) !== null) throw fail("databaseExists")
  const row = { id: deps.ids.uuid(), name, createdOn: new Date(deps.clock.now()).toISOString() }
  saveResource(deps.sql, "d1", row)
  return ok(describeDatabase(row))
}

export const read: Operation = (call, deps) => ok(describeDatabase(requireDatabase(call, deps)))

/** The contents stay on disk under an id that is never given out again. */
export const remove: Operation = (call, deps) => {
  deleteResource(deps.sql, "d1", requireDatabase(call, deps).id)
  return ok(null)
}

/** Rows as objects. */
export const query: Operation = async (call, deps) =>
  ok(
    (await run(call, deps)).map(({ columns, rows, meta }) => {
      const results = rows.map((row) => Object.fromEntries(columns.map((column, index) => [column, row[index]])))
      return { results, success: true, meta }
    }),
  )

/** Rows as arrays. */
export const raw: Operation = async (call, deps) =>
  ok((await run(call, deps)).map(({ columns, rows, meta }) => ({ results: { columns, rows }, success: true, meta })))

async function run(call: Call, deps: Dependencies): Promise<SqlResult[]> {
  const { id } = requireDatabase(call, deps)
  const body = await jsonBody(call)
  const batch = Array.isArray(body.batch) ? (body.batch as SqlStatement[]) : [body as unknown as SqlStatement]
  for (const { sql } of batch) if (typeof sql !== "string") throw fail("malformed", { message: "sql must be a string" })
  try {
    return await deps.contents.d1Batch(id, batch)
  } catch (thrown) {
    throw fail("queryFailed", {
      message: (thrown instanceof Error ? thrown.message : String(thrown)).replace(/^D1_ERROR: /, ""),
    })
  }
}

function requireDatabase(call: Call, deps: Dependencies): ResourceRow {
  const row = findResource(deps.sql, "d1", "id", call.param("database"))
  if (row === null) throw fail("databaseMissing")
  return row
}

function describeDatabase({ id, name, createdOn }: ResourceRow): Record<string, unknown> {
  return { uuid: id, name, created_at: createdOn, version: "production", num_tables: 0, file_size: 0 }
}

/** Names and ids of the account's KV namespaces, R2 buckets, D1 databases and queues. Their contents live elsewhere. */

export type ResourceKind = "kv" | "r2" | "d1" | "queue"

export interface ResourceRow {
  /** 32 hex for KV and queues, a UUID for D1, the name itself for R2. */
  readonly id: string
  readonly name: string
  /** ISO 8601. */
  readonly createdOn: string
}

export function listResources(sql: SqlStorage, kind: ResourceKind): ResourceRow[] {
  return [...sql.exec("SELECT * FROM resources WHERE kind = ? ORDER BY name", kind)].map(toRow)
}

export function findResource(
  sql: SqlStorage,
  kind: ResourceKind,
  by: "id" | "name",
  value: string,
): ResourceRow | null {
  const row = [...sql.exec(`SELECT * FROM resources WHERE kind = ? AND ${by} = ?`, kind, value)][0]
  return row === undefined ? null : toRow(row)
}

export function saveResource(sql: SqlStorage, kind: ResourceKind, row: ResourceRow): void {
  const statement = "INSERT OR REPLACE INTO resources (kind, id, name, created_on) VALUES (?, ?, ?, ?)"
  sql.exec(statement, kind, row.id, row.name, row.createdOn)
}

export function deleteResource(sql: SqlStorage, kind: ResourceKind, id: string): void {
  sql.exec("DELETE FROM resources WHERE kind = ? AND id = ?", kind, id)
  if (kind === "queue") sql.exec("DELETE FROM queue_messages WHERE queue_id = ?", id)
}

function toRow(row: Record<string, SqlStorageValue>): ResourceRow {
  return { id: String(row.id), name: String(row.name), createdOn: String(row.created_on) }
}

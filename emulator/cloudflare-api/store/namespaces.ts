/** Dispatch namespaces of the emulated account. Names are unique; scripts hang on the id, so that a rename moves nothing. */

export interface NamespaceRow {
  /** UUID. */
  readonly id: string
  readonly name: string
  readonly trusted: boolean
  /** ISO 8601. */
  readonly createdOn: string
  readonly modifiedOn: string
}

export function listNamespaces(sql: SqlStorage): NamespaceRow[] {
  return [...sql.exec("SELECT * FROM namespaces ORDER BY name")].map(toRow)
}

export function findNamespace(sql: SqlStorage, name: string): NamespaceRow | null {
  const row = [...sql.exec("SELECT * FROM namespaces WHERE name = ?", name)][0]
  return row === undefined ? null : toRow(row)
}

export function saveNamespace(sql: SqlStorage, row: NamespaceRow): void {
  sql.exec(
    "INSERT OR REPLACE INTO namespaces (id, name, trusted, created_on, modified_on) VALUES (?, ?, ?, ?, ?)",
    row.id,
    row.name,
    row.trusted ? 1 : 0,
    row.createdOn,
    row.modifiedOn,
  )
}

/** Removes the namespace with its scripts and what is known of its assets. */
export function deleteNamespace(sql: SqlStorage, id: string): void {
  for (const table of ["scripts", "assets", "asset_sessions"])
    sql.exec(`DELETE FROM ${table} WHERE namespace_id = ?`, id)
  sql.exec("DELETE FROM namespaces WHERE id = ?", id)
}

function toRow(row: Record<string, SqlStorageValue>): NamespaceRow {
  return {
    id: String(row.id),
    name: String(row.name),
    trusted: row.trusted === 1,
    createdOn: String(row.created_on),
    modifiedOn: String(row.modified_on),
  }
}

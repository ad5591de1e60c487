/**
 * Which asset hashes a namespace holds, and open upload sessions. Assets are shared by all scripts of a namespace with equal hashes,
 * as in production; the hash is the client's and is not recomputed.
 * @see https://developers.cloudflare.com/cloudflare-for-platforms/workers-for-platforms/configuration/static-assets/
 */

export interface AssetSession {
  readonly id: string
  readonly namespaceId: string
  readonly script: string
  /** SHA-256 of the manifest's JSON; key below `blobs/`. */
  readonly manifest: string
  readonly expiresAtMs: number
}

/** Those of `hashes` that the namespace does not hold, each once, in order. */
export function missingAssets(sql: SqlStorage, namespaceId: string, hashes: readonly string[]): string[] {
  return [...new Set(hashes)].filter((hash) => findAsset(sql, namespaceId, hash) === null)
}

export function findAsset(sql: SqlStorage, namespaceId: string, hash: string): { contentType: string | null } | null {
  const query = "SELECT content_type FROM assets WHERE namespace_id = ? AND hash = ?"
  const row = [...sql.exec(query, namespaceId, hash)][0]
  if (row === undefined) return null
  return { contentType: row.content_type === null ? null : String(row.content_type) }
}

export function saveAsset(sql: SqlStorage, namespaceId: string, hash: string, contentType: string | null): void {
  const statement = "INSERT OR REPLACE INTO assets (namespace_id, hash, content_type) VALUES (?, ?, ?)"
  sql.exec(statement, namespaceId, hash, contentType)
}

export function saveSession(sql: SqlStorage, session: AssetSession, nowMs: number): void {
  sql.exec("DELETE FROM asset_sessions WHERE expires_at_ms <= ?", nowMs)
  sql.exec(
    "INSERT INTO asset_sessions (id, namespace_id, script, manifest, expires_at_ms) VALUES (?, ?, ?, ?, ?)",
    session.id,
    session.namespaceId,
    session.script,
    session.manifest,
    session.expiresAtMs,
  )
}

/** Null when unknown or past its hour. */
export function findSession(sql: SqlStorage, id: string, nowMs: number): AssetSession | null {
  const row = [...sql.exec("SELECT * FROM asset_sessions WHERE id = ? AND expires_at_ms > ?", id, nowMs)][0]
  if (row === undefined) return null
  return {
    id,
    namespaceId: String(row.namespace_id),
    script: String(row.script),
    manifest: String(row.manifest),
    expiresAtMs: Number(row.expires_at_ms),
  }
}

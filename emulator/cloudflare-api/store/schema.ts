/**
 * Tables of the emulated account, in the SQLite of the one Account object. Bytes and asset manifests live in R2 (store/blobs.ts);
 * a script's row is written last, so a reader sees a whole upload or the one before it.
 */

const TABLES = `
CREATE TABLE IF NOT EXISTS keys (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS namespaces (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, trusted INTEGER NOT NULL, created_on TEXT NOT NULL, modified_on TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS scripts (
  namespace_id TEXT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (namespace_id, name));
CREATE TABLE IF NOT EXISTS assets (
  namespace_id TEXT NOT NULL, hash TEXT NOT NULL, content_type TEXT, PRIMARY KEY (namespace_id, hash));
CREATE TABLE IF NOT EXISTS asset_sessions (
  id TEXT PRIMARY KEY, namespace_id TEXT NOT NULL, script TEXT NOT NULL, manifest TEXT NOT NULL, expires_at_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS resources (
  kind TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, created_on TEXT NOT NULL, PRIMARY KEY (kind, id), UNIQUE (kind, name));
CREATE TABLE IF NOT EXISTS queue_messages (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, queue_id TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, content_type TEXT NOT NULL,
  sent_at_ms INTEGER NOT NULL, visible_at_ms INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, lease_id TEXT);
`

/** Creates what is missing; safe on every start. */
export function createTables(sql: SqlStorage): void {
  sql.exec(TABLES)
}

/** The value kept under `name`, made by `make` and stored the first time. */
export function keptKey(sql: SqlStorage, name: string, make: () => string): string {
  sql.exec("INSERT OR IGNORE INTO keys (name, value) VALUES (?, ?)", name, make())
  return String(sql.exec("SELECT value FROM keys WHERE name = ?", name).one().value)
}

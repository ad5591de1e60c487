/** Scripts of a namespace: one JSON document each, pointing at module bytes and the asset manifest in R2. */
import type { StoredBinding, UploadMetadata } from "../../namespace/stored-script.ts"

export interface ModuleEntry {
  readonly name: string
  /** Content-Type of the upload's part. */
  readonly type: string
  /** Hex; key below `blobs/`. */
  readonly sha256: string
  readonly sizeBytes: number
}

export interface NamedHandlers {
  readonly name: string
  readonly handlers: readonly string[]
}

export interface ScriptDocument {
  readonly name: string
  /** 32 hex, the same for the life of the script. */
  readonly tag: string
  readonly etag: string
  readonly metadata: UploadMetadata & { readonly bindings: readonly StoredBinding[] }
  readonly modules: readonly ModuleEntry[]
  /** `manifest` is the SHA-256 of the manifest's JSON; key below `blobs/`. */
  readonly assets: { readonly manifest: string; readonly config: Readonly<Record<string, unknown>> } | null
  readonly handlers: readonly string[]
  readonly namedHandlers: readonly NamedHandlers[]
  /** Classes that migrations or declared exports have made Durable Objects. */
  readonly durableClasses: readonly string[]
  readonly migrationTag: string | null
  readonly startupTimeMs: number
  /** ISO 8601. */
  readonly createdOn: string
  readonly modifiedOn: string
}

export function findScript(sql: SqlStorage, namespaceId: string, name: string): ScriptDocument | null {
  const query = "SELECT document FROM scripts WHERE namespace_id = ? AND name = ?"
  const row = [...sql.exec(query, namespaceId, name)][0]
  return row === undefined ? null : toDocument(row)
}

/** In order of names, after `after`. */
export function listScripts(sql: SqlStorage, namespaceId: string, after = ""): ScriptDocument[] {
  const query = "SELECT document FROM scripts WHERE namespace_id = ? AND name > ? ORDER BY name"
  return [...sql.exec(query, namespaceId, after)].map(toDocument)
}

export function countScripts(sql: SqlStorage, namespaceId: string): number {
  return Number(sql.exec("SELECT COUNT(*) AS n FROM scripts WHERE namespace_id = ?", namespaceId).one().n)
}

export function saveScript(sql: SqlStorage, namespaceId: string, document: ScriptDocument): void {
  sql.exec(
    "INSERT OR REPLACE INTO scripts (namespace_id, name, document) VALUES (?, ?, ?)",
    namespaceId,
    document.name,
    JSON.stringify(document),
  )
}

export function deleteScript(sql: SqlStorage, namespaceId: string, name: string): void {
  sql.exec("DELETE FROM scripts WHERE namespace_id = ? AND name = ?", namespaceId, name)
}

function toDocument(row: Record<string, SqlStorageValue>): ScriptDocument {
  return JSON.parse(String(row.document)) as ScriptDocument
}

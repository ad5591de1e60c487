/** Brings a local D1 database up to date, keeping the same record as `wrangler d1 migrations apply` keeps in production. */
import { readdir, readFile } from "node:fs/promises"
import path from "node:path"

/** The part of D1Database used here, as Miniflare's Node side gives it. */
export interface MigratableDatabase {
  prepare(sql: string): MigrationStatement
  batch(statements: MigrationStatement[]): Promise<unknown>
}
interface MigrationStatement {
  bind(...values: unknown[]): MigrationStatement
  run(): Promise<unknown>
  all<Row>(): Promise<{ results: Row[] }>
}

/** Applies the `.sql` files of `folder` that were not applied yet, in the order of their names, each in one transaction. Returns their names. */
export async function applyMigrations(database: MigratableDatabase, folder: string): Promise<string[]> {
  await database
    .prepare(
      "CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)",
    )
    .run()
  const { results } = await database.prepare("SELECT name FROM d1_migrations").all<{ name: string }>()
  const applied = new Set(results.map((row) => row.name))
  const files = (await readdir(folder)).filter((file) => file.endsWith(".sql")).sort()
  const missing = files.filter((file) => !applied.has(file))
  if (missing.length === 0) return []

  // Loaded only here, as it is slow to load and rarely needed.
  const { unstable_splitSqlQuery } = await import("wrangler")
  for (const file of missing) {
    const statements = unstable_splitSqlQuery(await readFile(path.join(folder, file), "utf8"))
    await database.batch([
      ...statements.map((statement) => database.prepare(statement)),
      database.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(file),
    ])
  }
  return missing
}

/** One emulated D1 database: a SQLite Durable Object by the database's id. */
import { DurableObject } from "cloudflare:workers"
import type { Env } from "./env.ts"
import type { SqlResult, SqlStatement } from "./resources.ts"

export class Database extends DurableObject<Env> {
  /** All statements in one transaction; the first that fails undoes the rest. Messages begin as D1's do. */
  batch(statements: SqlStatement[]): SqlResult[] {
    return this.ctx.storage.transactionSync(() => statements.map((statement) => this.#run(statement)))
  }

  /** Several statements in one text. */
  execute(sql: string): { count: number; duration: number } {
    const startedAt = Date.now()
    this.ctx.storage.transactionSync(() => this.#run({ sql }))
    const count = sql.split(";").filter((text) => text.trim() !== "").length
    return { count, duration: Date.now() - startedAt }
  }

  async erase(): Promise<void> {
    await this.ctx.storage.deleteAll()
  }

  #run({ sql, params = [] }: SqlStatement): SqlResult {
    const storage = this.ctx.storage.sql
    const startedAt = Date.now()
    try {
      const before = changeCount(storage)
      const cursor = storage.exec(sql, ...params)
      const rows = [...cursor.raw()] as SqlResult["rows"]
      const after = changeCount(storage)
      return {
        columns: cursor.columnNames,
        rows,
        meta: {
          duration: Date.now() - startedAt,
          changes: after.total - before.total,
          last_row_id: after.lastRowId,
          rows_read: cursor.rowsRead,
          rows_written: cursor.rowsWritten,
          size_after: storage.databaseSize,
          changed_db: cursor.rowsWritten > 0,
        },
      }
    } catch (thrown) {
      throw new Error(`D1_ERROR: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
    }
  }
}

function changeCount(storage: SqlStorage): { total: number; lastRowId: number } {
  const row = storage.exec("SELECT total_changes() AS total, last_insert_rowid() AS last").one()
  return { total: Number(row.total), lastRowId: Number(row.last) }
}

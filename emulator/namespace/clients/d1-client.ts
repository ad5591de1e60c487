/** `D1Database` over its door. @see https://developers.cloudflare.com/d1/worker-api/ */
import type { SqlResult, SqlStatement } from "../../cloudflare-api/resources.ts"
import { callDoor, type Door } from "./call-door.ts"

type Stored = string | number | null | ArrayBuffer

export function databaseClient(door: Door) {
  const run = async (statements: readonly SqlStatement[]) => {
    try {
      return await callDoor<SqlResult[]>(door, "d1Batch", statements)
    } catch (thrown) {
      throw asD1Error(thrown)
    }
  }
  const database = {
    prepare: (sql: string) => new Statement(run, sql, []),
    async batch(statements: readonly Statement[]) {
      const results = await run(statements.map((each) => each.toStatement()))
      return results.map(asResult)
    },
    async exec(sql: string) {
      try {
        return await callDoor<{ count: number; duration: number }>(door, "d1Exec", sql)
      } catch (thrown) {
        throw asD1Error(thrown)
      }
    },
    async dump(): Promise<never> {
      throw new Error("dump() is not available in the local namespace.")
    },
    /** One copy of the data: every session is as fresh as the database. */
    withSession: () => ({ prepare: database.prepare, batch: database.batch, getBookmark: () => null }),
  }
  return database
}

class Statement {
  readonly #run: (statements: readonly SqlStatement[]) => Promise<SqlResult[]>
  readonly #sql: string
  readonly #params: readonly Stored[]

  constructor(
    run: (statements: readonly SqlStatement[]) => Promise<SqlResult[]>,
    sql: string,
    params: readonly Stored[],
  ) {
    this.#run = run
    this.#sql = sql
    this.#params = params
  }

  bind(...values: unknown[]): Statement {
    return new Statement(this.#run, this.#sql, values.map(asParameter))
  }

  toStatement(): SqlStatement {
    return { sql: this.#sql, params: this.#params }
  }

  async all() {
    return asResult(await this.#one())
  }

  async run() {
    return this.all()
  }

  async first(column?: string) {
    const [row] = asResult(await this.#one()).results
    if (row === undefined) return null
    if (column === undefined) return row
    if (!Object.hasOwn(row, column)) throw new Error("D1_COLUMN_NOTFOUND: Column not found")
    return row[column] ?? null
  }

  async raw(options: { readonly columnNames?: boolean } = {}) {
    const { columns, rows } = await this.#one()
    const values = rows.map((row) => row.map(asValue))
    return options.columnNames === true ? [columns, ...values] : values
  }

  async #one(): Promise<SqlResult> {
    const [result] = await this.#run([this.toStatement()])
    if (result === undefined) throw new Error("D1_ERROR: no result")
    return result
  }
}

function asResult({ columns, rows, meta }: SqlResult) {
  const results: Record<string, unknown>[] = rows.map((row) =>
    Object.fromEntries(columns.map((column, index) => [column, asValue(row[index] ?? null)])),
  )
  return { success: true as const, meta: { served_by: "sallyport-local", ...meta }, results }
}

/** D1 gives blobs as arrays of numbers. */
function asValue(value: Stored): unknown {
  return value instanceof ArrayBuffer ? [...new Uint8Array(value)] : value
}

function asParameter(value: unknown): Stored {
  if (value === null || typeof value === "string" || typeof value === "number") return value
  if (typeof value === "boolean") return value ? 1 : 0
  if (value instanceof ArrayBuffer) return value
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice().buffer
  if (Array.isArray(value)) return Uint8Array.from(value).buffer
  throw new Error(`D1_TYPE_ERROR: Type '${typeof value}' not supported for value '${String(value)}'`)
}

function asD1Error(thrown: unknown): Error {
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new Error(message.startsWith("D1_") ? message : `D1_ERROR: ${message}`, { cause: thrown })
}

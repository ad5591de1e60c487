/** Cursor paging over one table: a page is found by the last key seen, so that rows added meanwhile neither repeat nor shift one. */
import { base64url } from "jose"
import { refuse } from "../../../kit/problem.ts"
import type { RawRow } from "./rows.ts"

export interface PageQuery {
  readonly limit: number
  readonly cursor?: string | undefined
}
export interface Page<T> {
  readonly items: readonly T[]
  /** Null on the last page. */
  readonly nextCursor: string | null
}

/** All names in it are literals of ours; only `values` comes from outside, as parameters. */
export interface Listing {
  /** `SELECT … FROM …`, without WHERE. */
  readonly select: string
  /** Conditions with `?`, joined by AND. */
  readonly where?: readonly string[]
  readonly values?: readonly (string | number)[]
  /** Unique, not null, within the conditions. */
  readonly key: string
  readonly newestFirst?: boolean
}

/** Throws `api.query-invalid` for a cursor that no earlier page gave. */
export async function readPage<T>(
  db: D1Database,
  listing: Listing,
  query: PageQuery,
  toItem: (row: RawRow) => T,
): Promise<Page<T>> {
  const where = [...(listing.where ?? [])]
  const values = [...(listing.values ?? [])]
  if (query.cursor !== undefined) {
    where.push(`${listing.key} ${listing.newestFirst === true ? "<" : ">"} ?`)
    values.push(openCursor(query.cursor))
  }
  const conditions = where.length === 0 ? "" : ` WHERE ${where.join(" AND ")}`
  const order = ` ORDER BY ${listing.key}${listing.newestFirst === true ? " DESC" : ""} LIMIT ?`
  // One more than asked for tells whether there is a next page.
  const statement = db.prepare(listing.select + conditions + order).bind(...values, query.limit + 1)
  const { results } = await statement.all<RawRow>()
  const rows = results.slice(0, query.limit)
  const last = rows.at(-1)?.[listing.key.replace(/^.*\./, "")]
  return {
    items: rows.map(toItem),
    nextCursor: results.length > query.limit && last != null ? closeCursor(last) : null,
  }
}

function closeCursor(key: string | number): string {
  return base64url.encode(JSON.stringify(key))
}

function openCursor(cursor: string): string | number {
  try {
    const key: unknown = JSON.parse(new TextDecoder().decode(base64url.decode(cursor)))
    if (typeof key === "string" || typeof key === "number") return key
  } catch {
    // Told below, the same for every way of being wrong.
  }
  throw refuse("api.query-invalid", {
    errors: [{ pointer: "/cursor", detail: "was not given by this list" }],
  })
}

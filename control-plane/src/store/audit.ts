/** Reading and verifying the audit; writing is ledger.ts. */
import type { AuditRecord } from "../../../contracts/api.ts"
import { type AuditRow, GENESIS_HASH, hashRecord } from "./ledger.ts"
import { type Page, type PageQuery, readPage } from "./page.ts"
import type { RawRow } from "./rows.ts"

export type AuditStore = ReturnType<typeof auditStore>

/** `brokenAt` is the first record that does not follow from the one before it; null when all do. `head` is the last record seen. */
export interface ChainReport {
  readonly records: number
  readonly brokenAt: number | null
  readonly head: { readonly seq: number; readonly hash: string }
}

const PAGE = 500

export function auditStore(db: D1Database) {
  /** Newest first. */
  function list(query: PageQuery): Promise<Page<AuditRecord>> {
    const listing = { select: "SELECT * FROM audit", key: "seq", newestFirst: true }
    return readPage(db, listing, query, (row) => toRecord(toAuditRow(row)))
  }

  /** Recomputes every hash from the first record on: a changed, missing, added or reordered record breaks the chain at its place. */
  async function verify(): Promise<ChainReport> {
    let head = { seq: 0, hash: GENESIS_HASH }
    for (;;) {
      const { results } = await db
        .prepare("SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ?")
        .bind(head.seq, PAGE)
        .all<RawRow>()
      for (const raw of results) {
        const row = toAuditRow(raw)
        const follows = row.seq === head.seq + 1 && row.previous_hash === head.hash
        if (!follows || row.hash !== (await hashRecord(row))) return { records: head.seq, brokenAt: row.seq, head }
        head = { seq: row.seq, hash: row.hash }
      }
      if (results.length < PAGE) return { records: head.seq, brokenAt: null, head }
    }
  }

  return { list, verify }
}

function toAuditRow(row: RawRow): AuditRow {
  return {
    seq: Number(row.seq),
    at: String(row.at),
    actor: String(row.actor),
    action: String(row.action),
    target: String(row.target),
    detail: String(row.detail),
    previous_hash: String(row.previous_hash),
    hash: String(row.hash),
  }
}

function toRecord(row: AuditRow): AuditRecord {
  return {
    seq: row.seq,
    at: row.at,
    actor: row.actor,
    action: row.action,
    target: row.target,
    detail: JSON.parse(row.detail),
    previousHash: row.previous_hash,
    hash: row.hash,
  }
}

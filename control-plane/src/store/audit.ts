/** Reading and verifying the audit, and what is known from it alone; writing is ledger.ts. */
import type { AuditRecord } from "../../../contracts/api.ts"
import { type AuditHead, type AuditRow, GENESIS_HASH, hashRecord } from "./ledger.ts"
import { type Page, type PageQuery, readPage } from "./page.ts"
import type { RawRow } from "./rows.ts"

export type AuditStore = ReturnType<typeof auditStore>

/** `brokenAt` is the first record that does not follow from the one before it; null when all do. `records` are those that do, from the first on, and `head` is the last of them. */
export interface ChainReport {
  readonly records: number
  readonly brokenAt: number | null
  readonly head: AuditHead
  /** Where the next call goes on; null when this one ended at a fault or at the end. */
  readonly next: { readonly after: number; readonly hash: string } | null
}

const PAGE = 500
/** Records that one call looks at: 20 queries, and a fraction of a second. */
const VERIFIED_AT_ONCE = 10_000
const GENESIS: AuditHead = { seq: 0, hash: GENESIS_HASH }

export function auditStore(db: D1Database) {
  /** Newest first. */
  function list(query: PageQuery): Promise<Page<AuditRecord>> {
    const listing = { select: "SELECT * FROM audit", key: "seq", newestFirst: true }
    return readPage(db, listing, query, (row) => toRecord(toAuditRow(row)))
  }

  /**
   * Recomputes hash after hash: a changed, missing, added or reordered record breaks the chain at its place. Begins at the first record, or after one that is known to be good:
   * `from` must still be there with that hash, or that is where the chain is broken. Looks at `atMost` records.
   */
  async function verify(from = GENESIS, atMost = VERIFIED_AT_ONCE): Promise<ChainReport> {
    if (from.seq > 0 && (await hashAt(from.seq)) !== from.hash)
      return { records: 0, brokenAt: from.seq, head: GENESIS, next: null }
    let head = from
    for (;;) {
      const limit = Math.min(PAGE, from.seq + atMost - head.seq)
      if (limit === 0) return { records: head.seq, brokenAt: null, head, next: { after: head.seq, hash: head.hash } }
      const { results } = await db
        .prepare("SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ?")
        .bind(head.seq, limit)
        .all<RawRow>()
      for (const raw of results) {
        const row = toAuditRow(raw)
        const follows = row.seq === head.seq + 1 && row.previous_hash === head.hash
        if (!follows || row.hash !== (await hashRecord(row)))
          return { records: head.seq, brokenAt: row.seq, head, next: null }
        head = { seq: row.seq, hash: row.hash }
      }
      if (results.length < limit) return { records: head.seq, brokenAt: null, head, next: null }
    }
  }

  /** True when the record of that number is there, with that hash: the registry was not set back to before it. */
  async function holds({ seq, hash }: AuditHead): Promise<boolean> {
    return (await hashAt(seq)) === hash
  }

  async function hashAt(seq: number): Promise<string | null> {
    return await db.prepare("SELECT hash FROM audit WHERE seq = ?").bind(seq).first<string>("hash")
  }

  /** True when a release pin for any version of `script` was made after `since`, ISO 8601: nothing else keeps them. */
  async function pinnedSince(script: string, since: string): Promise<boolean> {
    // "0" is the character after "/": between the two lies every version of this script, and nothing of files-2 beside files.
    const found = await db
      .prepare(
        "SELECT 1 AS one FROM audit WHERE action = 'pin.create' AND target > ? AND target < ? AND at > ? LIMIT 1",
      )
      .bind(`scripts/${script}/versions/`, `scripts/${script}/versions0`, since)
      .first()
    return found !== null
  }

  return { list, verify, holds, pinnedSince }
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

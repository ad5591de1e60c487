/** The register of published configs. The documents themselves are in R2 and KV. */
import { type Page, type PageQuery, readPage } from "./page.ts"
import type { RawRow } from "./rows.ts"

export type RevisionStore = ReturnType<typeof revisionStore>

export interface RevisionRow {
  readonly revision: number
  /** SHA-256 of the document's bytes, hex. */
  readonly digest: string
  /** SHA-256 of the document without revision and time: equal means nothing changed. */
  readonly contentDigest: string
  readonly sizeBytes: number
  readonly publishedAt: string
  readonly publishedBy: string
  readonly reason: string
  /** When KV's pointer first named it; null while that is still to be done. */
  readonly liveAt: string | null
}

/** `reason` of a revision by which a registry that was set back goes on behind what KV names. */
export const RENUMBER = "config.renumber"

export function revisionStore(db: D1Database) {
  async function get(revision: number): Promise<RevisionRow | null> {
    const row = await db.prepare("SELECT * FROM config_revisions WHERE revision = ?").bind(revision).first<RawRow>()
    return row === null ? null : toRevision(row)
  }

  async function latest(): Promise<RevisionRow | null> {
    const row = await latestRevision(db).first<RawRow>()
    return row === null ? null : toRevision(row)
  }

  /** Newest first. */
  function list(query: PageQuery): Promise<Page<RevisionRow>> {
    const listing = { select: "SELECT * FROM config_revisions", key: "revision", newestFirst: true }
    return readPage(db, listing, query, toRevision)
  }

  /** Notes that the pointer names it. Not a change of state that anyone asked for, hence outside the ledger. */
  async function markLive(revision: number, now: number): Promise<void> {
    await db
      .prepare("UPDATE config_revisions SET live_at = coalesce(live_at, ?) WHERE revision = ?")
      .bind(new Date(now).toISOString(), revision)
      .run()
  }

  /** Number of the newest that the pointer has named; null when none was. */
  async function newestLive(): Promise<number | null> {
    return await db
      .prepare("SELECT max(revision) AS revision FROM config_revisions WHERE live_at IS NOT NULL")
      .first<number>("revision")
  }

  /**
   * Number of the oldest that a pointer may have named after `since` (ms): the newest that was live before, which the next one replaced later, or an older one that was first named later.
   * Null when none was live before, or that lies more than 1000 live ones back. Each is noted as live after its pointer was put, so that what it replaced was named until then at most.
   */
  async function oldestShown(since: number): Promise<number | null> {
    const found = await db
      .prepare(
        `SELECT max(revision) FILTER (WHERE live_at < ?1) AS settled, min(revision) FILTER (WHERE live_at >= ?1) AS named
         FROM (SELECT revision, live_at FROM config_revisions WHERE live_at IS NOT NULL ORDER BY revision DESC LIMIT 1000)`,
      )
      .bind(new Date(since).toISOString())
      .first<{ readonly settled: number | null; readonly named: number | null }>()
    const { settled = null, named = null } = found ?? {}
    return settled === null ? null : Math.min(settled, named ?? settled)
  }

  /** Number of the newest that was made at `until` (ms) or before, whether it was ever live or not; null when there is none, or more than 5000 were made since. */
  async function newestAt(until: number): Promise<number | null> {
    return await db
      .prepare(
        "SELECT max(revision) AS revision FROM (SELECT revision, published_at FROM config_revisions ORDER BY revision DESC LIMIT 5000) WHERE published_at <= ?",
      )
      .bind(new Date(until).toISOString())
      .first<number>("revision")
  }

  /** True when one was made under a number above `revision` to replace what KV named. */
  async function isRenumberedAfter(revision: number): Promise<boolean> {
    const statement = db.prepare("SELECT 1 AS one FROM config_revisions WHERE revision > ? AND reason = ? LIMIT 1")
    return (await statement.bind(revision, RENUMBER).first()) !== null
  }

  return { get, latest, list, isRenumberedAfter, newestLive, oldestShown, newestAt, markLive }
}

/** Also read by store/registry.ts in the batch of its own. */
export function latestRevision(db: D1Database): D1PreparedStatement {
  return db.prepare("SELECT * FROM config_revisions ORDER BY revision DESC LIMIT 1")
}

export function insertRevision(db: D1Database, row: RevisionRow): D1PreparedStatement {
  return db
    .prepare(
      "INSERT INTO config_revisions (revision, digest, content_digest, size_bytes, published_at, published_by, reason) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(row.revision, row.digest, row.contentDigest, row.sizeBytes, row.publishedAt, row.publishedBy, row.reason)
}

export function toRevision(row: RawRow): RevisionRow {
  const liveAt = row.live_at
  return {
    revision: Number(row.revision),
    digest: String(row.digest),
    contentDigest: String(row.content_digest),
    sizeBytes: Number(row.size_bytes),
    publishedAt: String(row.published_at),
    publishedBy: String(row.published_by),
    reason: String(row.reason),
    liveAt: typeof liveAt === "string" ? liveAt : null,
  }
}

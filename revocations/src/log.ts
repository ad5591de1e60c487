/**
 * The log: one object, every revocation in the order in which it was taken. It only ever appends; what it drops has outlived what it names.
 * Relays read its pages, people its rows. Called by entrypoint.ts, and by each relay once a second.
 */
import { DurableObject } from "cloudflare:workers"
import {
  type Appended,
  type FeedApi,
  type FeedPage,
  type FeedStatus,
  MAX_LIVE_REVOCATIONS,
  type RevocationEntry,
  revocationTarget,
} from "../../contracts/revocation.ts"
import { writeLog } from "../../kit/write-log.ts"
import type { Env } from "./env.ts"
import { FeedPages, seqAt } from "./feed-pages.ts"
import { type Prepared, SWEEPING } from "./prepare.ts"

const COMPACT_EVERY_MS = 3_600_000
/** A log that is full looks for what it may drop at most so often. */
const COMPACT_AGAIN_MS = 60_000
/** Rows per statement: one JSON value holds them, 4.4 kB each at the worst, and SQLite takes 2 MB in one. */
const ROWS_PER_STATEMENT = 250
/** Per step: a million sessions that were revoked at once are over at once. */
const ROWS_PER_DROP = 5_000
const RELAY_HEARD_MS = 60_000
const RELAYS_MOST = 2_000
const LIST_MOST = 1_000
const LIST_USUAL = 100

export class RevocationLog extends DurableObject<Env> implements FeedApi {
  readonly #sql = this.ctx.storage.sql
  readonly #pages: FeedPages
  /** When each relay was last heard of. */
  readonly #relays = new Map<string, number>()
  #compactedAt = Number.NEGATIVE_INFINITY

  constructor(context: DurableObjectState, env: Env) {
    super(context, env)
    this.#sql.exec(
      `CREATE TABLE IF NOT EXISTS entries (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, target TEXT NOT NULL, before_ms INTEGER,
         kept_until_ms INTEGER NOT NULL, reason TEXT NOT NULL, actor TEXT NOT NULL)`,
    )
    this.#sql.exec("CREATE INDEX IF NOT EXISTS entries_kept ON entries (kept_until_ms)")
    this.#pages = new FeedPages(this.#sql)
    void context.blockConcurrencyWhile(async () => {
      if ((await context.storage.getAlarm()) === null) await this.#setAlarm()
    })
  }

  /** Throws an Error `revocation.log-full`. Nothing in here waits: the platform makes all of it durable, or none, before the answer goes out. */
  async append({ rows, entries, actor }: Prepared): Promise<Appended> {
    const atMs = Date.now()
    if (this.#isFull(rows.length, atMs) && !rows.every((row) => SWEEPING.includes(row.target.kind)))
      throw new Error("revocation.log-full")
    const first = Math.max(this.#pages.upTo, seqAt(atMs)) + 1
    for (let at = 0; at < rows.length; at += ROWS_PER_STATEMENT) {
      this.#sql.exec(
        `INSERT INTO entries SELECT ?1 + key, ?2, value ->> 'target', value ->> 'beforeMs', value ->> 'keptUntilMs', value ->> 'reason', ?3 FROM json_each(?4)`,
        first + at,
        atMs,
        actor,
        JSON.stringify(rows.slice(at, at + ROWS_PER_STATEMENT)),
      )
    }
    const seq = first + rows.length - 1
    this.#pages.add(entries, seq)
    return { seq, atMs }
  }

  #isFull(more: number, nowMs: number): boolean {
    const overflows = () => this.#pages.count + more > MAX_LIVE_REVOCATIONS
    if (overflows() && nowMs - this.#compactedAt >= COMPACT_AGAIN_MS) {
      this.#compactedAt = nowMs
      for (let from: number | null = 0; from !== null; ) from = this.#pages.compact(from, nowMs)
    }
    return overflows()
  }

  /** `relay` says who asks. */
  async since(seq: number, relay?: string): Promise<FeedPage> {
    if (!Number.isSafeInteger(seq) || seq < 0) throw new Error("revocation.invalid")
    if (relay !== undefined) this.#heardOf(relay)
    return { ...this.#pages.since(seq), head: this.#pages.upTo, ageMs: 0 }
  }

  #heardOf(relay: string): void {
    this.#relays.delete(relay)
    this.#relays.set(relay, Date.now())
    for (const oldest of this.#relays.keys()) {
      if (this.#relays.size <= RELAYS_MOST) break
      this.#relays.delete(oldest)
    }
  }

  async list(query: { readonly after?: number; readonly limit?: number } = {}): Promise<readonly RevocationEntry[]> {
    const limit = Math.max(1, Math.min(Math.trunc(query.limit ?? LIST_USUAL), LIST_MOST))
    const rows =
      query.after === undefined
        ? this.#sql.exec<Row>("SELECT * FROM (SELECT * FROM entries ORDER BY seq DESC LIMIT ?) ORDER BY seq", limit)
        : this.#sql.exec<Row>("SELECT * FROM entries WHERE seq > ? ORDER BY seq LIMIT ?", query.after, limit)
    return [...rows].map(entryOf)
  }

  async status(): Promise<FeedStatus> {
    const since = Date.now() - RELAY_HEARD_MS
    return {
      head: this.#pages.upTo,
      live: this.#pages.count,
      relays: [...this.#relays.values()].filter((heardAt) => heardAt >= since).length,
      bytes: this.#sql.databaseSize,
    }
  }

  /** Drops what has outlived what it names. In small steps: an append never waits longer than for one of them. */
  override async alarm(): Promise<void> {
    await this.#setAlarm()
    const nowMs = Date.now()
    this.#compactedAt = nowMs
    const before = this.#pages.count
    for (let from: number | null = 0; from !== null; ) {
      from = this.#pages.compact(from, nowMs)
      await scheduler.wait(0)
    }
    while (this.#dropRows(nowMs) > 0) await scheduler.wait(0)
    const said = { event: "revocations.dropped", dropped: before - this.#pages.count, live: this.#pages.count }
    if (said.dropped > 0) writeLog(said)
  }

  /** Says how many went. */
  #dropRows(nowMs: number): number {
    const gone = this.#sql.exec(
      "DELETE FROM entries WHERE seq IN (SELECT seq FROM entries WHERE kept_until_ms < ? LIMIT ?) RETURNING 1",
      nowMs,
      ROWS_PER_DROP,
    )
    return gone.toArray().length
  }

  async #setAlarm(): Promise<void> {
    await this.ctx.storage.setAlarm(Date.now() + COMPACT_EVERY_MS)
  }
}

interface Row extends Record<string, SqlStorageValue> {
  seq: number
  at_ms: number
  target: string
  before_ms: number | null
  kept_until_ms: number
  reason: string
  actor: string
}

function entryOf(row: Row): RevocationEntry {
  return {
    seq: row.seq,
    atMs: row.at_ms,
    target: revocationTarget.parse(JSON.parse(row.target)),
    beforeMs: row.before_ms,
    keptUntilMs: row.kept_until_ms,
    reason: row.reason,
    actor: row.actor,
  }
}

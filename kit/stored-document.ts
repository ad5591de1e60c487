/**
 * A document that a team changes without a deploy, such as a rule set: revisions in the team's D1, the newest readable one in the isolate's memory.
 * What is unreadable, or not to be had, leaves the last good one in force; never an older one, never none once there was one.
 */
import { within } from "./within.ts"

/** How many of the newest revisions are tried, so that a new isolate finds the last good one below some bad ones. */
const TRIED = 10
/** Revisions that are kept. */
const KEPT = 100
/** Milliseconds after which a look counts as failed. */
const LOOK_MS = 2_000

const SCHEMA = `CREATE TABLE IF NOT EXISTS stored_document (
  name TEXT NOT NULL, revision INTEGER NOT NULL, text TEXT NOT NULL, changed_by TEXT NOT NULL, changed_at_ms INTEGER NOT NULL,
  PRIMARY KEY (name, revision)
)`
const NEWEST = `SELECT revision, text FROM stored_document WHERE name = ?1 AND revision > ?2 ORDER BY revision DESC LIMIT ${TRIED}`
/** Compare and set in one statement: it inserts nothing when another revision came first. */
const APPEND = `INSERT INTO stored_document (name, revision, text, changed_by, changed_at_ms)
  SELECT ?1, ?2 + 1, ?3, ?4, ?5 WHERE ?2 = (SELECT coalesce(max(revision), 0) FROM stored_document WHERE name = ?1)`
/** Counted from what is there: the revision that a writer names may be any number. */
const PRUNE = `DELETE FROM stored_document WHERE name = ?1
  AND revision <= (SELECT max(revision) FROM stored_document WHERE name = ?1) - ${KEPT}`

export interface StoredDocumentOptions<T> {
  readonly name: string
  /** In force while there is no readable revision. */
  readonly none: T
  readonly parse: (text: string) => { readonly ok: true; readonly value: T } | { readonly ok: false }
  /** Milliseconds after which it is looked for a newer one, beside the request. */
  readonly refreshMs: number
  /** …and after which a request waits for that look, so that an isolate that slept does not begin with what was true long ago. */
  readonly maxStaleMs: number
  readonly clock?: { now(): number }
  /** Told once per revision that cannot be read, and of each look that failed. */
  readonly note?: (fault: "unreadable" | "unavailable", revision: number | null) => void
}

export interface Revision<T> {
  readonly value: T
  /** 0 when there is none. */
  readonly revision: number
}

export class StoredDocument<T> {
  readonly #options: StoredDocumentOptions<T>
  readonly #clock: { now(): number }
  #current: Revision<T>
  /** Newest revision that was looked at, readable or not. */
  #seen = 0
  #lookedAtMs = Number.NEGATIVE_INFINITY
  #startedAtMs = Number.NEGATIVE_INFINITY
  #failedAtMs = Number.NEGATIVE_INFINITY
  #isPrepared = false

  constructor(options: StoredDocumentOptions<T>) {
    this.#options = options
    this.#clock = options.clock ?? Date
    this.#current = { value: options.none, revision: 0 }
  }

  /** What is in force. Never rejects; waits at most {@link LOOK_MS}. */
  async current(database: D1Database, waitUntil: (work: Promise<unknown>) => void): Promise<Revision<T>> {
    const { refreshMs, maxStaleMs } = this.#options
    const nowMs = this.#clock.now()
    const ageMs = nowMs - this.#lookedAtMs
    if (ageMs < refreshMs) return this.#current
    // Everybody looks for himself while there is nothing fresh enough: no promise is shared between requests. While looks fail nobody waits, so that
    // a database that is down delays the isolate's first requests alone.
    if (ageMs >= maxStaleMs && nowMs - this.#failedAtMs >= maxStaleMs) await this.#look(database)
    else if (nowMs - this.#startedAtMs >= refreshMs) waitUntil(this.#look(database))
    return this.#current
  }

  /** The newest text, readable or not, straight from the store; null when there is none. */
  async read(database: D1Database): Promise<{ readonly text: string; readonly revision: number } | null> {
    await this.#prepare(database)
    return database.prepare(NEWEST).bind(this.#options.name, 0).first<{ text: string; revision: number }>()
  }

  /** Appends `text`, which the caller has parsed, on top of revision `expected`. Null when that is not the newest. */
  async write(database: D1Database, text: string, expected: number, by: string): Promise<number | null> {
    await this.#prepare(database)
    const { name } = this.#options
    const append = database.prepare(APPEND).bind(name, expected, text, by, this.#clock.now())
    const [appended] = await database.batch([append, database.prepare(PRUNE).bind(name)])
    this.#lookedAtMs = Number.NEGATIVE_INFINITY
    return appended?.meta.changes === 1 ? expected + 1 : null
  }

  async #look(database: D1Database): Promise<void> {
    this.#startedAtMs = this.#clock.now()
    try {
      const newer = await within(LOOK_MS, this.#newer(database))
      for (const { revision, text } of newer) if (this.#take(revision, text)) break
      this.#seen = Math.max(this.#seen, ...newer.map(({ revision }) => revision))
      this.#lookedAtMs = this.#clock.now()
    } catch {
      this.#failedAtMs = this.#clock.now()
      this.#options.note?.("unavailable", null)
    }
  }

  async #newer(database: D1Database): Promise<{ revision: number; text: string }[]> {
    await this.#prepare(database)
    const newest = database.prepare(NEWEST).bind(this.#options.name, this.#seen)
    return (await newest.all<{ revision: number; text: string }>()).results
  }

  #take(revision: number, text: string): boolean {
    const parsed = this.#options.parse(text)
    if (!parsed.ok) this.#options.note?.("unreadable", revision)
    else if (revision > this.#current.revision) this.#current = { value: parsed.value, revision }
    return parsed.ok
  }

  async #prepare(database: D1Database): Promise<void> {
    if (this.#isPrepared) return
    await database.prepare(SCHEMA).run()
    this.#isPrepared = true
  }
}

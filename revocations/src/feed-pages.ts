/**
 * The entries in force as binary pages in the SQLite storage of one object: the log's and each relay's are the same.
 * Pages go out whole, so that nothing is taken apart or put together per question; whoever asks gets a few entries twice at the most, and merges them.
 */
import { ENTRY_BYTES, FEED_PAGE_ENTRIES } from "../../contracts/revocation.ts"

const PAGE_BYTES = FEED_PAGE_ENTRIES * ENTRY_BYTES
/** Pages younger than this stay as they came: those who ask every second are at a boundary between two of them. */
const SETTLED_MS = 600_000
/** Sequence numbers per millisecond. */
const SEQ_PER_MS = 1024
/** Where `keptUntil` stands in an entry. */
const KEPT_UNTIL = 16

/** The least sequence number that an entry of this time may have: above all that any log gave out before, whatever became of it. */
export function seqAt(timeMs: number): number {
  return timeMs * SEQ_PER_MS
}

/** When an entry of this sequence number was taken, to a few milliseconds. */
export function timeOf(seq: number): number {
  return Math.floor(seq / SEQ_PER_MS)
}

export class FeedPages {
  readonly #sql: SqlStorage
  #upTo: number
  #count: number

  constructor(sql: SqlStorage) {
    this.#sql = sql
    sql.exec("CREATE TABLE IF NOT EXISTS pages (up_to INTEGER PRIMARY KEY, entries BLOB NOT NULL)")
    sql.exec("CREATE TABLE IF NOT EXISTS position (only INTEGER PRIMARY KEY CHECK (only = 1), up_to INTEGER NOT NULL)")
    sql.exec("INSERT OR IGNORE INTO position VALUES (1, 0)")
    this.#upTo = Number(sql.exec("SELECT up_to FROM position").one().up_to)
    const { bytes } = sql.exec<{ bytes: number }>("SELECT TOTAL(LENGTH(entries)) AS bytes FROM pages").one()
    this.#count = bytes / ENTRY_BYTES
  }

  /** Sequence number of the last entry that was ever added. */
  get upTo(): number {
    return this.#upTo
  }

  /** Entries held, those that may be dropped included. */
  get count(): number {
    return this.#count
  }

  /** Adds what lies between the former `upTo` and this one; `entries` may be empty. */
  add(entries: Uint8Array, upTo: number): void {
    if (upTo <= this.#upTo) return
    this.#sql.exec("UPDATE position SET up_to = ?", upTo)
    if (entries.byteLength > 0) this.#put(entries, upTo)
    this.#upTo = upTo
  }

  /** What follows `seq`, as much as fits into one answer. */
  since(seq: number): { entries: Uint8Array; upTo: number } {
    if (seq >= this.#upTo) return { entries: new Uint8Array(), upTo: seq }
    const chosen: Page[] = []
    let bytes = 0
    for (const page of this.#from(seq)) {
      if (bytes > 0 && bytes + page.entries.byteLength > PAGE_BYTES)
        return { entries: joined(chosen, bytes), upTo: lastOf(chosen) }
      chosen.push(page)
      bytes += page.entries.byteLength
    }
    return { entries: joined(chosen, bytes), upTo: this.#upTo }
  }

  /** Whether an entry for one of `hashes` (8 bytes each) has a time at or after `madeAtMs`. Reads every page. */
  revokes(hashes: Uint8Array, madeAtMs: number): boolean {
    const asked = new DataView(hashes.buffer, hashes.byteOffset, hashes.byteLength)
    const seconds = new Map<number, number[]>()
    for (let at = 0; at < hashes.byteLength; at += 8) {
      const first = asked.getUint32(at, true)
      seconds.set(first, [...(seconds.get(first) ?? []), asked.getUint32(at + 4, true)])
    }
    for (const { entries } of this.#from(-1)) {
      const words = new Uint32Array(entries)
      const view = new DataView(entries)
      for (let word = 0; word < words.length; word += ENTRY_BYTES / 4) {
        if (seconds.get(words[word] ?? 0)?.includes(words[word + 1] ?? 0) !== true) continue
        if (!(madeAtMs > view.getFloat64(word * 4 + 8, true))) return true
      }
    }
    return false
  }

  /**
   * Drops what may be dropped and joins neighbours. One step deals with at most one page's worth after `seq` and gives the sequence number from which to go on,
   * or null when it was the last; what happens in between may wait no longer than one step.
   */
  compact(seq: number, nowMs: number): number | null {
    const group: Page[] = []
    let bytes = 0
    let isLast = true
    for (const page of this.#from(seq)) {
      const isSettled = page.upTo < seqAt(nowMs - SETTLED_MS)
      if (!isSettled) break
      if (bytes > 0 && bytes + page.entries.byteLength > PAGE_BYTES) {
        isLast = false
        break
      }
      group.push(page)
      bytes += page.entries.byteLength
    }
    if (group.length === 0) return null
    const kept = live(joined(group, bytes), nowMs)
    if (group.length > 1 || kept.byteLength < bytes) {
      for (const { upTo, entries } of group) {
        this.#sql.exec("DELETE FROM pages WHERE up_to = ?", upTo)
        this.#count -= entries.byteLength / ENTRY_BYTES
      }
      if (kept.byteLength > 0) this.#put(kept, lastOf(group))
    }
    return isLast ? null : lastOf(group)
  }

  #put(entries: Uint8Array, upTo: number): void {
    this.#sql.exec("INSERT INTO pages VALUES (?, ?)", upTo, entries)
    this.#count += entries.byteLength / ENTRY_BYTES
  }

  *#from(seq: number): Generator<Page> {
    const rows = this.#sql.exec<{ up_to: number; entries: ArrayBuffer }>(
      "SELECT up_to, entries FROM pages WHERE up_to > ? ORDER BY up_to",
      seq,
    )
    for (const row of rows) yield { upTo: row.up_to, entries: row.entries }
  }
}

interface Page {
  readonly upTo: number
  readonly entries: ArrayBuffer
}

function lastOf(pages: readonly Page[]): number {
  return pages.at(-1)?.upTo ?? 0
}

function joined(pages: readonly Page[], bytes: number): Uint8Array {
  const all = new Uint8Array(bytes)
  let at = 0
  for (const { entries } of pages) {
    all.set(new Uint8Array(entries), at)
    at += entries.byteLength
  }
  return all
}

function live(entries: Uint8Array, nowMs: number): Uint8Array {
  const view = new DataView(entries.buffer)
  let kept = 0
  for (let at = 0; at < entries.byteLength; at += ENTRY_BYTES) {
    if (view.getUint32(at + KEPT_UNTIL, true) * 1000 < nowMs) continue
    if (kept < at) entries.copyWithin(kept, at, at + ENTRY_BYTES)
    kept += ENTRY_BYTES
  }
  return entries.subarray(0, kept)
}

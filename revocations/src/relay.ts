/**
 * A relay: what the log holds, once more, at one location. However many isolates ask it, it asks the log about once a second, so that the log's load is that of the locations.
 * What it was told stays in its storage: after a restart it goes on from there. Called by the isolates of the dispatcher.
 */
import { DurableObject } from "cloudflare:workers"
import type { FeedPage, RelayApi } from "../../contracts/revocation.ts"
import { writeLog } from "../../kit/write-log.ts"
import type { Env } from "./env.ts"
import { FeedPages, timeOf } from "./feed-pages.ts"

/** Between two questions to the log. Less than between two of an isolate's (dispatcher/src/identity/revocation-feed.ts), so that each of those finds something newer. */
const SYNC_MS = 900
/** How long an answer waits for the log's; then it says what is known and how old that is. */
const WAIT_MS = 200
/** A question without an answer for so long is given up: another is sent. Should it still come back, it does no harm. */
const GIVE_UP_MS = 2_000
/** By which the log's clock may be ahead of this one. A number from further ahead is from before a clock was put back, and says nothing of how recent it is. */
const SKEW_MS = 1_000
const COMPACT_EVERY_MS = 3_600_000
const HASHES_MOST_BYTES = 300 * 8
/** Name of the only log. */
export const LOG_NAME = "log"

interface Sync {
  readonly startedAt: number
  /** When the log last answered, or the start. */
  progressAt: number
  isOver: boolean
  done: Promise<void>
}

export class RevocationRelay extends DurableObject<Env> implements RelayApi {
  readonly #pages = new FeedPages(this.ctx.storage.sql)
  /** When the last question was sent after whose answer nothing was left to ask; null until there was one since the start. */
  #caughtUpAt: number | null = null
  #sync: Sync | null = null
  #compactedAt = Date.now()

  async since(seq: number): Promise<FeedPage> {
    if (!Number.isSafeInteger(seq) || seq < 0) throw new Error("revocation.invalid")
    await this.#fresh()
    const head = this.#pages.upTo
    // The log's entries come in order: whoever has the last has all from before it, even with the log gone since the start.
    const takenAt = timeOf(head)
    const knownAt = Math.max(this.#caughtUpAt ?? 0, takenAt > Date.now() + SKEW_MS ? 0 : takenAt)
    if (knownAt === 0) throw new Error("revocation.log-unheard")
    return { ...this.#pages.since(seq), head, ageMs: Math.max(0, Date.now() - knownAt) }
  }

  async revokes(hashes: Uint8Array, madeAtMs: number): Promise<boolean> {
    const isValid = hashes instanceof Uint8Array && hashes.length % 8 === 0 && hashes.length <= HASHES_MOST_BYTES
    if (!isValid || typeof madeAtMs !== "number") throw new Error("revocation.invalid")
    await this.#fresh()
    // An object that has only begun may lack what it is asked about.
    if (this.#caughtUpAt === null) throw new Error("revocation.log-unheard")
    return this.#pages.revokes(hashes, madeAtMs)
  }

  /** Asks the log when what is known is {@link SYNC_MS} old. Waits for it a moment: what is known is good enough while it does not answer. */
  async #fresh(): Promise<void> {
    const now = Date.now()
    // By a clock that was put back, what is known would count as recent, and nothing be asked, until it is that time again.
    if (this.#caughtUpAt !== null && this.#caughtUpAt > now) this.#caughtUpAt = null
    if (this.#sync !== null && this.#sync.startedAt > now) this.#sync = null
    if (this.#caughtUpAt !== null && now - this.#caughtUpAt < SYNC_MS) return
    const { done, startedAt } = this.#syncing(now)
    const leftMs = startedAt + WAIT_MS - now
    if (leftMs > 0) await Promise.race([done, scheduler.wait(leftMs)])
  }

  /** One at a time and at most one in {@link SYNC_MS}, whoever asks and whatever comes of it. */
  #syncing(now: number): Sync {
    const last = this.#sync
    const isUnderWay = last !== null && !last.isOver && now - last.progressAt < GIVE_UP_MS
    if (last !== null && (isUnderWay || now - last.startedAt < SYNC_MS)) return last
    const sync: Sync = { startedAt: now, progressAt: now, isOver: false, done: Promise.resolve() }
    this.#sync = sync
    sync.done = this.#catchUp(sync).finally(() => {
      sync.isOver = true
    })
    return sync
  }

  async #catchUp(sync: Sync): Promise<void> {
    try {
      for (;;) {
        const askedAt = Date.now()
        const log = this.env.LOG.getByName(LOG_NAME)
        const { entries, upTo, head } = await log.since(this.#pages.upTo, this.ctx.id.name)
        sync.progressAt = Date.now()
        this.#pages.add(entries, upTo)
        if (upTo < head) {
          // Lets timers have their turn: others wait for WAIT_MS only.
          await scheduler.wait(0)
          continue
        }
        this.#caughtUpAt = Math.max(this.#caughtUpAt ?? 0, askedAt)
        break
      }
      this.#compact()
    } catch (failure) {
      const said = { event: "revocations.log-unreachable", relay: this.ctx.id.name, error: String(failure) }
      writeLog(said)
    }
  }

  #compact(): void {
    const nowMs = Date.now()
    if (nowMs - this.#compactedAt < COMPACT_EVERY_MS) return
    this.#compactedAt = nowMs
    for (let from: number | null = 0; from !== null; ) from = this.#pages.compact(from, nowMs)
  }
}

/**
 * What was revoked, as this isolate knows it: in memory, brought up to date behind the requests by asking the relay of this location (revocations/).
 * A request whose credential was revoked is refused. While nothing recent is known, sensitive routes refuse and the others pass and say so: security before
 * availability where a route asks for it, and nowhere else. In steady state there is no promise and no allocation.
 */
import {
  ENTRY_BYTES,
  type FeedPage,
  type RelayApi,
  type RevocationTarget,
  targetHash,
} from "../../../contracts/revocation.ts"
import type { Finding } from "../../../contracts/trip.ts"
import { type Refusal, refuse } from "../../../kit/problem.ts"
import { awaitFor } from "../../../kit/within.ts"
import { RevocationTable } from "./revocation-table.ts"

/** Between two questions to the relay. */
const POLL_MS = 1_000
/** What a request waits at most, counted from the start of the question: during an outage most requests do not wait at all. */
const WAIT_MS = 250
/** A question without any answer for so long is given up: the platform cancels background work some time after the response, and its promise never settles then. */
const GIVE_UP_MS = 2_000
/** Pages of one poll: more than a log can hold. A relay that always has another one is not believed. */
const PAGES_MOST = 500
/** Whoever has no location yet, an isolate that was only ever called by RPC, asks this one. */
const ELSEWHERE = "elsewhere"

/** What of a credential can be revoked, worked out once when it is verified. */
export interface Revocable {
  /** By `targetHash`. */
  readonly hashes: readonly Uint8Array[]
  /** When the credential was made: what revocations "until then" are held against. */
  readonly madeAtMs: number
}

export interface RevocableParts {
  /** Handle of the session. */
  readonly session?: string
  readonly idp: string
  readonly subject: string
  /** Those that the credential is bound to, not all that its subject may work for. */
  readonly companies: readonly string[]
  /** The key that signed it. */
  readonly kid?: string
  /** Milliseconds; 0 when the credential does not say, so that every revocation holds for it. */
  readonly madeAtMs: number
}

export async function revocableOf(parts: RevocableParts): Promise<Revocable> {
  const { session, idp, subject, companies, kid, madeAtMs } = parts
  const targets: RevocationTarget[] = [{ kind: "everything" }, { kind: "subject", idp, subject }]
  if (session !== undefined) targets.push({ kind: "session", session })
  if (kid !== undefined) targets.push({ kind: "key", idp, kid })
  for (const company of companies) targets.push({ kind: "company", company })
  return { hashes: await Promise.all(targets.map(targetHash)), madeAtMs }
}

export interface RevocationFeedOptions {
  /** The relay of that location; a new stub for each question, since one that failed stays broken. */
  readonly relay: (location: string) => RelayApi
  readonly clock: { now(): number }
  /** One line when the relay is lost, and one when it is back. */
  readonly log: (event: RevocationFeedEvent) => void
  /** For tests. */
  readonly table?: RevocationTable
}

export interface RevocationFeedEvent {
  readonly event: "revocations.feed-lost" | "revocations.feed-back"
  readonly location: string
  readonly error?: string
}

export interface RevocationFeedStatus {
  /** Entries held. */
  readonly entries: number
  /** Entries of which only the hash is known, because there are too many. */
  readonly beyond: number
  readonly sizeBytes: number
  /** Sequence number up to which everything is known. */
  readonly seq: number
  /** Milliseconds since when everything is known; null until then. */
  readonly ageMs: number | null
}

interface Poll {
  readonly startedAt: number
  /** When the relay last answered, or the start. */
  heardAt: number
  isOver: boolean
  work: Promise<void>
}

export class RevocationFeed {
  readonly #options: RevocationFeedOptions
  readonly #table: RevocationTable
  /** Credentials of which the relay said that nothing holds for them, with the number of entries of which this was said. */
  readonly #clearedAmong = new WeakMap<Revocable, number>()
  #location = ELSEWHERE
  #seq = 0
  /** Everything that was revoked until then is in the table. */
  #knownAt = Number.NEGATIVE_INFINITY
  #poll: Poll | null = null
  #isLost = false

  constructor(options: RevocationFeedOptions) {
    this.#options = options
    this.#table = options.table ?? new RevocationTable()
  }

  /** Says where this isolate is: `request.cf.colo`. Anything else than an airport's code is as if nothing was said. */
  at(colo: unknown): void {
    if (this.#location === ELSEWHERE && typeof colo === "string" && /^[A-Z]{3}$/.test(colo)) this.#location = colo
  }

  /**
   * Refuses `auth.revoked`; on a sensitive route also `auth.revocation-unknown`, when what is known is older than `maxAgeMs` and the relay does not answer within {@link WAIT_MS}.
   * Without a promise while what is known is recent. `note` hears `auth.revocation-stale` when a request passes although it is not.
   */
  refuseRevoked(
    revocable: Revocable | null,
    isSensitive: boolean,
    maxAgeMs: number,
    note: (finding: Finding) => void,
    waitUntil: (work: Promise<unknown>) => void,
  ): void | Promise<void> {
    const now = this.#options.clock.now()
    const last = this.#poll
    if (last === null || now - last.startedAt >= POLL_MS || now < last.startedAt) this.#begin(now, last, waitUntil)
    if (revocable === null) return
    const verdict = this.#table.verdict(revocable.hashes, revocable.madeAtMs)
    if (verdict === "revoked") throw revoked()
    const isRecent = now - this.#knownAt <= maxAgeMs
    if (isRecent && (verdict === "clear" || this.#wasCleared(revocable))) return
    return this.#refuseAfterWaiting(revocable, isSensitive, maxAgeMs, note)
  }

  status(): RevocationFeedStatus {
    const isKnown = this.#knownAt !== Number.NEGATIVE_INFINITY
    return {
      entries: this.#table.size,
      beyond: this.#table.beyond,
      sizeBytes: this.#table.sizeBytes,
      seq: this.#seq,
      ageMs: isKnown ? this.#options.clock.now() - this.#knownAt : null,
    }
  }

  async #refuseAfterWaiting(
    revocable: Revocable,
    isSensitive: boolean,
    maxAgeMs: number,
    note: (finding: Finding) => void,
  ): Promise<void> {
    const { clock } = this.#options
    const isStale = () => !(clock.now() - this.#knownAt <= maxAgeMs)
    if (isStale() && this.#poll !== null) {
      await awaitFor(this.#poll.startedAt + WAIT_MS - clock.now(), this.#poll.work)
    }
    const verdict = this.#table.verdict(revocable.hashes, revocable.madeAtMs)
    if (verdict === "revoked") throw revoked()
    if (verdict === "ask" && !this.#wasCleared(revocable)) await this.#askRelay(revocable)
    if (!isStale()) return
    if (isSensitive) throw unknown()
    note({ code: "auth.revocation-stale", mode: "log" })
  }

  #wasCleared(revocable: Revocable): boolean {
    return this.#clearedAmong.get(revocable) === this.#table.beyond
  }

  /** Of a credential that is most probably revoked, since its hash is known: without an answer it is refused, on every route. */
  async #askRelay(revocable: Revocable): Promise<void> {
    const among = this.#table.beyond
    const hashes = revocable.hashes.filter((hash) => this.#table.verdict([hash], Number.POSITIVE_INFINITY) !== "clear")
    const flat = new Uint8Array(hashes.length * 8)
    for (const [index, hash] of hashes.entries()) flat.set(hash, index * 8)
    const asked = this.#relay()
      .revokes(flat, revocable.madeAtMs)
      .catch(() => undefined)
    const answer = await awaitFor(WAIT_MS, asked)
    if (answer === true) throw revoked()
    if (answer !== false) throw unknown()
    this.#clearedAmong.set(revocable, among)
  }

  #relay(): RelayApi {
    return this.#options.relay(this.#location)
  }

  /** One question at a time, until it is given up. */
  #begin(now: number, last: Poll | null, waitUntil: (work: Promise<unknown>) => void): void {
    const hasGoneBack = last !== null && now < last.startedAt
    // By a clock that was put back, what is known would count as recent until it is that time again.
    if (hasGoneBack) this.#knownAt = Number.NEGATIVE_INFINITY
    if (last !== null && !last.isOver && !hasGoneBack) {
      if (now - last.heardAt < GIVE_UP_MS) return
      this.#lost("no answer")
    }
    const poll: Poll = { startedAt: now, heardAt: now, isOver: false, work: Promise.resolve() }
    this.#poll = poll
    poll.work = this.#catchUp(poll)
    waitUntil(poll.work)
  }

  /** Never rejects. May come back after it was given up: entries only ever add, and a sequence number counts only from where it was asked. */
  async #catchUp(poll: Poll): Promise<void> {
    const { clock } = this.#options
    try {
      for (let pages = 0; ; pages += 1) {
        if (pages === PAGES_MOST) throw new Error("the relay never comes to an end")
        const askedFrom = this.#seq
        const askedAt = clock.now()
        const page = checked(await this.#relay().since(askedFrom), askedFrom)
        poll.heardAt = clock.now()
        this.#table.merge(page.entries, Math.floor(poll.heardAt / 1000))
        this.#seq = Math.max(this.#seq, page.upTo)
        if (page.upTo < page.head) {
          await turn()
          continue
        }
        // Not of a time that is still to come, should the clock have been put back meanwhile.
        this.#knownAt = Math.max(this.#knownAt, Math.min(askedAt, poll.heardAt) - page.ageMs)
        break
      }
      this.#back()
    } catch (failure) {
      this.#lost(String(failure))
    } finally {
      poll.isOver = true
    }
  }

  #lost(error: string): void {
    if (this.#isLost) return
    this.#isLost = true
    this.#options.log({ event: "revocations.feed-lost", location: this.#location, error: error.slice(0, 200) })
  }

  #back(): void {
    if (!this.#isLost) return
    this.#isLost = false
    this.#options.log({ event: "revocations.feed-back", location: this.#location })
  }
}

/** The page, when it is one and goes forward: a wrong number believed once would hide everything after it. Throws otherwise. */
function checked(page: FeedPage, askedFrom: number): FeedPage {
  const { entries, upTo, head, ageMs } = page
  // Of any length: relays of another version may have longer pages.
  const isWhole = entries instanceof Uint8Array && entries.byteLength % ENTRY_BYTES === 0
  const isForward = Number.isSafeInteger(upTo) && Number.isSafeInteger(head) && upTo >= askedFrom
  const hasProgress = upTo >= head || upTo > askedFrom
  if (!isWhole || !isForward || !hasProgress || !(ageMs >= 0)) throw new Error("the relay's page is malformed")
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
  for (let at = 0; at < entries.byteLength; at += ENTRY_BYTES) {
    const isEntry = view.getFloat64(at + 8, true) >= 0 && view.getUint32(at + 16, true) > 0
    if (!isEntry) throw new Error("the relay's page has a malformed entry")
  }
  return page
}

/** Lets timers have their turn: pages that follow each other at once would keep those waiting who wait for {@link WAIT_MS} only. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0)
  })
}

function revoked(): Refusal {
  return refuse("auth.revoked", {
    headers: { "www-authenticate": 'Bearer realm="sallyport", error="invalid_token"' },
  })
}

function unknown(): Refusal {
  return refuse("auth.revocation-unknown", { headers: { "retry-after": "1" } })
}

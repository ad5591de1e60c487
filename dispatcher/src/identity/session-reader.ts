/**
 * Whether a session goes on. The store is asked once per isolate and session, for at most {@link ASK_LIMIT_MS}; after that the isolate's memory answers at once and the store is asked
 * behind the requests. What ends a session within seconds is the revocation feed; what is found here is that its record is gone, or that nobody used it for too long.
 *
 * A store that cannot be reached ends no session: the seal alone is good until the grace is over, counted from the first failure since the store last answered, so that an
 * isolate that had nothing to ask meanwhile does not begin with a grace that is spent.
 */
import { seenKey, sessionKey } from "../../../contracts/session.ts"
import { BoundedCache } from "../../../kit/bounded-cache.ts"
import { parseHmacKeys } from "../../../kit/hmac-keys.ts"
import { within } from "../../../kit/within.ts"
import { type Session, type SessionFault, verifySession } from "./verify-session.ts"

/** Sessions remembered per isolate: two generations of this many. Usually about 4 KB each; 8 KB and 20 MB at the very worst (README.md). */
const CACHED_SESSIONS = 1_250
/** Characters. Longer cookies are accepted, and looked up each time. */
const CACHED_AT_MOST = 2_000
/** Milliseconds that a request waits for the store. */
const ASK_LIMIT_MS = 250
/** Milliseconds that the store is waited for behind a request. */
const BACKGROUND_LIMIT_MS = 5_000
/** Milliseconds between two looks at a session's record. */
const ASK_AGAIN_MS = 60_000
/** The same where the last look failed; while the store is silent, between two looks for whichever session. */
const RETRY_MS = 5_000
/** Milliseconds between two notes of one session's use. */
const NOTE_AGAIN_MS = 60_000
/** Milliseconds after its beginning within which a session may not yet be seen in the store everywhere. */
const YOUNG_MS = 120_000

/** The slice of a KV namespace that is used. */
export interface SessionStore {
  get(key: string): Promise<string | null>
  put(key: string, value: string, options: { readonly expirationTtl: number }): Promise<void>
}

type WaitUntil = (work: Promise<unknown>) => void

export type SessionReading =
  | { readonly ok: true; readonly session: Session; readonly isConfirmed: boolean }
  | { readonly ok: false; readonly fault: SessionFault | "store-silent" | "keys-missing" }

interface Known {
  readonly session: Session
  /** What the last look found. `young`: no record yet, and it need not be there yet. `unreached`: the look failed. */
  found: "record" | "young" | "unreached" | "ended"
  askedAtMs: number
  /** When the store last answered. */
  answeredAtMs: number
  /** Last use that this isolate knows of, its own included. */
  usedAtMs: number
  /** Uses that only the store's silence allowed: they count if the session turns out not to have been idle at the first. */
  unsure: { readonly firstAtMs: number; lastAtMs: number } | null
  /** Last use that the store knows of, as far as known here. */
  storedUseMs: number
  notedAtMs: number
}

export class SessionReader {
  readonly #store: SessionStore
  readonly #keys: string
  readonly #clock: { now(): number }
  readonly #limitMs: number
  readonly #known = new BoundedCache<Known>(CACHED_SESSIONS)
  /** First failure since the store last answered. */
  #failingSinceMs: number | null = null
  /** Last look for whichever session. */
  #lookedAtMs = Number.NEGATIVE_INFINITY

  /** `keys`: the secret SESSION_KEYS; empty: no session is accepted. Throws TypeError for keys that are none. */
  constructor(options: {
    readonly store: SessionStore
    readonly keys: string
    readonly clock: { now(): number }
    readonly limitMs?: number
  }) {
    this.#store = options.store
    this.#keys = options.keys
    this.#clock = options.clock
    this.#limitMs = options.limitMs ?? ASK_LIMIT_MS
    if (options.keys !== "") parseHmacKeys(options.keys)
  }

  /**
   * What there is to say of the session in `cookieValue`: at once when this isolate knows it. `graceS`: how long a session goes on unconfirmed. Without `waitUntil` nothing is asked or noted
   * behind the request.
   */
  read(cookieValue: string, graceS: number, waitUntil: WaitUntil | null): SessionReading | Promise<SessionReading> {
    const known = this.#known.get(cookieValue)
    if (known === undefined) return this.#meet(cookieValue, graceS, waitUntil)
    const now = this.#clock.now()
    return this.#needsLook(known, graceS, now)
      ? this.#lookAndSay(known, graceS, waitUntil)
      : this.#say(known, graceS, now, waitUntil)
  }

  /** Memory is not enough: for a young session whose record has to be there by now, for one that this isolate has not seen in use for too long, and when the grace is over. */
  #needsLook(known: Known, graceS: number, now: number): boolean {
    const { found, session } = known
    const { seal } = session
    if (found === "ended" || now >= seal.expiresAtMs) return false
    const isDoubtful =
      (found === "young" && now - seal.createdAtMs >= YOUNG_MS) ||
      isPerhapsIdle(known, now) ||
      (this.#isUnreached(known, now) && this.#isGraceOver(graceS, now))
    return isDoubtful && this.#mayAsk(now)
  }

  /** Nobody can say whether the session goes on: its own look failed, or is due and the store silent. */
  #isUnreached(known: Known, now: number): boolean {
    if (known.found === "unreached") return true
    return this.#failingSinceMs !== null && (now - known.askedAtMs >= ASK_AGAIN_MS || isPerhapsIdle(known, now))
  }

  /** A silent store is asked by one request at a time, however many sessions there are. */
  #mayAsk(now: number): boolean {
    return this.#failingSinceMs === null || now - this.#lookedAtMs >= RETRY_MS
  }

  async #meet(cookieValue: string, graceS: number, waitUntil: WaitUntil | null): Promise<SessionReading> {
    if (this.#keys === "") return { ok: false, fault: "keys-missing" }
    const check = await verifySession(cookieValue, this.#keys, this.#clock.now())
    if (!check.ok) return check
    const known: Known = {
      session: check.session,
      found: "unreached",
      askedAtMs: 0,
      answeredAtMs: 0,
      usedAtMs: check.session.seal.createdAtMs,
      unsure: null,
      storedUseMs: check.session.seal.createdAtMs,
      notedAtMs: 0,
    }
    const reading = await this.#lookAndSay(known, graceS, waitUntil)
    this.#remember(cookieValue, known)
    return reading
  }

  /** Only once the store was asked: a request beside this one must not pass by what nobody has looked up. Two of them may come here, and what one found over remains so. */
  #remember(cookieValue: string, known: Known): void {
    if (cookieValue.length > CACHED_AT_MOST || this.#known.get(cookieValue)?.found === "ended") return
    this.#known.set(copyOf(cookieValue), known)
  }

  async #lookAndSay(known: Known, graceS: number, waitUntil: WaitUntil | null): Promise<SessionReading> {
    await this.#look(known, this.#limitMs)
    return this.#say(known, graceS, this.#clock.now(), waitUntil)
  }

  /** Notes what the store says, or that it says nothing. Never rejects. */
  async #look(known: Known, limitMs: number): Promise<void> {
    const { handle, seal } = known.session
    known.askedAtMs = this.#clock.now()
    this.#lookedAtMs = known.askedAtMs
    try {
      const both = Promise.all([this.#store.get(sessionKey(handle)), this.#store.get(seenKey(handle))])
      const [record, seen] = await within(limitMs, both)
      const now = this.#clock.now()
      this.#failingSinceMs = null
      known.answeredAtMs = now
      // Ended is for good: a store that lags behind another look cannot undo it.
      if (known.found === "ended") return
      const isYoung = now - seal.createdAtMs < YOUNG_MS
      if (record === null) known.found = isYoung ? "young" : "ended"
      else known.found = "record"
      const seenAtMs = seen !== null && /^[0-9]{1,15}$/.test(seen) ? Math.min(Number(seen), now) : 0
      known.storedUseMs = Math.max(known.storedUseMs, seenAtMs)
      known.usedAtMs = Math.max(known.usedAtMs, seenAtMs)
      settleUnsureUses(known)
    } catch {
      this.#failingSinceMs ??= this.#clock.now()
      if (known.found !== "ended") known.found = "unreached"
    }
  }

  #say(known: Known, graceS: number, now: number, waitUntil: WaitUntil | null): SessionReading {
    const { session, found } = known
    if (found === "ended") return { ok: false, fault: "ended" }
    if (now >= session.seal.expiresAtMs) return { ok: false, fault: "expired" }
    const isUnreached = this.#isUnreached(known, now)
    if (isUnreached && this.#isGraceOver(graceS, now)) return { ok: false, fault: "store-silent" }
    // While the store is silent, other isolates may know of a use that this one does not, and of the record of a session that was young.
    if (!isUnreached && isIdle(known, now)) return { ok: false, fault: "idle" }
    if (waitUntil !== null) {
      noteUse(known, now)
      this.#behind(known, now, waitUntil)
    }
    return { ok: true, session, isConfirmed: !isUnreached }
  }

  #isGraceOver(graceS: number, now: number): boolean {
    return this.#failingSinceMs !== null && now - this.#failingSinceMs >= graceS * 1000
  }

  #behind(known: Known, now: number, waitUntil: WaitUntil): void {
    const isLookDue = now - known.askedAtMs >= (known.found === "unreached" ? RETRY_MS : ASK_AGAIN_MS)
    if (isLookDue && this.#mayAsk(now)) waitUntil(this.#look(known, BACKGROUND_LIMIT_MS))
    const isNoteDue = now - known.storedUseMs >= (known.session.seal.idleS * 1000) / 4
    if (known.found !== "record" || known.unsure !== null || !isNoteDue || now - known.notedAtMs < NOTE_AGAIN_MS) return
    known.notedAtMs = now
    waitUntil(this.#note(known, now))
  }

  /** Writes the time of use and nothing else: the record of a session that ended meanwhile is not brought back by it. Never rejects. */
  async #note(known: Known, now: number): Promise<void> {
    const { handle, seal } = known.session
    try {
      await within(BACKGROUND_LIMIT_MS, this.#store.put(seenKey(handle), String(now), { expirationTtl: seal.idleS }))
      known.storedUseMs = Math.max(known.storedUseMs, now)
    } catch {
      // Tried again a minute later.
    }
  }
}

function isIdle({ session, usedAtMs }: Known, now: number): boolean {
  return now - usedAtMs >= session.seal.idleS * 1000
}

/** Idle for all that is known here, and the store was not asked just now whether another isolate knows better. */
function isPerhapsIdle(known: Known, now: number): boolean {
  return isIdle(known, now) && now - known.answeredAtMs >= RETRY_MS
}

function noteUse(known: Known, now: number): void {
  if (!isIdle(known, now)) known.usedAtMs = now
  else if (known.unsure === null) known.unsure = { firstAtMs: now, lastAtMs: now }
  else if (now - known.unsure.lastAtMs < known.session.seal.idleS * 1000) known.unsure.lastAtMs = now
}

/** Once the store has said when the session was last in use. Were they taken as they come, one slow answer would bring an idle session back. */
function settleUnsureUses(known: Known): void {
  const { unsure } = known
  if (unsure !== null && !isIdle(known, unsure.firstAtMs)) known.usedAtMs = Math.max(known.usedAtMs, unsure.lastAtMs)
  known.unsure = null
}

/** The same text on its own: a piece cut out of a header keeps the whole header in memory. */
function copyOf(text: string): string {
  return new TextDecoder().decode(new TextEncoder().encode(text))
}

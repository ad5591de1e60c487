/**
 * What is put on a call in place of the calling script's own passport: one for the destination, asked of the dispatcher and remembered while enough of its life is left,
 * so that a caller's next call asks nobody. Nothing is ever sent without an answer.
 */
import { PASSPORT_MAX_SKEW_S, PASSPORT_MIN_REMAINING_S } from "../../contracts/passport.ts"
import type { ExchangedPassport, PassportExchangeApi, PlatformProps } from "../../contracts/platform.ts"
import { PROBLEMS, type ProblemCode } from "../../contracts/problem-codes.ts"
import { BoundedCache } from "../../kit/bounded-cache.ts"
import { refuse } from "../../kit/problem.ts"
import { within } from "../../kit/within.ts"

/** Entries per isolate and generation of the cache, about 2 KB each. */
const CACHED_PASSPORTS = 2_000
/** Longer own passports are exchanged each time; how long a subject's scopes are is its issuer's to choose. */
const CACHED_AT_MOST_CHARS = 4_000
/** Milliseconds. */
const EXCHANGE_TIMEOUT_MS = 2_000

export interface ExchangeWish {
  /** The caller's own passport, unverified. */
  readonly own: { readonly token: string; readonly expiresS: number }
  readonly audience: string
  readonly caller: PlatformProps
  /** The config revision that the call says it is under; null when it does not say, and then nothing remembered is used. */
  readonly revision: number | null
}

interface Remembered {
  readonly passport: ExchangedPassport
  /** It was made under this config revision or a later one. */
  readonly revision: number
  readonly reuseUntilS: number
}

export class ExchangedPassports {
  readonly #remembered = new BoundedCache<Remembered>(CACHED_PASSPORTS)
  /** The newest config revision that is known to be in force: the dispatcher makes no passport under one that it has not. What a call merely says counts for nothing here. */
  #newestRevision = 0
  readonly #clock: { now(): number }
  readonly #timeoutMs: number

  constructor(clock: { now(): number } = Date, timeoutMs: number = EXCHANGE_TIMEOUT_MS) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  /** Refuses what `exchange` refuses, under its code, and `egress.passport-exchange-failed` when it fails or does not answer in time. */
  async passportFor(wish: ExchangeWish, exchange: PassportExchangeApi["exchange"]): Promise<ExchangedPassport> {
    const { own, audience, caller, revision } = wish
    const key = JSON.stringify([caller.team, caller.script, caller.version, audience, own.token])
    const known = this.#remembered.get(key)
    if (known !== undefined && this.#isGood(known, revision)) return known.passport
    // What was made under a newer revision than the call is under may have been seen already: nothing is made behind that.
    const atLeast = Math.max(revision ?? 0, known?.revision ?? 0)
    const passport = await this.#ask(() => exchange(own.token, audience, caller, atLeast))
    this.#newestRevision = Math.max(this.#newestRevision, atLeast)
    // The own passport was good a moment ago, so its expiry is to be believed: a script that keeps it gets nothing for it after that.
    const reuseUntilS = Math.min(passport.expiresS - PASSPORT_MIN_REMAINING_S, own.expiresS + PASSPORT_MAX_SKEW_S)
    const isOlder = (this.#remembered.get(key)?.revision ?? 0) > atLeast
    if (own.token.length <= CACHED_AT_MOST_CHARS && !isOlder)
      this.#remembered.set(key, { passport, revision: atLeast, reuseUntilS })
    return passport
  }

  /** Another revision may have taken the grant, or closed a zone to the client's country: the newest that is known counts, and a call that says none may come after any. */
  #isGood(known: Remembered, revision: number | null): boolean {
    if (revision === null || known.revision < Math.max(revision, this.#newestRevision)) return false
    return this.#clock.now() / 1000 < known.reuseUntilS
  }

  async #ask(question: () => Promise<ExchangedPassport>): Promise<ExchangedPassport> {
    try {
      // Taken out of the answer: what came over RPC may hold on to the call that brought it.
      const { header, token, expiresS } = await within(this.#timeoutMs, question())
      if (typeof header === "string" && typeof token === "string" && token !== "" && Number.isFinite(expiresS))
        return { header, token, expiresS }
      throw new TypeError("The passport exchange gave no passport")
    } catch (cause) {
      const code = cause instanceof Error ? cause.message : ""
      throw refuse(isRefusal(code) ? code : "egress.passport-exchange-failed", { cause })
    }
  }
}

/** Over RPC an Error arrives with nothing but its message, which is the problem code of a refusal. A failure there, `internal`, is one here. */
function isRefusal(text: string): text is ProblemCode {
  return Object.hasOwn(PROBLEMS, text) && text !== "internal"
}

/**
 * The abuse brake: so many requests per client address and period, counted in the isolate's memory and, in batches, by the platform's
 * rate-limit binding, which all isolates at a location share. No request waits for the binding: it is told behind the request, and its
 * refusal is remembered until the window ends.
 *
 * Accuracy. One isolate alone passes exactly `BRAKE_LIMIT` requests per window. N isolates together pass at most
 * `BRAKE_LIMIT + N × BRAKE_BATCH` and what arrives while a report is on its way; each isolate never more than `BRAKE_LIMIT`. Windows are fixed,
 * so a burst across the end of one may pass twice. It is a brake, not a quota: counters are per location, and the platform calls them approximate.
 */
import { clientKey } from "../../../kit/client-key.ts"
import { type Refusal, refuse } from "../../../kit/problem.ts"

/** Requests per report. The binding counts reports: its limit in wrangler.toml is `BRAKE_LIMIT / BRAKE_BATCH`, because not every runtime takes its `delta`. */
export const BRAKE_BATCH = 50
export const BRAKE_REPORTS = 20
/** Requests per address and period. */
export const BRAKE_LIMIT = BRAKE_BATCH * BRAKE_REPORTS
/** Seconds; one of the two periods that the binding knows. */
export const BRAKE_PERIOD_S = 10
/** Addresses counted at once, some 100 bytes each, 2 MB in all. One more, and the window starts anew for all. */
const MOST_KEYS = 20_000

interface Tally {
  requests: number
  isRefused: boolean
}

/** The binding, as far as it is used. */
export interface Limiter {
  limit(options: { readonly key: string }): Promise<{ readonly success: boolean }>
}

export class Brake {
  readonly #limiter: Limiter | undefined
  readonly #clock: { now(): number }
  readonly #mostKeys: number
  #tallies = new Map<string, Tally>()
  #windowEndsAt = Number.NEGATIVE_INFINITY
  #isBlind: boolean

  /** Without a `limiter` the isolate's own count is all there is. */
  constructor(limiter: Limiter | undefined, clock: { now(): number }, mostKeys = MOST_KEYS) {
    this.#limiter = limiter
    this.#clock = clock
    this.#mostKeys = mostKeys
    this.#isBlind = limiter === undefined
  }

  /** True while what other isolates count is unknown: there is no binding, or the last report to it failed. */
  get isBlind(): boolean {
    return this.#isBlind
  }

  /** Counts one request of `key`. 0: it may pass; otherwise the seconds until the next may. Never throws. */
  take(key: string, waitUntil: (work: Promise<unknown>) => void): number {
    const now = this.#clock.now()
    if (now >= this.#windowEndsAt || now < this.#windowEndsAt - BRAKE_PERIOD_S * 1000) this.#startWindow(now)
    const tally = this.#tallyOf(key)
    if (!tally.isRefused) {
      tally.requests++
      if (tally.requests > BRAKE_LIMIT) tally.isRefused = true
      else if (tally.requests % BRAKE_BATCH === 0) this.#report(key, tally, waitUntil)
    }
    return tally.isRefused ? Math.ceil((this.#windowEndsAt - now) / 1000) : 0
  }

  /** Windows lie on the wall clock, as the binding's do, so that isolates agree on them. */
  #startWindow(now: number): void {
    const periodMs = BRAKE_PERIOD_S * 1000
    this.#windowEndsAt = (Math.floor(now / periodMs) + 1) * periodMs
    this.#tallies = new Map()
  }

  #tallyOf(key: string): Tally {
    const known = this.#tallies.get(key)
    if (known !== undefined) return known
    if (this.#tallies.size >= this.#mostKeys) this.#tallies = new Map()
    const tally = { requests: 0, isRefused: false }
    this.#tallies.set(key, tally)
    return tally
  }

  #report(key: string, tally: Tally, waitUntil: (work: Promise<unknown>) => void): void {
    if (this.#limiter === undefined) return
    try {
      waitUntil(
        this.#limiter.limit({ key }).then(
          ({ success }) => {
            this.#isBlind = false
            if (!success) tally.isRefused = true
          },
          () => {
            this.#isBlind = true
          },
        ),
      )
    } catch {
      this.#isBlind = true
    }
  }
}

export function checkBrake(
  ip: string | null,
  brake: Brake,
  waitUntil: (work: Promise<unknown>) => void,
): Refusal | null {
  const waitS = brake.take(clientKey(ip), waitUntil)
  return waitS === 0 ? null : refuse("edge.too-many-requests", { headers: { "retry-after": String(waitS) } })
}

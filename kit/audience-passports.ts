/**
 * Passports for an audience outside, such as a cell, in exchange for the Worker's own. Remembered per own passport while enough of its life is left,
 * so that a caller's next request asks nobody.
 */
import { PASSPORT_MIN_REMAINING_S } from "../contracts/passport.ts"
import type { AudiencePassport } from "../contracts/platform.ts"
import { BoundedCache } from "./bounded-cache.ts"
import { refuse } from "./problem.ts"

/** Entries per isolate and generation of the cache, about 2 KB each. */
const CACHED_PASSPORTS = 1_000

/** Where a request may go, and what it shows there. */
export interface AudienceAccess {
  readonly origins: readonly [string, ...string[]]
  /** The passport, for the header `x-passport`. */
  readonly token: string
}

export interface AccessWish {
  readonly audience: string
  /** The `x-passport` that the Worker received, verified. */
  readonly ownPassport: string
  /** The config revision that the request is under, null when unknown: another may name other origins. */
  readonly revision: number | null
}

interface Remembered {
  readonly access: AudienceAccess
  readonly reuseUntilS: number
}

export class AudiencePassports {
  readonly #remembered = new BoundedCache<Remembered>(CACHED_PASSPORTS)
  readonly #clock: { now(): number }

  constructor(clock: { now(): number } = Date) {
    this.#clock = clock
  }

  /** Access for whom the own passport speaks. `ask` is `() => askPlatform(() => env.PLATFORM.passportFor(audience, ownPassport))`; refuses what it does, and `platform.audience-unknown` for an audience without origins. */
  async accessTo(wish: AccessWish, ask: () => Promise<AudiencePassport>): Promise<AudienceAccess> {
    const key = `${wish.audience}\n${wish.revision}\n${wish.ownPassport}`
    const known = this.#remembered.get(key)
    if (known !== undefined && this.#clock.now() / 1000 < known.reuseUntilS) return known.access
    // Taken out of the answer: what came over RPC may hold on to the call that brought it.
    const { token, expiresS, origins } = await ask()
    const [first, ...others] = origins
    if (first === undefined) throw refuse("platform.audience-unknown")
    const access: AudienceAccess = { origins: [first, ...others], token }
    this.#remembered.set(key, { access, reuseUntilS: expiresS - PASSPORT_MIN_REMAINING_S })
    return access
  }
}

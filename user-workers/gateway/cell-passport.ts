/**
 * The passport that a cell accepts, in exchange for the gateway's own. Remembered per own passport while enough of its life is left,
 * so that a caller's next request asks nobody.
 */
import { PASSPORT_MIN_REMAINING_S } from "../../contracts/passport.ts"
import type { PlatformApi } from "../../contracts/platform.ts"
import { askPlatform } from "../../kit/ask-platform.ts"
import { BoundedCache } from "../../kit/bounded-cache.ts"
import { refuse } from "../../kit/problem.ts"

/** Entries per isolate and generation of the cache, about 2 KB each. */
const CACHED_CELLS = 1_000

/** Where a request goes, and what it shows there. */
export interface CellAccess {
  readonly origin: string
  readonly passport: string
}

interface Remembered {
  readonly access: CellAccess
  readonly reuseUntilS: number
}

export class CellPassports {
  readonly #remembered = new BoundedCache<Remembered>(CACHED_CELLS)
  readonly #clock: { now(): number }

  constructor(clock: { now(): number } = Date) {
    this.#clock = clock
  }

  /** Access to the cell of `zone` for whom `ownPassport` speaks. Refuses `platform.not-granted`, `platform.audience-unknown`, `platform.unavailable`. */
  async accessTo(zone: string, ownPassport: string, platform: Pick<PlatformApi, "passportFor">): Promise<CellAccess> {
    const key = `${zone}\n${ownPassport}`
    const known = this.#remembered.get(key)
    if (known !== undefined && this.#clock.now() / 1000 < known.reuseUntilS) return known.access
    const { token, expiresS, origins } = await askPlatform(() => platform.passportFor(`cell:${zone}`, ownPassport))
    const [origin] = origins
    if (origin === undefined) throw refuse("platform.audience-unknown")
    const access = { origin, passport: token }
    this.#remembered.set(key, { access, reuseUntilS: expiresS - PASSPORT_MIN_REMAINING_S })
    return access
  }
}

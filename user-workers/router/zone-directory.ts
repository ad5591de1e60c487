/** Zones of companies, asked of the platform and remembered for a moment: a company's move between zones acts within the TTL. */
import type { PlatformApi, ZoneOfCompany } from "../../contracts/platform.ts"
import { askPlatform } from "../../kit/ask-platform.ts"
import { BoundedCache } from "../../kit/bounded-cache.ts"
import { refuse } from "../../kit/problem.ts"

/** Milliseconds. */
const TTL_MS = 10_000
/** Companies per isolate and generation of the cache, about 200 bytes each. */
const CACHED_COMPANIES = 5_000

interface Remembered {
  readonly zone: ZoneOfCompany
  readonly untilMs: number
}

export class ZoneDirectory {
  readonly #remembered = new BoundedCache<Remembered>(CACHED_COMPANIES)
  readonly #clock: { now(): number }

  constructor(clock: { now(): number } = Date) {
    this.#clock = clock
  }

  /** The company's zone. Refuses `company.unknown`, which is never remembered, so that made-up ids push nothing out. */
  async zoneOf(companyId: string, platform: Pick<PlatformApi, "zoneOf">): Promise<ZoneOfCompany> {
    const known = this.#remembered.get(companyId)
    if (known !== undefined && this.#clock.now() < known.untilMs) return known.zone
    const answer = await askPlatform(() => platform.zoneOf(companyId))
    if (answer === null) throw refuse("company.unknown")
    // Taken out of the answer: what came over RPC may hold on to the call that brought it.
    const zone = { zone: answer.zone, audience: answer.audience, baseUrl: answer.baseUrl }
    this.#remembered.set(companyId, { zone, untilMs: this.#clock.now() + TTL_MS })
    return zone
  }
}

/** Zones of companies, asked of the platform and remembered for a moment: a company's move between zones acts within the TTL. */
import type { PlatformApi, ZoneOfCompany } from "../../contracts/platform.ts"
import { askPlatform } from "../../kit/ask-platform.ts"
import { refuse } from "../../kit/problem.ts"

/** Milliseconds. */
const TTL_MS = 10_000
/** Companies per isolate, about 200 bytes each. */
const CACHED_COMPANIES = 10_000

interface Remembered {
  readonly zone: ZoneOfCompany
  readonly untilMs: number
}

export class ZoneDirectory {
  readonly #remembered = new Map<string, Remembered>()
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
    this.#remember(companyId, { zone, untilMs: this.#clock.now() + TTL_MS })
    return zone
  }

  #remember(companyId: string, entry: Remembered): void {
    this.#remembered.delete(companyId)
    if (this.#remembered.size >= CACHED_COMPANIES) {
      const oldest = this.#remembered.keys().next().value
      if (oldest !== undefined) this.#remembered.delete(oldest)
    }
    this.#remembered.set(companyId, entry)
  }
}

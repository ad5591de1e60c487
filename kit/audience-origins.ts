/**
 * Where the origins of an audience outside are, such as a cell's. The platform's answer is remembered for as long as the config revision that it is from is in force.
 * A call that goes there with the Worker's own `x-passport` arrives with one made for the audience in its place: the outbound Worker exchanges it, and no Worker ever holds it.
 */
import type { AudienceOrigins } from "../contracts/platform.ts"
import { BoundedCache } from "./bounded-cache.ts"
import { refuse } from "./problem.ts"

/** Audiences remembered per isolate and generation of the cache. */
const CACHED_AUDIENCES = 500

/** At least one. */
export type Origins = readonly [string, ...string[]]

/**
 * ```ts
 * const audiences = new AudienceDirectory()
 * const [origin] = await audiences.originsOf("cell:us01", revisionOf(headers), (name) => askPlatform(() => env.PLATFORM.originsOf(name)))
 * return fetch(origin + path, { headers: { "x-passport": own, "x-sallyport-audience": "cell:us01", "x-sallyport-config": revision } })
 * ```
 */
export class AudienceDirectory {
  readonly #remembered = new BoundedCache<{ readonly origins: Origins; readonly revision: number }>(CACHED_AUDIENCES)

  /**
   * `revision`: the one that the request is under, null when unknown, and then nothing remembered is used. Refuses what `ask` does, and `platform.audience-unknown` for an audience without origins.
   * An answer from an older revision is given out all the same: the outbound Worker judges where a call may go by the request's own.
   */
  async originsOf(
    audience: string,
    revision: number | null,
    ask: (audience: string) => Promise<AudienceOrigins>,
  ): Promise<Origins> {
    const known = this.#remembered.get(audience)
    if (known !== undefined && revision !== null && known.revision >= revision) return known.origins
    const answer = await ask(audience)
    const [first, ...others] = answer.origins
    if (first === undefined) throw refuse("platform.audience-unknown")
    const latest = this.#remembered.get(audience)
    if (latest !== undefined && latest.revision > answer.revision) return latest.origins
    // Taken out of the answer: what came over RPC may hold on to the call that brought it.
    const origins: Origins = [first, ...others]
    this.#remembered.set(audience, { origins, revision: answer.revision })
    return origins
  }
}

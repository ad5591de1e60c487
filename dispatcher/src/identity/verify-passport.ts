/**
 * Checks a passport that a user Worker hands back through its platform binding: made by us, for exactly that script, still valid.
 */
import { jwtVerify } from "jose"
import { isCanonicalCompactJws } from "../../../contracts/compact-jws.ts"
import { PASSPORT_ALG, PASSPORT_MAX_SKEW_S, PASSPORT_TYP, type PassportClaims } from "../../../contracts/passport.ts"
import { BoundedCache } from "../../../kit/bounded-cache.ts"
import { refuse } from "../../../kit/problem.ts"
import type { PassportKeys } from "./passport-keys.ts"

/** Passports remembered per isolate: two generations of this many, each of at most {@link CACHED_AT_MOST} characters: 5 KB each with their claims and 5 MB at the very worst (README.md). Longer ones are verified each time. */
const CACHED_PASSPORTS = 500
const CACHED_AT_MOST = 2_500

const signers = new WeakMap<PassportClaims, string>()

/** The kid of the key that signed the passport of these claims, which {@link PassportVerifier.verify} gave: by it a revoked key's passports are known. */
export function signerOf(claims: PassportClaims): string | null {
  return signers.get(claims) ?? null
}

export class PassportVerifier {
  readonly #verified = new BoundedCache<PassportClaims>(CACHED_PASSPORTS)
  readonly #clock: { now(): number }

  constructor(clock: { now(): number }) {
    this.#clock = clock
  }

  /** The claims of a passport made for `audience`. Refuses `platform.passport-required` for anything else: none, another's, expired, not ours. */
  async verify(token: string | null, audience: string, issuer: string, keys: PassportKeys): Promise<PassportClaims> {
    if (token === null || !isCanonicalCompactJws(token)) throw refuse("platform.passport-required")
    const known = this.#verified.get(token)
    const claims = known ?? (await this.#check(token, keys))
    const isOurs = claims.iss === issuer && claims.aud === audience
    if (!isOurs || this.#clock.now() / 1000 >= claims.exp + PASSPORT_MAX_SKEW_S) {
      throw refuse("platform.passport-required")
    }
    if (known === undefined && token.length <= CACHED_AT_MOST) this.#verified.set(token, claims)
    return claims
  }

  async #check(token: string, keys: PassportKeys): Promise<PassportClaims> {
    try {
      const { payload, protectedHeader } = await jwtVerify(
        token,
        ({ kid }) => {
          const key = kid === undefined ? undefined : keys.verifying(kid, this.#clock.now())
          if (key === undefined) throw new Error("unknown kid")
          return key
        },
        {
          algorithms: [PASSPORT_ALG],
          typ: PASSPORT_TYP,
          clockTolerance: PASSPORT_MAX_SKEW_S,
          currentDate: new Date(this.#clock.now()),
        },
      )
      const claims = payload as unknown as PassportClaims
      signers.set(claims, String(protectedHeader.kid))
      return claims
    } catch (cause) {
      throw refuse("platform.passport-required", { cause })
    }
  }
}

/**
 * Stage "passport": the signed statement of who calls, for one audience. Minted passports are handed out again while enough of
 * their life is left; the cache key holds everything that the passport says, so nobody gets another's.
 */
import { SignJWT } from "jose"
import {
  type Facts,
  PASSPORT_ALG,
  PASSPORT_LIFETIME_S,
  PASSPORT_MIN_REMAINING_S,
  PASSPORT_TYP,
  type PassportClaims,
} from "../../../contracts/passport.ts"
import { BoundedCache } from "../bounded-cache.ts"
import type { PassportKeys } from "./passport-keys.ts"
import type { Subject } from "./subject.ts"

/** Passports remembered per isolate (two generations of this many). About 1 KB each. */
const CACHED_PASSPORTS = 10_000

export interface PassportOrder {
  readonly issuer: string
  readonly audience: string
  readonly subject: Subject
  readonly route: string
  readonly zone: string | null
  /** Script that asked through its platform binding; null at the entrance. */
  readonly actor: string | null
  readonly hops: number
  readonly facts: Facts
}

interface Minted {
  readonly token: string
  /** Seconds since the epoch after which it is not handed out any more. */
  readonly reuseUntilS: number
}

/** What this stage keeps between requests of an isolate. */
export class MintedPassports {
  readonly cache = new BoundedCache<Minted>(CACHED_PASSPORTS)
}

export interface MintDependencies {
  readonly clock: { now(): number }
  readonly makeId: () => string
  readonly keys: PassportKeys
  readonly mintedPassports: MintedPassports
}

/** A passport with at least {@link PASSPORT_MIN_REMAINING_S} to live: at once from the cache, else freshly signed. */
export function mintPassport(order: PassportOrder, deps: MintDependencies): string | Promise<string> {
  const cacheKey = cacheKeyOf(order, deps.keys.signing.kid)
  const known = deps.mintedPassports.cache.get(cacheKey)
  return known !== undefined && deps.clock.now() / 1000 < known.reuseUntilS ? known.token : sign(order, deps, cacheKey)
}

async function sign(order: PassportOrder, deps: MintDependencies, cacheKey: string): Promise<string> {
  const { kid, key } = deps.keys.signing
  const claims = claimsOf(order, Math.floor(deps.clock.now() / 1000), deps.makeId())
  const token = await new SignJWT({ ...claims })
    .setProtectedHeader({ alg: PASSPORT_ALG, typ: PASSPORT_TYP, kid })
    .sign(key)
  deps.mintedPassports.cache.set(cacheKey, { token, reuseUntilS: claims.exp - PASSPORT_MIN_REMAINING_S })
  return token
}

function claimsOf(order: PassportOrder, nowS: number, jti: string): PassportClaims {
  const { subject } = order
  return {
    iss: order.issuer,
    aud: order.audience,
    sub: subject.id,
    iat: nowS,
    nbf: nowS,
    exp: nowS + PASSPORT_LIFETIME_S,
    jti,
    kind: subject.kind,
    ...(subject.idp === null ? {} : { idp: subject.idp }),
    ...(subject.scopes.length === 0 ? {} : { scope: subject.scopes.join(" ") }),
    ...(subject.company === null ? {} : { company: subject.company }),
    ...(order.zone === null ? {} : { zone: order.zone }),
    route: order.route,
    ...(order.actor === null ? {} : { act: { sub: order.actor } }),
    hops: order.hops,
    facts: order.facts,
  }
}

/** Parts are joined by a character that none of them holds unescaped: the subject's key is JSON, the rest are names, numbers and addresses. */
function cacheKeyOf(order: PassportOrder, kid: string): string {
  const { facts } = order
  return `${kid}\n${order.issuer}\n${order.audience}\n${order.route}\n${order.zone ?? ""}\n${order.actor ?? ""}\n${order.hops}\n${facts.ip ?? ""}\n${facts.country ?? ""}\n${facts.colo ?? ""}\n${facts.asn ?? ""}\n${facts.tls ?? ""}\n${facts.bot ?? ""}\n${order.subject.cacheKey}`
}

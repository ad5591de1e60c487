/**
 * Stage "passport": the signed statement of who calls, for one audience. Minted passports are handed out again while enough of
 * their life is left; the cache key holds everything that the passport says, so nobody gets another's.
 */
import { SignJWT } from "jose"
import {
  type Actor,
  type Facts,
  PASSPORT_ALG,
  PASSPORT_LIFETIME_S,
  PASSPORT_MIN_REMAINING_S,
  PASSPORT_TYP,
  type PassportClaims,
  TXN_TOKEN_TYP,
} from "../../../contracts/passport.ts"
import { BoundedCache } from "../../../kit/bounded-cache.ts"
import type { PassportKeys, SigningKey } from "./passport-keys.ts"
import type { Subject } from "./subject.ts"
import { txnTokenClaims } from "./txn-token.ts"

/** Passports remembered per isolate: two generations of this many. Usually about 2.5 KB each with their key, of at most {@link CACHED_AT_MOST} characters; 4 KB and 8 MB at the very worst (README.md). */
const CACHED_PASSPORTS = 1_000
/** Longer ones are made anew each time: an isolate has 128 MB, and the length of a subject's scopes is its issuer's to choose. */
const CACHED_AT_MOST = 2_500

export interface PassportOrder {
  readonly issuer: string
  readonly audience: string
  /** What the audience takes; default a passport. */
  readonly profile?: "passport" | "txn-token"
  readonly subject: Subject
  readonly route: string
  readonly zone: string | null
  /** Hostname at the entrance; null for a passport that continues one from before there was this claim. */
  readonly host: string | null
  /** Who asked through a platform binding; null at the entrance. */
  readonly actor: Actor | null
  readonly hops: number
  readonly facts: Facts
}

export interface Passport {
  readonly token: string
  /** Seconds since the epoch, as its `exp`. */
  readonly expiresS: number
}

/** What this stage keeps between requests of an isolate. */
export class MintedPassports {
  readonly cache = new BoundedCache<Passport>(CACHED_PASSPORTS)
}

export interface MintDependencies {
  readonly clock: { now(): number }
  readonly makeId: () => string
  readonly keys: PassportKeys
  readonly mintedPassports: MintedPassports
}

/** A passport with at least {@link PASSPORT_MIN_REMAINING_S} to live: at once from the cache, else freshly signed. */
export function mintPassport(order: PassportOrder, deps: MintDependencies): Passport | Promise<Passport> {
  const signing = deps.keys.signing(deps.clock.now())
  const cacheKey = cacheKeyOf(order, signing.kid)
  const known = deps.mintedPassports.cache.get(cacheKey)
  const isFresh = known !== undefined && deps.clock.now() / 1000 < known.expiresS - PASSPORT_MIN_REMAINING_S
  return isFresh ? known : sign(order, signing, deps, cacheKey)
}

async function sign(
  order: PassportOrder,
  { kid, key }: SigningKey,
  deps: MintDependencies,
  cacheKey: string,
): Promise<Passport> {
  const claims = claimsOf(order, Math.floor(deps.clock.now() / 1000), deps.makeId())
  const isTxnToken = order.profile === "txn-token"
  const token = await new SignJWT(isTxnToken ? txnTokenClaims(claims) : { ...claims })
    .setProtectedHeader({ alg: PASSPORT_ALG, typ: isTxnToken ? TXN_TOKEN_TYP : PASSPORT_TYP, kid })
    .sign(key)
  const passport = { token, expiresS: claims.exp }
  if (cacheKey.length + token.length <= CACHED_AT_MOST) deps.mintedPassports.cache.set(cacheKey, passport)
  return passport
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
    ...(subject.companies === null ? {} : { companies: subject.companies }),
    ...(subject.sid === null ? {} : { sid: subject.sid }),
    ...(subject.authTimeMs === null ? {} : { auth_time: Math.floor(subject.authTimeMs / 1000) }),
    ...(subject.level === 0 ? {} : { level: subject.level }),
    ...(order.zone === null ? {} : { zone: order.zone }),
    route: order.route,
    ...(order.host === null ? {} : { host: order.host }),
    ...(order.actor === null ? {} : { act: order.actor }),
    hops: order.hops,
    facts: order.facts,
  }
}

/** Parts are joined by a character that none of them holds unescaped: the subject's key is JSON, the rest are names, numbers and addresses. */
function cacheKeyOf(order: PassportOrder, kid: string): string {
  const { facts } = order
  return `${kid}\n${order.issuer}\n${order.audience}\n${order.profile ?? ""}\n${order.route}\n${order.host ?? ""}\n${order.zone ?? ""}\n${actorsOf(order.actor)}\n${order.hops}\n${facts.ip ?? ""}\n${facts.country ?? ""}\n${facts.colo ?? ""}\n${facts.asn ?? ""}\n${facts.tls ?? ""}\n${facts.bot ?? ""}\n${order.subject.cacheKey}`
}

/** Script names, which hold no `>`; almost always none or one. */
function actorsOf(actor: Actor | null): string {
  if (actor === null) return ""
  return actor.act === undefined ? actor.sub : `${actor.sub}>${actorsOf(actor.act)}`
}

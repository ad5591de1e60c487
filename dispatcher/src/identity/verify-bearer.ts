/**
 * Checks a bearer JWT against the issuers that the route accepts. Every reason for a refusal is told apart here, for the log;
 * the caller sees two public codes only, so that a probing client learns nothing.
 * @see RFC 7519, RFC 8725, RFC 9068
 */
import {
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  jwtVerify,
  type ProtectedHeaderParameters,
} from "jose"
import { isCanonicalCompactJws } from "../../../contracts/compact-jws.ts"
import { MAX_CREDENTIAL_LIFETIME_S } from "../../../contracts/revocation.ts"
import type { Issuer } from "./issuers.ts"
import { type CredentialFacts, KeptSubject } from "./subject.ts"

export type BearerFault =
  | "malformed"
  | "header-refused"
  | "issuer-unknown"
  | "signature"
  | "key-unknown"
  | "claims"
  | "lifetime"
  | "expired"

export type BearerResult =
  | {
      readonly ok: true
      readonly issuer: Issuer
      readonly subject: KeptSubject
      /** Its `aud`, of which one is the issuer's. */
      readonly audiences: readonly string[]
      readonly notBeforeS: number
      readonly expiresS: number
    }
  | { readonly ok: false; readonly fault: BearerFault }

/** Headers that point at keys: whoever honours them lets the token choose what verifies it (RFC 8725 §3.5). */
const KEY_POINTERS = ["jku", "x5u", "jwk", "x5c", "crit", "b64"] as const
/** A passport or a pin is not a credential; an access token or a plain JWT is. */
const ACCEPTED_TYP = new Set<unknown>([undefined, "JWT", "at+jwt", "application/at+jwt"])

/** `nowMs`: milliseconds since the epoch. Never throws. */
export async function verifyBearer(token: string, issuers: readonly Issuer[], nowMs: number): Promise<BearerResult> {
  if (!isCanonicalCompactJws(token)) return refused("malformed")
  const unverified = decode(token)
  if (unverified === null) return refused("malformed")
  const { kid } = unverified.header
  if (!isAcceptableHeader(unverified.header) || kid === undefined) return refused("header-refused")
  const issuer = issuers.find((each) => each.config.issuer === unverified.claims.iss)
  if (issuer === undefined) return refused("issuer-unknown")
  try {
    const { payload } = await jwtVerify(token, issuer.keys, {
      issuer: issuer.config.issuer,
      audience: issuer.config.audiences,
      algorithms: issuer.config.algorithms,
      clockTolerance: issuer.config.clockSkewS,
      currentDate: new Date(nowMs),
      // Without `iat` (RFC 9068 §2.2) nobody could tell whether it was made before a revocation.
      requiredClaims: ["sub", "exp", "iat"],
    })
    return resultOf(payload, kid, issuer, nowMs)
  } catch (thrown) {
    return refused(faultOf(thrown))
  }
}

/** True for the header of a token, which names its key and points at none. */
export function isAcceptableHeader(header: ProtectedHeaderParameters): boolean {
  if (KEY_POINTERS.some((name) => Object.hasOwn(header, name))) return false
  return ACCEPTED_TYP.has(header.typ) && typeof header.kid === "string"
}

function decode(token: string): { header: ProtectedHeaderParameters; claims: JWTPayload } | null {
  try {
    return { header: decodeProtectedHeader(token), claims: decodeJwt(token) }
  } catch {
    return null
  }
}

function resultOf(payload: JWTPayload, kid: string, issuer: Issuer, nowMs: number): BearerResult {
  const { exp, nbf = 0, iat = Number.NaN } = payload
  const authTimeS = payload.auth_time ?? iat
  const facts = factsOf(payload, kid, issuer, authTimeS as number | undefined)
  const madeS = [iat, authTimeS] as number[]
  // jose accepts fractions; RFC 7519 NumericDate with fractions is where implementations disagree, so whole seconds only.
  if (facts === null || exp === undefined || ![exp, nbf, ...madeS].every(Number.isSafeInteger)) return refused("claims")
  const nowS = nowMs / 1000
  const skewS = issuer.config.clockSkewS
  // One made in the future would escape every revocation until then; one that lives too long would outlive the memory of it.
  if (madeS.some((each) => each >= nowS + skewS)) return refused("claims")
  if (exp - iat > MAX_CREDENTIAL_LIFETIME_S) return refused("lifetime")
  return {
    ok: true,
    issuer,
    subject: new KeptSubject(facts),
    audiences: [payload.aud ?? []].flat(),
    notBeforeS: nbf - skewS,
    expiresS: exp + skewS,
  }
}

/** `authTimeS` is checked by the caller. */
function factsOf(
  payload: JWTPayload,
  kid: string,
  issuer: Issuer,
  authTimeS: number | undefined,
): CredentialFacts | null {
  const { sub } = payload
  const company = companyOf(payload, issuer)
  if (typeof sub !== "string" || sub.length === 0 || sub.length > 500 || company === undefined) return null
  return {
    kind: issuer.config.kind,
    id: sub,
    idp: issuer.id,
    scopes: scopesOf(payload),
    company,
    sid: null,
    authTimeMs: authTimeS === undefined ? null : authTimeS * 1000,
    level: 0,
    kid,
  }
}

/** `scope` (RFC 8693 §4.2: one string) or, as some providers send, an array under `scp`. Anything else is no scope. */
function scopesOf(payload: JWTPayload): readonly string[] {
  const { scope, scp } = payload
  if (typeof scope === "string") return scope.split(" ").filter((each) => each !== "")
  const listed = Array.isArray(scp) ? scp.filter((each) => typeof each === "string") : []
  // A scope holds no space (RFC 6749 §3.3): in the passport it would become two.
  return listed.filter((each) => each !== "" && !each.includes(" "))
}

/** Null when absent, undefined when present but no company id: a number has lost digits already. */
function companyOf(payload: JWTPayload, issuer: Issuer): string | null | undefined {
  if (issuer.config.companyClaim === undefined) return null
  const claim = payload[issuer.config.companyClaim]
  if (claim === undefined) return null
  return typeof claim === "string" && /^[0-9]{1,20}$/.test(claim) ? claim : undefined
}

function faultOf(thrown: unknown): BearerFault {
  if (thrown instanceof errors.JWTExpired) return "expired"
  if (thrown instanceof errors.JWTClaimValidationFailed) return "claims"
  if (thrown instanceof errors.JWKSNoMatchingKey || thrown instanceof errors.JWKSMultipleMatchingKeys)
    return "key-unknown"
  if (thrown instanceof errors.JOSEError) return "signature"
  return "malformed"
}

function refused(fault: BearerFault): BearerResult {
  return { ok: false, fault }
}

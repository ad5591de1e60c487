/**
 * Checks a bearer JWT against the issuers that the route accepts. Every reason for a refusal is told apart here, for the log;
 * the caller sees two public codes only, so that a probing client learns nothing.
 * @see RFC 7519, RFC 8725, RFC 9068
 */
import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from "jose"
import { isCanonicalCompactJws } from "../../../contracts/compact-jws.ts"
import type { Issuer } from "./issuers.ts"
import { makeSubject, type Subject } from "./subject.ts"

export type BearerFault =
  | "malformed"
  | "header-refused"
  | "issuer-unknown"
  | "signature"
  | "key-unknown"
  | "claims"
  | "expired"

export type BearerResult =
  | {
      readonly ok: true
      readonly issuer: Issuer
      readonly subject: Subject
      readonly notBeforeS: number
      readonly expiresS: number
    }
  | { readonly ok: false; readonly fault: BearerFault }

/** Headers that point at keys: whoever honours them lets the token choose what verifies it (RFC 8725 §3.5). */
const KEY_POINTERS = ["jku", "x5u", "jwk", "x5c", "crit", "b64"] as const
/** A passport or a pin is not a credential; an access token or a plain JWT is. */
const ACCEPTED_TYP = new Set([undefined, "JWT", "at+jwt", "application/at+jwt"])

/** `nowMs`: milliseconds since the epoch. Never throws. */
export async function verifyBearer(token: string, issuers: readonly Issuer[], nowMs: number): Promise<BearerResult> {
  if (!isCanonicalCompactJws(token)) return refused("malformed")
  const unverified = decode(token)
  if (unverified === null) return refused("malformed")
  if (KEY_POINTERS.some((name) => Object.hasOwn(unverified.header, name))) return refused("header-refused")
  if (!ACCEPTED_TYP.has(unverified.header.typ as string | undefined)) return refused("header-refused")
  if (typeof unverified.header.kid !== "string") return refused("header-refused")
  const issuer = issuers.find((each) => each.config.issuer === unverified.claims.iss)
  if (issuer === undefined) return refused("issuer-unknown")
  try {
    const { payload } = await jwtVerify(token, issuer.keys, {
      issuer: issuer.config.issuer,
      audience: issuer.config.audiences,
      algorithms: issuer.config.algorithms,
      clockTolerance: issuer.config.clockSkewS,
      currentDate: new Date(nowMs),
      requiredClaims: ["sub", "exp"],
    })
    return subjectOf(payload, issuer)
  } catch (thrown) {
    return refused(faultOf(thrown))
  }
}

function decode(token: string): { header: Record<string, unknown>; claims: JWTPayload } | null {
  try {
    return { header: decodeProtectedHeader(token) as Record<string, unknown>, claims: decodeJwt(token) }
  } catch {
    return null
  }
}

function subjectOf(payload: JWTPayload, issuer: Issuer): BearerResult {
  const { sub, exp, nbf, iat } = payload
  if (typeof sub !== "string" || sub.length === 0 || sub.length > 500) return refused("claims")
  // jose accepts fractions; RFC 7519 NumericDate with fractions is where implementations disagree, so whole seconds only.
  if (![exp, nbf ?? 0, iat ?? 0].every(Number.isSafeInteger) || exp === undefined) return refused("claims")
  const company = companyOf(payload, issuer)
  if (company === undefined) return refused("claims")
  const skewS = issuer.config.clockSkewS
  return {
    ok: true,
    issuer,
    subject: makeSubject({
      kind: issuer.config.kind,
      id: sub,
      idp: issuer.id,
      scopes: scopesOf(payload),
      company,
    }),
    notBeforeS: (nbf ?? 0) - skewS,
    expiresS: exp + skewS,
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

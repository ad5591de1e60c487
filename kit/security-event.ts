/**
 * A Security Event Token as another system pushes it: checked in form, signature, issuer, audience and age; what it means is the caller's.
 * Whether it came before is the caller's too, who knows when its effect is done.
 * @see RFC 8417 (the token), RFC 8935 (the push and its errors), RFC 9493 (subjects), OpenID Shared Signals Framework 1.0 §4.1
 */

import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, errors, type JSONWebKeySet, jwtVerify } from "jose"
import { isCanonicalCompactJws } from "../contracts/compact-jws.ts"
import { isRecord } from "../contracts/is-record.ts"

export const SECURITY_EVENT_TYPE = "application/secevent+jwt"
/** Milliseconds after which a token is too old to be taken: whoever remembers for so long which came before, is never told twice. */
export const SECURITY_EVENT_MAX_AGE_MS = 7 * 86_400_000
/** Clock difference tolerated, seconds. */
const MAX_SKEW_S = 60

/** Who may push. Keys are configured: no token says where they are. */
export interface Transmitter {
  readonly iss: string
  /** One of these must be the token's `aud`. */
  readonly audience: readonly string[]
  readonly algorithms: readonly string[]
  readonly jwks: { readonly keys: readonly object[] }
}

export interface SecurityEvent<T extends Transmitter> {
  readonly transmitter: T
  readonly jti: string
  readonly issuedAtMs: number
  /** `sub_id`; undefined when the token has none. */
  readonly subject: unknown
  /** Payloads by event type, at least one. */
  readonly events: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

/** Codes of RFC 8935 §2.4. */
export type SecurityEventError =
  | "invalid_request"
  | "invalid_key"
  | "invalid_issuer"
  | "invalid_audience"
  | "access_denied"

export type SecurityEventResult<T extends Transmitter> =
  | { readonly ok: true; readonly event: SecurityEvent<T> }
  | { readonly ok: false; readonly err: SecurityEventError; readonly description: string }

/** Never throws. `nowMs`: milliseconds since the epoch. */
export async function readSecurityEvent<T extends Transmitter>(
  token: string,
  transmitters: readonly T[],
  nowMs: number,
): Promise<SecurityEventResult<T>> {
  const unverified = decode(token)
  if (unverified === null) return refused("invalid_request", "The body is no security event token.")
  const transmitter = transmitters.find(({ iss }) => iss === unverified.iss)
  if (transmitter === undefined) return refused("invalid_issuer", "No transmitter of this issuer is known.")
  try {
    const { payload } = await jwtVerify(token, createLocalJWKSet(transmitter.jwks as JSONWebKeySet), {
      issuer: transmitter.iss,
      audience: [...transmitter.audience],
      algorithms: [...transmitter.algorithms],
      clockTolerance: MAX_SKEW_S,
      maxTokenAge: SECURITY_EVENT_MAX_AGE_MS / 1000,
      currentDate: new Date(nowMs),
      requiredClaims: ["iat", "jti"],
    })
    const { jti, iat, events } = payload
    // A token with `sub` or `exp` could be taken for one that says who somebody is.
    if (payload.exp !== undefined || payload.sub !== undefined)
      return refused("invalid_request", "A security event has neither exp nor sub.")
    if (typeof jti !== "string" || jti === "" || jti.length > 500 || !Number.isSafeInteger(iat))
      return refused("invalid_request", "jti must be a text of at most 500 characters, iat whole seconds.")
    if (!isEvents(events)) return refused("invalid_request", "events must be an object of 1 to 10 objects.")
    const issuedAtMs = Number(iat) * 1000
    return { ok: true, event: { transmitter, jti, issuedAtMs, subject: payload.sub_id, events } }
  } catch (thrown) {
    return faultOf(thrown)
  }
}

/** The issuer that the token claims, if it has the form and header of a security event; null otherwise. The header holds these members and no other, so that nothing in it can point at a key. */
function decode(token: string): { readonly iss: unknown } | null {
  if (!isCanonicalCompactJws(token)) return null
  try {
    const { alg, typ, kid, ...rest } = decodeProtectedHeader(token)
    if (typeof alg !== "string" || typ !== "secevent+jwt" || typeof kid !== "string") return null
    return Object.keys(rest).length === 0 ? { iss: decodeJwt(token).iss } : null
  } catch {
    return null
  }
}

function isEvents(value: unknown): value is SecurityEvent<Transmitter>["events"] {
  if (!isRecord(value)) return false
  const payloads = Object.values(value)
  return payloads.length >= 1 && payloads.length <= 10 && payloads.every(isRecord)
}

function faultOf(thrown: unknown): { ok: false; err: SecurityEventError; description: string } {
  if (thrown instanceof errors.JWTClaimValidationFailed && thrown.claim === "aud")
    return refused("invalid_audience", "The token is for another audience.")
  if (thrown instanceof errors.JWTClaimValidationFailed && thrown.claim === "iss")
    return refused("invalid_issuer", "No transmitter of this issuer is known.")
  if (thrown instanceof errors.JWTClaimValidationFailed || thrown instanceof errors.JWTExpired)
    return refused("invalid_request", `The claim ${thrown.claim} is not as it must be.`)
  return refused("invalid_key", "No key that is known of this issuer verifies the token.")
}

function refused(err: SecurityEventError, description: string) {
  return { ok: false, err, description } as const
}

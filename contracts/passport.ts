/**
 * The passport: the short-lived signed statement of who calls, made by the dispatcher for one audience.
 * Minted in dispatcher/src/identity/mint-passport.ts, checked by user Workers (kit) and by cells with code of their own.
 * A JWT (RFC 7519), ES256, `typ: passport+jwt`, in the header `x-passport`.
 */

export const PASSPORT_TYP = "passport+jwt"
export const PASSPORT_ALG = "ES256"

/** Seconds from `iat` to `exp`, at most. */
export const PASSPORT_LIFETIME_S = 60
/** A cached passport is handed out only while at least this many seconds of its life are left, so that the receiver has time to use it. */
export const PASSPORT_MIN_REMAINING_S = 30
/** Clock difference a verifier tolerates, seconds. */
export const PASSPORT_MAX_SKEW_S = 5

export type SubjectKind = "user" | "service" | "anonymous"

/** What user Workers cannot see for themselves (`request.cf` does not exist for them). Null where the edge did not say. */
export interface Facts {
  /** Client address as text, IPv4 or IPv6. */
  readonly ip: string | null
  /** ISO 3166-1 alpha-2, or `T1` for Tor. */
  readonly country: string | null
  readonly colo: string | null
  readonly asn: number | null
  /** `TLSv1.2`, `TLSv1.3`, … */
  readonly tls: string | null
  /** Bot score 1–99, 1 being surely a bot. */
  readonly bot: number | null
}

/** A script that acts for the subject, the latest outermost, each with the one before it: RFC 8693 §4.1. */
export interface Actor {
  /** {@link scriptAudience} of the script. */
  readonly sub: string
  readonly act?: Actor
}

export interface PassportClaims {
  readonly iss: string
  /** Exactly one audience: {@link scriptAudience} of a user Worker, or an audience of the dispatch config such as `cell:us01`. Never an array. */
  readonly aud: string
  /** Subject id as the credential's issuer gives it; `anonymous` when no credential came. */
  readonly sub: string
  /** Integer seconds since the epoch, RFC 7519 NumericDate without fractions. */
  readonly iat: number
  readonly nbf: number
  readonly exp: number
  readonly jti: string
  readonly kind: SubjectKind
  /** Id of the issuer in the dispatch config whose credential was accepted; absent for anonymous. */
  readonly idp?: string
  /** Space-separated scopes, RFC 8693 §4.2. */
  readonly scope?: string
  /** Company id; text, because ids exceed 53 bits. */
  readonly company?: string
  /** Companies that the subject is a member of, at most 200, none when empty; absent where the directory says nothing. */
  readonly companies?: readonly string[]
  /** Handle of the session (contracts/session.ts), when the credential was one: for {@link PlatformApi.revoke}, never for logging in. */
  readonly sid?: string
  /** When the person proved who they are, or else the credential was issued: seconds since the epoch, OpenID Connect Core §2. */
  readonly auth_time?: number
  /** Level of the session, 1–3; absent when nothing is known. */
  readonly level?: number
  /** Zone the request is for: the route's own, or the one a sibling dispatch named. */
  readonly zone?: string
  /** The route by which the request entered. */
  readonly route: string
  /** Hostname by which the request entered; whoever forwards it says this one, whatever URL a sibling wrote. */
  readonly host?: string
  /** Who asked for this passport through a platform binding; absent when the dispatcher itself made it for the routed script. */
  readonly act?: Actor
  /** How many times the request was dispatched before: 0 at the entrance. */
  readonly hops: number
  readonly facts: Facts
}

/** Header and `typ` of a Transaction Token, draft-ietf-oauth-transaction-tokens-10. */
export const TXN_TOKEN_HEADER = "txn-token"
export const TXN_TOKEN_TYP = "txntoken+jwt"

/** Audience of a user Worker: worthless to any other script and to every cell. */
export function scriptAudience(script: string): string {
  return `script:${script}`
}

/**
 * Stage "authenticate": who calls, by the credentials that the route accepts: a session's cookie, or a bearer token or a service account's key in Authorization.
 * A credential that is present but wrong is refused on every route that looks at it; it is never taken for anonymous.
 *
 * Two at once are refused, whatever each is worth: were one of them chosen, the request would be judged by one subject and checked against forgery by the rules of the other,
 * and whoever can add one to somebody's requests could choose for whom they count. RFC 6750 §2 forbids it to clients too.
 */
import {
  DEFAULT_IDENTITY,
  type DispatchConfig,
  type IdentityConfig,
  type RouteAuth,
} from "../../../contracts/dispatch-config.ts"
import type { Finding } from "../../../contracts/trip.ts"
import { BoundedCache } from "../../../kit/bounded-cache.ts"
import { type Refusal, refuse } from "../../../kit/problem.ts"
import { refuseCrossSite } from "./cross-site.ts"
import type { Issuer, IssuerRegistry } from "./issuers.ts"
import type { SessionReader, SessionReading } from "./session-reader.ts"
import { ANONYMOUS, type Subject, type SubjectsDirectory } from "./subject.ts"
import { type BearerFault, type BearerResult, verifyBearer } from "./verify-bearer.ts"
import {
  SERVICE_KEY_PREFIX,
  type ServiceAccounts,
  type ServiceKeyFault,
  type ServiceKeyResult,
  type ServiceKeys,
} from "./verify-service-key.ts"
import type { Session } from "./verify-session.ts"

type Verified = Extract<BearerResult, { ok: true }>

/** Tokens remembered per isolate: two generations of this many. Usually about 3.5 KB each with what they say; 11 KB and 13 MB at the very worst (README.md). */
const CACHED_TOKENS = 600
/** Characters, and scopes and audiences together. What has more is accepted, and verified each time. */
const CACHED_AT_MOST = 2_000
const CACHED_NAMES_MOST = 100
const BEARER_ALONE = ["bearer"] as const
const REALM = 'Bearer realm="sallyport"'
/** Seconds. */
const RETRY_AFTER_S = "5"

/** What this stage keeps between requests of an isolate. */
export class VerifiedTokens {
  /** By the whole token: two spellings of one token cannot exist (contracts/compact-jws.ts), and a hash would cost more than it hides. */
  readonly #verified = new BoundedCache<Verified>(CACHED_TOKENS)

  remember(token: string, result: Verified): void {
    const names = result.subject.facts.scopes.length + result.audiences.length
    if (token.length <= CACHED_AT_MOST && names <= CACHED_NAMES_MOST) this.#verified.set(token, result)
  }

  /** A hit counts only for an issuer that this route accepts, in exactly the settings it was verified under, and within the token's own time. */
  find(token: string, auth: RouteAuth, issuers: ReadonlyMap<string, Issuer>, nowS: number): Verified | null {
    const known = this.#verified.get(token)
    if (known === undefined || nowS >= known.expiresS || nowS < known.notBeforeS) return null
    const { id } = known.issuer
    return auth.issuers.includes(id) && issuers.get(id) === known.issuer ? known : null
  }
}

/** What a request shows of itself, unverified. */
export interface Presented {
  readonly method: string
  readonly authorization: string | null
  readonly sessionCookie: string | null
  readonly upgrade: boolean
  readonly fetchSite: string | null
  readonly isOwnOrigin: boolean
}

/** What a config revision says of who may call. */
export interface IdentityPolicy {
  readonly issuers: ReadonlyMap<string, Issuer>
  readonly subjects: SubjectsDirectory
  readonly serviceAccounts: ServiceAccounts
  readonly identity: IdentityConfig
}

/** The part of a config that this stage goes by, made ready once per revision. */
export function identityPolicy(document: DispatchConfig, issuers: IssuerRegistry): IdentityPolicy {
  return {
    issuers: issuers.prepare(document.issuers),
    subjects: document.subjects ?? {},
    serviceAccounts: document.serviceAccounts ?? {},
    identity: document.identity ?? DEFAULT_IDENTITY,
  }
}

export interface AuthenticateDependencies {
  readonly clock: { now(): number }
  readonly verifiedTokens: VerifiedTokens
  readonly sessions: SessionReader
  readonly serviceKeys: ServiceKeys
}

/** What of a request's surroundings is used: where findings go, and what may go on behind the answer; without `waitUntil` nothing does. */
export interface Surroundings {
  readonly note: (finding: Finding) => void
  readonly waitUntil: ((work: Promise<unknown>) => void) | null
}

/**
 * The subject of a request: at once when its credential is known, else after verification.
 * Refuses `auth.credential-required`, `auth.credential-invalid`, `auth.token-expired`, `auth.session-expired`, `auth.session-unconfirmed`, `auth.cross-site`, and `auth.not-allowed` for the session of
 * an identity provider that the route does not name.
 */
export function authenticate(
  presented: Presented,
  route: { readonly config: { readonly auth: RouteAuth } },
  policy: IdentityPolicy,
  deps: AuthenticateDependencies,
  around: Surroundings,
): Subject | Promise<Subject> {
  const { auth } = route.config
  if (auth.mode === "none") return ANONYMOUS
  const accept: readonly string[] = auth.accept ?? BEARER_ALONE
  const readsAuthorization = accept.includes("bearer") || accept.includes("service-key")
  const authorization = readsAuthorization ? presented.authorization : null
  const cookie = accept.includes("session") ? presented.sessionCookie : null
  if (authorization !== null && cookie !== null) throw refused("several")
  if (authorization !== null) return byAuthorization(authorization, accept, auth, policy, deps)
  if (cookie !== null) return bySession(cookie, presented, auth, policy, deps, around)
  if (auth.mode === "optional") return ANONYMOUS
  throw refuse("auth.credential-required", { headers: { "www-authenticate": REALM } })
}

function byAuthorization(
  authorization: string,
  accept: readonly string[],
  auth: RouteAuth,
  policy: IdentityPolicy,
  deps: AuthenticateDependencies,
): Subject | Promise<Subject> {
  const token = bearerToken(authorization)
  if (token === null) throw refused("malformed")
  const isServiceKey = token.startsWith(SERVICE_KEY_PREFIX)
  if (!accept.includes(isServiceKey ? "service-key" : "bearer")) throw refused("kind-not-accepted")
  if (isServiceKey) {
    const result = deps.serviceKeys.verify(token, policy.serviceAccounts, deps.clock.now())
    return result instanceof Promise
      ? result.then((found) => subjectOfKey(found, policy))
      : subjectOfKey(result, policy)
  }
  const known = deps.verifiedTokens.find(token, auth, policy.issuers, deps.clock.now() / 1000)
  return known === null ? verify(token, auth, policy, deps) : subjectOfToken(known, auth, policy)
}

async function verify(
  token: string,
  auth: RouteAuth,
  policy: IdentityPolicy,
  deps: AuthenticateDependencies,
): Promise<Subject> {
  const accepted = auth.issuers.map((id) => policy.issuers.get(id)).filter((each) => each !== undefined)
  const result = await verifyBearer(token, accepted, deps.clock.now())
  if (!result.ok) throw refused(result.fault)
  deps.verifiedTokens.remember(token, result)
  return subjectOfToken(result, auth, policy)
}

/** The audience is the route's condition, so it is asked of a remembered token too. */
function subjectOfToken(
  { subject, audiences }: Verified,
  auth: RouteAuth,
  policy: IdentityPolicy,
): Subject | Promise<Subject> {
  if (auth.audiences !== undefined && !auth.audiences.some((each) => audiences.includes(each)))
    throw refused("audience")
  return subject.under(policy.subjects)
}

function subjectOfKey(result: ServiceKeyResult, policy: IdentityPolicy): Subject | Promise<Subject> {
  if (!result.ok) throw refused(result.fault)
  return result.subject.under(policy.subjects)
}

function bySession(
  cookie: string,
  presented: Presented,
  auth: RouteAuth,
  policy: IdentityPolicy,
  deps: AuthenticateDependencies,
  around: Surroundings,
): Subject | Promise<Subject> {
  refuseCrossSite(presented)
  const reading = deps.sessions.read(cookie, policy.identity.sessionGraceS, around.waitUntil)
  const subjectOf = (found: SessionReading) =>
    acceptSession(found, auth.issuers, policy.issuers, around.note).subject.under(policy.subjects)
  return reading instanceof Promise ? reading.then(subjectOf) : subjectOf(reading)
}

/** The session, when it goes on and is of one of the identity providers `idps`, as long as the config has them. Refuses as {@link authenticate}. */
export function acceptSession(
  reading: SessionReading,
  idps: readonly string[],
  issuers: IdentityPolicy["issuers"],
  note: (finding: Finding) => void,
): Session {
  if (!reading.ok) throw refusedSession(reading.fault)
  const { idp } = reading.session.seal
  // With its provider gone from the config it is good for nothing anywhere, and must not be in the way of a login.
  if (!issuers.has(idp)) throw refusedSession("ended")
  if (!idps.includes(idp)) {
    throw refuse("auth.not-allowed", { detail: "Sessions of this identity provider are not accepted here." })
  }
  if (!reading.isConfirmed) note({ code: "auth.session-unconfirmed", mode: "log" })
  return reading.session
}

/** The token of `Bearer <token>` (RFC 6750 §2.1), null for any other scheme or shape; two Authorization headers arrive joined by a comma and fail here. */
function bearerToken(authorization: string): string | null {
  if (authorization.length < 8 || authorization.slice(0, 7).toLowerCase() !== "bearer ") return null
  const token = authorization.slice(7)
  return token.includes(" ") || token.includes(",") ? null : token
}

/** Vague on purpose: only expiry is told apart, because honest clients act on it. */
function refused(fault: BearerFault | ServiceKeyFault | "several" | "kind-not-accepted" | "audience"): Refusal {
  const log = { fault }
  if (fault === "expired") {
    return refuse("auth.token-expired", { headers: challenge("The token has expired"), log })
  }
  return refuse("auth.credential-invalid", { headers: challenge("The credential is not valid"), log })
}

/** The cookie stays in the browser: this answer may be late, and the browser have another session by then. Where a dead one would be in the way, login-redirect.ts takes it. */
function refusedSession(fault: Extract<SessionReading, { ok: false }>["fault"]): Refusal {
  const log = { fault }
  if (fault === "store-silent" || fault === "keys-missing") {
    return refuse("auth.session-unconfirmed", { headers: { "retry-after": RETRY_AFTER_S }, log })
  }
  const isOver = fault === "expired" || fault === "idle" || fault === "ended"
  return refuse(isOver ? "auth.session-expired" : "auth.credential-invalid", {
    headers: challenge(isOver ? "The session is over" : "The credential is not valid"),
    log,
  })
}

function challenge(description: string): Record<string, string> {
  return { "www-authenticate": `${REALM}, error="invalid_token", error_description="${description}"` }
}

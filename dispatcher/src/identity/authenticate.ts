/**
 * Stage "authenticate": who calls. A credential that is present but wrong is refused on every route that checks credentials;
 * it is never taken for anonymous. Verified tokens are kept in the isolate's memory until they expire.
 */
import type { RouteAuth } from "../../../contracts/dispatch-config.ts"
import { BoundedCache } from "../../../kit/bounded-cache.ts"
import { type Refusal, refuse } from "../../../kit/problem.ts"
import type { Issuer } from "./issuers.ts"
import { ANONYMOUS, type Subject } from "./subject.ts"
import { type BearerFault, type BearerResult, verifyBearer } from "./verify-bearer.ts"

type Verified = Extract<BearerResult, { ok: true }>

/** Tokens remembered per isolate: two generations of this many, each of at most {@link CACHED_AT_MOST} characters: 24 MB at the very worst. */
const CACHED_TOKENS = 4_000
/** Longer tokens are accepted, and verified each time. */
const CACHED_AT_MOST = 3_000
const CHALLENGE = { "www-authenticate": 'Bearer realm="sallyport"' }

/** What this stage keeps between requests of an isolate. */
export class VerifiedTokens {
  /** By the whole token: two spellings of one token cannot exist (contracts/compact-jws.ts), and a hash would cost more than it hides. */
  readonly #verified = new BoundedCache<Verified>(CACHED_TOKENS)

  remember(token: string, result: Verified): void {
    if (token.length <= CACHED_AT_MOST) this.#verified.set(token, result)
  }

  /** A hit counts only for an issuer that this route accepts, in exactly the settings it was verified under (R8), and within the token's own time. */
  find(token: string, auth: RouteAuth, issuers: ReadonlyMap<string, Issuer>, nowS: number): Subject | null {
    const known = this.#verified.get(token)
    if (known === undefined || nowS >= known.expiresS || nowS < known.notBeforeS) return null
    const { id } = known.issuer
    return auth.issuers.includes(id) && issuers.get(id) === known.issuer ? known.subject : null
  }
}

export interface AuthenticateDependencies {
  readonly clock: { now(): number }
  readonly verifiedTokens: VerifiedTokens
}

/**
 * The subject of a request: at once when its token is known, else after verification.
 * Refuses `auth.credential-required`, `auth.credential-invalid`, `auth.token-expired`.
 */
export function authenticate(
  inbound: { readonly authorization: string | null },
  route: { readonly config: { readonly auth: RouteAuth } },
  issuers: ReadonlyMap<string, Issuer>,
  deps: AuthenticateDependencies,
): Subject | Promise<Subject> {
  const { auth } = route.config
  if (auth.mode === "none") return ANONYMOUS
  if (inbound.authorization === null) {
    if (auth.mode === "optional") return ANONYMOUS
    throw refuse("auth.credential-required", { headers: CHALLENGE })
  }
  const token = bearerToken(inbound.authorization)
  if (token === null) throw refused("malformed")
  return deps.verifiedTokens.find(token, auth, issuers, deps.clock.now() / 1000) ?? verify(token, auth, issuers, deps)
}

async function verify(
  token: string,
  auth: RouteAuth,
  issuers: ReadonlyMap<string, Issuer>,
  deps: AuthenticateDependencies,
): Promise<Subject> {
  const accepted = auth.issuers.map((id) => issuers.get(id)).filter((each) => each !== undefined)
  const result = await verifyBearer(token, accepted, deps.clock.now())
  if (!result.ok) throw refused(result.fault)
  deps.verifiedTokens.remember(token, result)
  return result.subject
}

/** The token of `Bearer <token>` (RFC 6750 §2.1), null for any other scheme or shape; two Authorization headers arrive joined by a comma and fail here. */
function bearerToken(authorization: string): string | null {
  if (authorization.length < 8 || authorization.slice(0, 7).toLowerCase() !== "bearer ") return null
  const token = authorization.slice(7)
  return token.includes(" ") || token.includes(",") ? null : token
}

/** Vague on purpose: only expiry is told apart, because honest clients act on it. */
function refused(fault: BearerFault): Refusal {
  const log = { fault }
  if (fault === "expired") {
    return refuse("auth.token-expired", { headers: challenge("The token has expired"), log })
  }
  return refuse("auth.credential-invalid", { headers: challenge("The credential is not valid"), log })
}

function challenge(description: string): Record<string, string> {
  return {
    "www-authenticate": `${CHALLENGE["www-authenticate"]}, error="invalid_token", error_description="${description}"`,
  }
}

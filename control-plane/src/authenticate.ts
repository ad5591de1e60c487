/**
 * Who calls: the bearer token of the request, for both doors. Cookies and every other credential are not looked at.
 * The work is the same whatever is wrong, and so is the answer.
 */
import { refuse } from "../../kit/problem.ts"
import { sha256Hex } from "../../kit/sha256.ts"
import type { Actor } from "./actor.ts"
import type { TokenStore } from "./store/tokens.ts"

const TOKEN = /^spt_[A-Za-z0-9_-]{43}$/
/** Of a scraper; no token of the API looks so. */
const SCRAPE_TOKEN = /^spm_[A-Za-z0-9_-]{43}$/

export interface AuthenticateDependencies {
  readonly clock: { now(): number }
  readonly store: { readonly tokens: Pick<TokenStore, "findByHash"> }
  readonly settings: { readonly bootstrapTokenHash: string | null }
}

/** Throws `api.unauthenticated` for a token that is absent, malformed, unknown, expired or revoked, without saying which. */
export async function authenticateToken(request: Request, deps: AuthenticateDependencies): Promise<Actor> {
  const token = bearerOf(request)
  // A malformed token is hashed and looked up like any other; no token hashes to a row it has not got.
  const hash = await sha256Hex(token ?? "")
  const row = await deps.store.tokens.findByHash(hash)
  const isBootstrap = equalHashes(hash, deps.settings.bootstrapTokenHash)
  if (token === null || !TOKEN.test(token)) throw unauthenticated()
  if (isBootstrap) return { tokenId: "bootstrap", role: "ops", team: null, name: "token:bootstrap" }
  if (row === null || row.revokedAt !== null) throw unauthenticated()
  if (row.expiresAt !== null && Date.parse(row.expiresAt) <= deps.clock.now()) throw unauthenticated()
  return { tokenId: row.id, role: row.role, team: row.team, name: `token:${row.id}` }
}

/** Whoever may read `/metrics`: the scraper by a token that is good for nothing else, or ops. Throws `api.unauthenticated`, `api.forbidden`. */
export async function authenticateScraper(
  request: Request,
  deps: AuthenticateDependencies & { readonly settings: { readonly metricsTokenHash: string | null } },
): Promise<void> {
  const token = bearerOf(request)
  if (token !== null && SCRAPE_TOKEN.test(token)) {
    if (!equalHashes(await sha256Hex(token), deps.settings.metricsTokenHash)) throw unauthenticated()
    return
  }
  if ((await authenticateToken(request, deps)).role !== "ops") throw refuse("api.forbidden")
}

function unauthenticated() {
  return refuse("api.unauthenticated", { headers: { "www-authenticate": 'Bearer realm="sallyport"' } })
}

/** RFC 9110 §11.1: the scheme's name has no case. Anything beyond 200 characters is no token of ours. */
function bearerOf(request: Request): string | null {
  const match = /^Bearer +(\S{1,200})$/i.exec(request.headers.get("authorization") ?? "")
  return match?.[1] ?? null
}

function equalHashes(presented: string, expected: string | null): boolean {
  const encoder = new TextEncoder()
  const ours = encoder.encode(expected?.toLowerCase() ?? "")
  const theirs = encoder.encode(presented)
  // timingSafeEqual throws on unequal lengths; comparing with itself keeps the work the same.
  if (ours.byteLength !== theirs.byteLength) return !crypto.subtle.timingSafeEqual(theirs, theirs)
  return crypto.subtle.timingSafeEqual(theirs, ours)
}

/**
 * OpenID Connect with one provider: where to send the browser, and who came back. oauth4webapi speaks the protocol; what it leaves to its user is checked here:
 * the signature with keys of our own choosing, one audience, times in whole seconds, and how sure the provider was.
 * Nothing that a provider sends is kept but what {@link Identity} holds: no token outlives this file.
 * @see OpenID Connect Core 1.0 §3.1, RFC 9700, RFC 9207, RFC 7636
 */
import { compactVerify } from "jose"
import * as oauth from "oauth4webapi"
import { isCanonicalCompactJws } from "../../contracts/compact-jws.ts"
import { companyId, scopeName } from "../../contracts/dispatch-config.ts"
import { Refusal, refuse } from "../../kit/problem.ts"
import type { PendingLogin } from "./login-store.ts"
import {
  ALGORITHMS,
  callProvider,
  keysOf,
  metadataOf,
  refuseWhileIll,
  sending,
  Unusable,
  type WaitUntil,
} from "./provider-documents.ts"
import type { ProviderSettings } from "./settings.ts"

/** Seconds by which clocks may differ. */
export const SKEW_S = 60
const NO_FRESH_PROOF =
  "You have to prove anew who you are, and the identity provider does not say that you have just proved it. Log out there, then log in again here. After a session was ended this is asked " +
  "for ten minutes. If it goes on, tell the operators the request id: the provider has to heed max_age and send auth_time."

export interface Identity {
  readonly subject: string
  readonly company: string | null
  readonly scopes: readonly string[]
  readonly level: number
  readonly authenticatedAtMs: number
  /** The provider's `sid`. */
  readonly idpSession: string | null
}

export interface Wishes {
  /** Least level; 0: none asked for. */
  readonly level: number
  /** Seconds since the person last proved who they are; null: any. */
  readonly maxAgeS: number | null
}

export interface Party {
  readonly settings: ProviderSettings
  readonly clientSecret: string | null
  readonly waitUntil: WaitUntil
}

/** A login to be remembered, and where the browser goes for it. */
export async function beginLogin(
  { settings, waitUntil }: Party,
  redirectUri: string,
  wishes: Wishes,
): Promise<{ readonly state: string; readonly login: Pick<PendingLogin, "nonce" | "verifier">; readonly url: URL }> {
  const server = await metadataOf(settings, waitUntil)
  refuseWhileIll(settings)
  const [state, nonce, verifier] = [
    oauth.generateRandomState(),
    oauth.generateRandomNonce(),
    oauth.generateRandomCodeVerifier(),
  ]
  const url = new URL(server.authorization_endpoint ?? "")
  const parameters: Record<string, string> = {
    response_type: "code",
    client_id: settings.clientId,
    redirect_uri: redirectUri,
    scope: settings.scopes,
    state,
    nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  }
  if (wishes.level > 0) parameters.acr_values = acrValues(settings, wishes.level)
  if (wishes.maxAgeS !== null) parameters.max_age = String(wishes.maxAgeS)
  if (wishes.maxAgeS === 0) parameters.prompt = "login"
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return { state, login: { nonce, verifier }, url }
}

/** Those of at least `level`, the least first. Refuses `login.level-not-reached` when the provider has none. */
function acrValues({ levels }: ProviderSettings, level: number): string {
  const enough = Object.entries(levels).filter(([, reached]) => reached >= level)
  if (enough.length === 0) throw refuse("login.level-not-reached")
  return enough
    .sort(([, a], [, b]) => a - b)
    .map(([acr]) => acr)
    .join(" ")
}

/**
 * Who came back with `answer`, for the login that was begun. The code is redeemed once, whatever comes of it.
 * Refuses `login.denied`, `login.answer-invalid`, `login.level-not-reached`, `login.provider-unavailable`.
 */
export async function finishLogin(
  party: Party,
  answer: URLSearchParams,
  state: string,
  login: PendingLogin,
): Promise<Identity> {
  const { settings, waitUntil } = party
  const server = await metadataOf(settings, waitUntil)
  const client: oauth.Client = { client_id: settings.clientId, [oauth.clockTolerance]: SKEW_S }
  try {
    const parameters = oauth.validateAuthResponse(server, client, answer, state)
    const tokens = await callProvider(settings, async (send) => {
      const response = await oauth.authorizationCodeGrantRequest(
        server,
        client,
        clientAuthentication(party),
        parameters,
        login.redirectUri,
        login.verifier,
        sending(settings, send),
      )
      if (response.ok && !isJson(response)) throw new Unusable("tokens that are not declared as JSON")
      const options = { expectedNonce: login.nonce, requireIdToken: true }
      return oauth.processAuthorizationCodeResponse(server, client, response, options)
    })
    const idToken = tokens.id_token ?? ""
    await verifySignature(idToken, party, server, isIdTokenType)
    const claims = oauth.getValidatedIdTokenClaims(tokens)
    if (claims === undefined) throw invalid("no id token")
    checkAudience(claims, settings)
    checkTimes(claims, Math.floor(login.startedAtMs / 1000))
    await checkHash(claims.at_hash, tokens.access_token)
    checkFreshness(claims, login)
    return identityOf(claims, settings, login)
  } catch (thrown) {
    throw asRefusal(thrown)
  }
}

function clientAuthentication({ settings, clientSecret }: Party): oauth.ClientAuth {
  if (settings.clientAuth === "none" || clientSecret === null) return oauth.None()
  return settings.clientAuth === "client_secret_post"
    ? oauth.ClientSecretPost(clientSecret)
    : oauth.ClientSecretBasic(clientSecret)
}

/** No key of the token's own choosing, and nothing in the header that a verifier would have to understand. */
const FORBIDDEN_HEADERS = ["crit", "jku", "jwk", "x5u", "x5c", "b64", "zip"] as const

/** Verifies a token of the provider with its published keys; returns the claims, none of which is checked yet. */
export async function verifySignature(
  token: string,
  { settings, waitUntil }: Party,
  server: oauth.AuthorizationServer,
  isType: (typ: unknown) => boolean,
): Promise<Readonly<Record<string, unknown>>> {
  if (token.length > 50_000 || !isCanonicalCompactJws(token)) throw invalid("not a canonical JWS")
  const getKey = await keysOf(settings, server, waitUntil)
  const algorithms = server.id_token_signing_alg_values_supported ?? ALGORITHMS
  const { payload, protectedHeader } = await compactVerify(token, getKey, { algorithms: [...algorithms] })
  if (FORBIDDEN_HEADERS.some((name) => name in protectedHeader)) throw invalid("a header that is not accepted")
  if (!isType(protectedHeader.typ)) throw invalid("another type of token")
  const claims: unknown = JSON.parse(new TextDecoder().decode(payload))
  if (typeof claims !== "object" || claims === null || Array.isArray(claims)) throw invalid("no claims")
  return claims as Readonly<Record<string, unknown>>
}

function isIdTokenType(typ: unknown): boolean {
  return typ === undefined || (typeof typ === "string" && /^(application\/)?jwt$/i.test(typ))
}

/** Made for this client alone: other audiences would be parties that we know nothing of (OpenID Connect Core §3.1.3.7). */
export function checkAudience(claims: Readonly<Record<string, unknown>>, { clientId }: ProviderSettings): void {
  const { aud, azp } = claims
  const audiences = Array.isArray(aud) ? aud : [aud]
  if (audiences.length !== 1 || audiences[0] !== clientId) throw invalid("another audience")
  if (azp !== undefined && azp !== clientId) throw invalid("another authorized party")
}

/** `earliestS`: nothing that was issued before can be an answer. */
export function checkTimes(claims: Readonly<Record<string, unknown>>, earliestS: number): void {
  const nowS = Math.floor(Date.now() / 1000)
  for (const name of ["exp", "iat", "nbf", "auth_time"])
    if (claims[name] !== undefined && !Number.isSafeInteger(claims[name]))
      throw invalid(`${name} is not in whole seconds`)
  const { exp, iat, nbf, auth_time } = claims as Readonly<Record<string, number | undefined>>
  if (exp === undefined || exp + SKEW_S <= nowS) throw invalid("expired")
  if (iat === undefined || iat > nowS + SKEW_S || iat + SKEW_S < earliestS) throw invalid("issued at another time")
  if (nbf !== undefined && nbf > nowS + SKEW_S) throw invalid("not valid yet")
  if (auth_time !== undefined && auth_time > nowS + SKEW_S) throw invalid("authenticated in the future")
}

/**
 * OpenID Connect Core §3.1.2.1. Not left to the library, which would look before the signature is verified and have one word for all faults: of an answer that is the provider's, and right but for this,
 * the person is told what to do. Refuses `login.level-not-reached`.
 */
function checkFreshness({ auth_time }: oauth.IDToken, { maxAgeS }: PendingLogin): void {
  if (maxAgeS === null) return
  const refused = (why: string) => refuse("login.level-not-reached", { detail: NO_FRESH_PROOF, cause: new Error(why) })
  if (auth_time === undefined) throw refused("no auth_time, though max_age was asked")
  if (auth_time + maxAgeS + SKEW_S < Math.floor(Date.now() / 1000)) throw refused("auth_time is older than max_age")
}

/** RFC 6749 §5.1; the library would read tokens out of a page as well. */
function isJson({ headers }: Response): boolean {
  return /^application\/json\s*(;|$)/i.test(headers.get("content-type") ?? "")
}

/** OpenID Connect Core §3.1.3.6, of the algorithms that hash with SHA-256. */
async function checkHash(hash: unknown, accessToken: string): Promise<void> {
  if (hash === undefined) return
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(accessToken)))
  const half = btoa(String.fromCharCode(...digest.slice(0, digest.length / 2)))
  const expected = half.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")
  // Ed25519 hashes with SHA-512, for which no provider agrees on the claim.
  if (typeof hash !== "string" || (hash.length === expected.length && hash !== expected))
    throw invalid("another access token")
}

function identityOf(claims: oauth.IDToken, settings: ProviderSettings, login: PendingLogin): Identity {
  const { sub, acr, auth_time, sid } = claims
  if (sub === "" || sub.length > 500 || /\p{Cc}/u.test(sub)) throw invalid("the subject is not usable")
  if (sid !== undefined && (typeof sid !== "string" || sid === "" || sid.length > 500))
    throw invalid("the sid is not usable")
  const level = typeof acr === "string" && Object.hasOwn(settings.levels, acr) ? (settings.levels[acr] ?? 0) : 0
  return {
    subject: sub,
    company: companyOf(settings.companyClaim === undefined ? undefined : claims[settings.companyClaim]),
    scopes: scopesOf(settings.scopesClaim === undefined ? undefined : claims[settings.scopesClaim]),
    level,
    authenticatedAtMs: authenticatedAtMs(auth_time ?? claims.iat, login),
    idpSession: sid ?? null,
  }
}

/**
 * The claim counts whole seconds. With `max_age` 0 the proof came after the login began, which is known to the millisecond: without that, who logs in again within
 * the second of a revocation would be taken for who was there before it.
 */
function authenticatedAtMs(claimedS: number, { maxAgeS, startedAtMs }: PendingLogin): number {
  const claimedMs = Math.min(claimedS * 1000, Date.now())
  return maxAgeS === 0 && claimedMs + 1000 > startedAtMs ? Math.max(claimedMs, startedAtMs) : claimedMs
}

function companyOf(claim: unknown): string | null {
  if (claim === undefined || claim === null) return null
  const parsed = companyId.safeParse(claim)
  if (!parsed.success) throw invalid("the company is not usable")
  return parsed.data
}

function scopesOf(claim: unknown): readonly string[] {
  if (claim === undefined || claim === null) return []
  const list = typeof claim === "string" ? claim.split(" ").filter((each) => each !== "") : claim
  const parsed = Array.isArray(list) ? list.map((each) => scopeName.safeParse(each)) : null
  if (parsed === null || parsed.length > 100 || parsed.some(({ success }) => !success))
    throw invalid("the scopes are not usable")
  return [...new Set(parsed.map(({ data }) => data ?? ""))]
}

function invalid(why: string): Error {
  return new Error(why)
}

/** One vague answer for everything that is wrong with an answer: who tries should not learn what was nearly right. Why stands in the log. */
function asRefusal(thrown: unknown): Refusal {
  if (thrown instanceof Refusal) return thrown
  if (!(thrown instanceof oauth.AuthorizationResponseError)) return refuse("login.answer-invalid", { cause: thrown })
  switch (thrown.error) {
    case "access_denied":
    case "login_required":
    case "consent_required":
    case "interaction_required":
    case "account_selection_required":
      return refuse("login.denied", { cause: thrown })
    case "unmet_authentication_requirements":
      return refuse("login.level-not-reached", { cause: thrown })
    case "server_error":
    case "temporarily_unavailable":
      return refuse("login.provider-unavailable", { cause: thrown, headers: { "retry-after": "30" } })
    default:
      return refuse("login.answer-invalid", { cause: thrown })
  }
}

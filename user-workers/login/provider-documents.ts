/**
 * What an identity provider publishes of itself: its metadata and its keys, kept for a while per isolate. And every call to it, whatever for: bounded in time and
 * size, no redirect followed, behind a circuit breaker, so that a provider that is ill costs its logins and nothing else.
 * @see OpenID Connect Discovery 1.0 §4, RFC 7517 §5
 */
import { createLocalJWKSet, errors, type JWTVerifyGetKey } from "jose"
import * as oauth from "oauth4webapi"
import { publicJwk } from "../../contracts/public-jwk.ts"
import { boundedText } from "../../kit/bounded-text.ts"
import { circuitBreaker } from "../../kit/circuit-breaker.ts"
import { refuse } from "../../kit/problem.ts"
import { VolatileCache } from "../../kit/volatile-cache.ts"
import type { ProviderSettings } from "./settings.ts"

/** Of tokens signed by the provider, whatever it says that it can do. */
export const ALGORITHMS: readonly string[] = ["ES256", "RS256", "EdDSA", "Ed25519"]
/** Milliseconds for one answer with its body. */
const TIMEOUT_MS = 5_000
const MAX_BYTES = 256 * 1024
const MAX_KEYS = 50
/** Milliseconds until documents are read anew, and for which the last good ones go on when they cannot be. */
const KEPT = { ttlMs: 60_000, staleIfErrorMs: 3_600_000 } as const
/** Milliseconds between two questions for keys because of an unknown one. */
const EXTRA_EVERY_MS = 30_000
/** One probe in this time goes to a provider that does not answer. */
const OPEN_MS = 5_000

/** What oauth4webapi hands to its `customFetch`, as far as it goes out. */
interface Outgoing {
  readonly method?: string
  readonly headers: Record<string, string>
  readonly body?: BodyInit | null | undefined
}
type Send = (url: string, outgoing: Outgoing) => Promise<Response>
export type WaitUntil = (work: Promise<unknown>) => void

/** Thrown for an answer that is none: it counts against the provider. */
export class Unusable extends Error {
  override readonly name = "Unusable"
}

const breaker = circuitBreaker({ consecutiveFailures: 3, openMs: OPEN_MS, capacity: 50 })
const metadata = new VolatileCache<oauth.AuthorizationServer>({ capacity: 20, giveUpMs: TIMEOUT_MS + 500, ...KEPT })
const keySets = new VolatileCache<readonly object[]>({ capacity: 20, giveUpMs: TIMEOUT_MS + 500, ...KEPT })
const extraAtMs = new Map<string, number>()

/**
 * One call, or several that make one question. Refuses `login.provider-unavailable` without a call while the provider is ill, and when `work` shows that it is;
 * what else `work` throws is thrown on, and means that the provider is well.
 */
export async function callProvider<T>({ issuer }: ProviderSettings, work: (send: Send) => Promise<T>): Promise<T> {
  const permit = breaker.enter(issuer)
  if ("retryAfterMs" in permit) throw unavailable(permit.retryAfterMs)
  try {
    const result = await work(sendBounded)
    permit.succeed()
    return result
  } catch (cause) {
    if (!isUnusable(cause)) {
      permit.succeed()
      throw cause
    }
    permit.fail()
    throw unavailable(OPEN_MS, cause)
  }
}

/** Refuses `login.provider-unavailable` while the provider is known to be ill: nobody is sent to where no answer comes from. */
export function refuseWhileIll({ issuer }: ProviderSettings): void {
  if (breaker.stateOf(issuer) === "open") throw unavailable(OPEN_MS)
}

/** For every function of oauth4webapi that sends something. */
export function sending(settings: ProviderSettings, send: Send) {
  return { [oauth.customFetch]: send, [oauth.allowInsecureRequests]: isLoopback(settings.issuer) }
}

export function isLoopback(url: string): boolean {
  return /^http:\/\/(127\.0\.0\.1|localhost)(:\d+)?(\/|$)/.test(url)
}

/** The provider's metadata, which must name exactly the configured issuer. Refuses `login.provider-unavailable`. */
export function metadataOf(settings: ProviderSettings, waitUntil: WaitUntil): Promise<oauth.AuthorizationServer> {
  return asUnavailable(
    metadata.get(settings.issuer, () => callProvider(settings, (send) => discover(settings, send)), waitUntil),
  )
}

/** Keys for jose. One that is not known is asked for at most every {@link EXTRA_EVERY_MS}; refuses `login.provider-unavailable` when there are none at all. */
export async function keysOf(
  settings: ProviderSettings,
  server: oauth.AuthorizationServer,
  waitUntil: WaitUntil,
): Promise<JWTVerifyGetKey> {
  const { issuer } = settings
  const load = () => callProvider(settings, (send) => readKeys(settings, server, send))
  const held = await asUnavailable(keySets.get(issuer, load, waitUntil))
  return async (header, token) => {
    try {
      return await createLocalJWKSet({ keys: [...held] as never })(header, token)
    } catch (cause) {
      if (!(cause instanceof errors.JWKSNoMatchingKey) || !mayAskAgain(issuer)) throw cause
      const fresh = await load()
      keySets.forget(issuer)
      await keySets.get(issuer, async () => fresh, waitUntil)
      return createLocalJWKSet({ keys: [...fresh] as never })(header, token)
    }
  }
}

function mayAskAgain(issuer: string): boolean {
  const nowMs = Date.now()
  if (nowMs - (extraAtMs.get(issuer) ?? Number.NEGATIVE_INFINITY) < EXTRA_EVERY_MS) return false
  extraAtMs.set(issuer, nowMs)
  return true
}

async function discover(settings: ProviderSettings, send: Send): Promise<oauth.AuthorizationServer> {
  const issuer = new URL(settings.issuer)
  const response = await oauth.discoveryRequest(issuer, sending(settings, send))
  const server = await oauth.processDiscoveryResponse(issuer, response).catch((cause: unknown) => {
    throw new Unusable("the metadata is not usable", { cause })
  })
  if (server.issuer !== settings.issuer) throw new Unusable("the metadata is another issuer's")
  const { authorization_endpoint, token_endpoint, jwks_uri, end_session_endpoint } = server
  for (const endpoint of [authorization_endpoint, token_endpoint, jwks_uri])
    if (!isEndpoint(endpoint, settings)) throw new Unusable("the metadata names an endpoint that is none")
  const supported = server.id_token_signing_alg_values_supported
  const algorithms = Array.isArray(supported) ? supported : ["RS256"]
  return {
    ...server,
    ...(isEndpoint(end_session_endpoint, settings) ? {} : { end_session_endpoint: undefined }),
    id_token_signing_alg_values_supported: ALGORITHMS.filter((each) => algorithms.includes(each)),
  } as oauth.AuthorizationServer
}

function isEndpoint(url: unknown, { issuer }: ProviderSettings): boolean {
  if (typeof url !== "string") return false
  const parsed = URL.parse(url)
  if (parsed === null || parsed.username !== "" || parsed.password !== "" || parsed.hash !== "") return false
  return parsed.protocol === "https:" || (isLoopback(issuer) && isLoopback(parsed.href))
}

/** Those that may verify: public, of a kind that is allowed, of sufficient length. What else is in the set (keys to encrypt with, other curves) is passed over. */
async function readKeys(
  settings: ProviderSettings,
  server: oauth.AuthorizationServer,
  send: Send,
): Promise<readonly object[]> {
  const response = await send(server.jwks_uri ?? "", { headers: { accept: "application/json" } })
  const document: unknown = response.status === 200 ? await response.json().catch(() => null) : null
  const keys = typeof document === "object" && document !== null && "keys" in document ? document.keys : null
  if (!Array.isArray(keys) || keys.length > MAX_KEYS) throw new Unusable("the key set is not usable")
  const usable = keys.map(verifyingKey).filter((key) => key !== null)
  if (usable.length === 0) throw new Unusable(`the key set of ${settings.idp} has no key to verify with`)
  return usable
}

const PUBLIC_MEMBERS = ["kty", "crv", "x", "y", "n", "e", "alg", "use", "key_ops"] as const
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] as const

function verifyingKey(key: unknown): object | null {
  if (typeof key !== "object" || key === null || PRIVATE_MEMBERS.some((member) => member in key)) return null
  const all = key as Readonly<Record<string, unknown>>
  const members = PUBLIC_MEMBERS.filter((member) => all[member] !== undefined).map((member) => [member, all[member]])
  const parsed = publicJwk.safeParse({ ...Object.fromEntries(members), kid: all.kid ?? "none" })
  if (!parsed.success) return null
  const { kid, ...rest } = parsed.data
  return all.kid === undefined ? rest : { ...rest, kid }
}

/** `fetch` with a bound on time and bytes. Throws {@link Unusable} for no answer, and for one that says that the provider is ill. */
async function sendBounded(url: string, { method = "GET", headers, body: sent = null }: Outgoing): Promise<Response> {
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  let response: Response
  let body: string | null
  try {
    response = await fetch(url, { method, headers, body: sent, redirect: "manual", signal })
    body = await boundedText(response, MAX_BYTES)
  } catch (cause) {
    throw new Unusable("no answer", { cause })
  }
  if (body === null) throw new Unusable("the answer is too long, or no text")
  if (response.status >= 500 || response.status === 429) throw new Unusable(`status ${response.status}`)
  return new Response([204, 304].includes(response.status) ? null : body, response)
}

const UNUSABLE_CODES: ReadonlySet<unknown> = new Set([
  oauth.RESPONSE_IS_NOT_JSON,
  oauth.RESPONSE_IS_NOT_CONFORM,
  oauth.PARSE_ERROR,
])

function isUnusable(thrown: unknown): boolean {
  return (
    thrown instanceof Unusable || (thrown instanceof oauth.OperationProcessingError && UNUSABLE_CODES.has(thrown.code))
  )
}

function unavailable(retryAfterMs: number, cause?: unknown) {
  const headers = { "retry-after": String(Math.max(1, Math.ceil(retryAfterMs / 1000))) }
  return refuse("login.provider-unavailable", { cause, headers })
}

/** Waiting too long for a document is the provider's failure as well. */
async function asUnavailable<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (thrown) {
    throw thrown instanceof Error && thrown.message === "dependency.timeout" ? unavailable(OPEN_MS, thrown) : thrown
  }
}

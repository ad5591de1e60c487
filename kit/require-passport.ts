/**
 * The check of the `x-passport` that came with a request: made by the gateway, for exactly this script, and still valid.
 * Every team's Worker begins with it. It knows nothing of the caller but what the passport says, and the passport nothing that the gateway did not sign.
 * @see RFC 8725 §3 (algorithm, type, issuer, audience), RFC 7515 §5.2, RFC 7519 §4.1
 */

import type { MiddlewareHandler } from "hono"
import { isCanonicalCompactJws } from "../contracts/compact-jws.ts"
import { isRecord } from "../contracts/is-record.ts"
import {
  PASSPORT_ALG,
  PASSPORT_LIFETIME_S,
  PASSPORT_MAX_SKEW_S,
  PASSPORT_TYP,
  type PassportClaims,
  scriptAudience,
} from "../contracts/passport.ts"
import { PASSPORT_HEADER } from "../contracts/reserved-headers.ts"
import { BoundedCache } from "./bounded-cache.ts"
import { refuse } from "./problem.ts"
import { awaitFor, within } from "./within.ts"

/** Verified passports remembered per isolate and generation of the cache, about 1 KB each. */
const CACHED_PASSPORTS = 500
/** Milliseconds after which no key is used before the keys were asked for anew; well below the time that a new key is published before its first use. */
const KEYS_MAX_AGE_MS = 60_000
/** Milliseconds after which a request has the keys asked for behind its answer, so that none waits where there are requests. */
const KEYS_RENEW_AFTER_MS = 45_000
/** Milliseconds that a request waits for an answer whose key is known, and only too old: without one it goes on. More than the two seconds for which the platform itself may wait for its config. */
const KNOWN_KEY_WAIT_MS = 2_500
/** Milliseconds that one waits which cannot go on without an answer. */
const NO_KEY_WAIT_MS = 5_000
/** How often an unknown `kid` may cause another question for keys, per {@link KEYS_MAX_AGE_MS} and isolate. */
const EXTRA_KEY_QUESTIONS = 20

/** Where keys come from: the `PLATFORM` binding. */
export interface KeySource {
  keys(): Promise<{ readonly keys: readonly JsonWebKey[] }>
}

export interface PassportRequirements {
  /** Name of the script that this code is; passports made for another are refused. */
  readonly script: string
  /** `iss` to insist on; without it any issuer whose key the platform publishes is accepted, and there is one. */
  readonly issuer?: string
  /** Milliseconds since the epoch; default `Date`. */
  readonly clock?: { now(): number }
}

/** `waitUntil`: the request's own, by which keys are renewed behind its answer. Without it a request waits for them once a minute, two and a half seconds at most. */
export type RequirePassport = (
  request: Request,
  platform: KeySource,
  waitUntil?: (work: Promise<unknown>) => void,
) => Promise<PassportClaims>

export interface PassportVariables {
  /** Verified: what the gateway says of the caller and the request. */
  readonly passport: PassportClaims
}

/**
 * {@link passportRequirement} as middleware; sets `passport`. The first that a Worker uses: everything behind it may believe `c.var.passport`.
 *
 * ```ts
 * app.use(requirePassport({ script: "example" }))
 * app.get("/me", (c) => c.text(c.var.passport.sub))
 * ```
 */
export function requirePassport(
  requirements: PassportRequirements,
): MiddlewareHandler<{ Bindings: { readonly PLATFORM: KeySource }; Variables: PassportVariables }> {
  const check = passportRequirement(requirements)

  return async function requirePassport(c, next) {
    c.set("passport", await check(c.req.raw, c.env.PLATFORM, waitUntilOf(c)))
    await next()
  }
}

function waitUntilOf(c: { readonly executionCtx: { waitUntil(work: Promise<unknown>): void } }) {
  try {
    const { executionCtx } = c
    return (work: Promise<unknown>) => executionCtx.waitUntil(work)
  } catch {
    // No execution context, as in a unit test.
    return undefined
  }
}

type Reason =
  | "missing"
  | "not-canonical"
  | "header"
  | "unknown-key"
  | "signature"
  | "claims"
  | "issuer"
  | "audience"
  | "not-yet"
  | "expired"

/**
 * Makes the check, once per isolate, with caches of its own. The check resolves to the claims, or refuses `platform.passport-required`
 * (deliberately without saying why; the reason goes to the log) or `platform.unavailable` when no key was ever to be had. It waits for the platform two and a half seconds at most
 * where the passport's key is known, else five.
 */
export function passportRequirement(requirements: PassportRequirements): RequirePassport {
  const audience = scriptAudience(requirements.script)
  const clock = requirements.clock ?? Date
  const ring = new KeyRing(clock)
  const verified = new BoundedCache<PassportClaims>(CACHED_PASSPORTS)

  return async function requirePassport(request, platform, waitUntil) {
    const token = request.headers.get(PASSPORT_HEADER)
    if (token === null) throw refused("missing")
    const known = verified.get(token)
    const claims = known ?? (await verify(token, (kid) => ring.find(kid, platform, waitUntil)))
    if (requirements.issuer !== undefined && claims.iss !== requirements.issuer) throw refused("issuer")
    if (claims.aud !== audience) throw refused("audience")
    const nowS = clock.now() / 1000
    if (claims.nbf > nowS + PASSPORT_MAX_SKEW_S || claims.iat > nowS + PASSPORT_MAX_SKEW_S) throw refused("not-yet")
    if (nowS >= claims.exp + PASSPORT_MAX_SKEW_S) throw refused("expired")
    if (known === undefined) verified.set(token, claims)
    return claims
  }
}

function refused(reason: Reason): Error {
  return refuse("platform.passport-required", { log: { reason } })
}

/** Form and signature; audience and times are checked by the caller each time, since this result is remembered. */
async function verify(token: string, find: (kid: string) => Promise<CryptoKey | null>): Promise<PassportClaims> {
  if (!isCanonicalCompactJws(token)) throw refused("not-canonical")
  const [header = "", payload = "", signature = ""] = token.split(".")
  const kid = kidOf(parseJson(header))
  if (kid === null) throw refused("header")
  const key = await find(kid)
  if (key === null) throw refused("unknown-key")
  const signed = new TextEncoder().encode(`${header}.${payload}`)
  const isGenuine = await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, bytesOf(signature), signed)
  if (!isGenuine) throw refused("signature")
  const claims = parseJson(payload)
  if (!isPassportClaims(claims)) throw refused("claims")
  return claims
}

/** The header holds these three members and nothing else: no `jku`, `jwk`, `x5u` or `crit` is even looked at. */
function kidOf(header: unknown): string | null {
  if (!isRecord(header) || Object.keys(header).length !== 3) return null
  if (header.alg !== PASSPORT_ALG || header.typ !== PASSPORT_TYP) return null
  return typeof header.kid === "string" && header.kid !== "" ? header.kid : null
}

function isPassportClaims(value: unknown): value is PassportClaims {
  if (!isRecord(value)) return false
  const { iat, nbf, exp, hops, act, companies, auth_time, level } = value
  const isText = (name: string) => typeof value[name] === "string" && value[name] !== ""
  const isTextIfThere = (name: string) => value[name] === undefined || isText(name)
  return (
    ["iss", "aud", "sub", "jti", "route"].every(isText) &&
    ["idp", "scope", "company", "zone", "host", "sid"].every(isTextIfThere) &&
    (companies === undefined || (Array.isArray(companies) && companies.every((each) => typeof each === "string"))) &&
    (auth_time === undefined || (Number.isInteger(auth_time) && Number(auth_time) >= 0)) &&
    (level === undefined || (Number.isInteger(level) && Number(level) >= 0)) &&
    isSeconds(iat) &&
    isSeconds(nbf) &&
    isSeconds(exp) &&
    exp > iat &&
    exp - iat <= PASSPORT_LIFETIME_S &&
    (value.kind === "user" || value.kind === "service" || value.kind === "anonymous") &&
    Number.isInteger(hops) &&
    Number(hops) >= 0 &&
    isRecord(value.facts) &&
    (act === undefined || (isRecord(act) && typeof act.sub === "string"))
  )
}

/** RFC 7519 NumericDate, here without fractions and without the far future. */
function isSeconds(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) > 0 && Number(value) < 1e11
}

/** The JSON in a base64url part; undefined when it is not JSON in UTF-8. */
function parseJson(part: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytesOf(part)))
  } catch {
    return undefined
  }
}

function bytesOf(part: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0))
}

/**
 * The platform's public keys, imported once each. Kept when the platform does not answer; asked for again when older than {@link KEYS_MAX_AGE_MS}, and before that behind a request.
 * No promise is shared between requests: one that is cancelled would leave the others waiting for ever.
 */
class KeyRing {
  readonly #clock: { now(): number }
  #keys: ReadonlyMap<string, CryptoKey> | null = null
  /** When the question was asked that the keys are the answer to, or a later one for which a request waited in vain. */
  #askedAt = Number.NEGATIVE_INFINITY
  /** What {@link #askedAt} was when a renewal behind a request began: of one age there is one. */
  #renewalOf: number | null = null
  #questions = 0
  /** Number of the question that the keys are the answer to. */
  #answered = 0
  #extraQuestions = 0
  #extraSince = Number.NEGATIVE_INFINITY

  constructor(clock: { now(): number }) {
    this.#clock = clock
  }

  /** Null when the platform does not publish `kid`. Refuses `platform.unavailable` when there is no key at all and none to be had. */
  async find(
    kid: string,
    platform: KeySource,
    waitUntil?: (work: Promise<unknown>) => void,
  ): Promise<CryptoKey | null> {
    const ageMs = this.#clock.now() - this.#askedAt
    const isStale = ageMs >= KEYS_MAX_AGE_MS
    const known = this.#keys?.get(kid)
    if (known !== undefined && !isStale) {
      if (ageMs >= KEYS_RENEW_AFTER_MS && waitUntil !== undefined && this.#renewalOf !== this.#askedAt) {
        this.#renewalOf = this.#askedAt
        void this.#question(platform, waitUntil)
      }
      return known
    }
    if (this.#keys !== null && !isStale && !this.#mayAskExtra()) return null
    // Those who come meanwhile take what there is.
    if (this.#keys !== null && isStale) this.#askedAt = this.#clock.now()
    try {
      await within(known === undefined ? NO_KEY_WAIT_MS : KNOWN_KEY_WAIT_MS, this.#question(platform, waitUntil))
    } catch (cause) {
      if (this.#keys === null) throw refuse("platform.unavailable", { cause })
    }
    return this.#keys?.get(kid) ?? null
  }

  /** Kept alive for as long as anybody would wait, so that an answer which comes a little late counts for the next. */
  #question(platform: KeySource, waitUntil?: (work: Promise<unknown>) => void): Promise<void> {
    const answer = this.#ask(platform)
    waitUntil?.(awaitFor(NO_KEY_WAIT_MS, answer).catch(() => undefined))
    return answer
  }

  async #ask(platform: KeySource): Promise<void> {
    const number = ++this.#questions
    const askedAt = this.#clock.now()
    const keys = await importKeys((await platform.keys()).keys)
    // One that a later question overtook would bring back what that one no longer found.
    if (number < this.#answered) return
    this.#keys = keys
    this.#askedAt = askedAt
    this.#answered = number
  }

  #mayAskExtra(): boolean {
    const now = this.#clock.now()
    if (now - this.#extraSince >= KEYS_MAX_AGE_MS) {
      this.#extraSince = now
      this.#extraQuestions = 0
    }
    return ++this.#extraQuestions <= EXTRA_KEY_QUESTIONS
  }
}

/**
 * Keys that are not exactly ES256 public keys with a `kid` of their own, or cannot be imported, are left out; a `kid` that occurs twice is trusted in neither.
 * Rejects when none can be used because of what they hold: such a set says of no key that it is not trusted any more.
 */
async function importKeys(jwks: readonly JsonWebKey[]): Promise<ReadonlyMap<string, CryptoKey>> {
  const imported = new Map<string, CryptoKey>()
  const named = new Set<string>()
  const twice = new Set<string>()
  let fault: unknown
  for (const jwk of jwks) {
    if (!isRecord(jwk)) continue
    const { kty, crv, x, y, d, alg = PASSPORT_ALG, use = "sig", kid } = jwk
    if (kty !== "EC" || crv !== "P-256" || alg !== PASSPORT_ALG || use !== "sig" || d !== undefined) continue
    if (typeof kid !== "string" || kid === "" || x === undefined || y === undefined) continue
    if (named.has(kid)) twice.add(kid)
    named.add(kid)
    try {
      const publicKey = { kty, crv, x, y } as JsonWebKey
      const algorithm = { name: "ECDSA", namedCurve: "P-256" }
      imported.set(kid, await crypto.subtle.importKey("jwk", publicKey, algorithm, false, ["verify"]))
    } catch (cause) {
      fault = cause
    }
  }
  if (imported.size === 0 && fault !== undefined) throw fault
  for (const kid of twice) imported.delete(kid)
  return imported
}

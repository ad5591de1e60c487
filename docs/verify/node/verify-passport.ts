/**
 * Checks the passport of a request, with node:crypto alone. Copy this file into a backend; it imports nothing else. Runs as it stands on Node 22.18 or newer,
 * and compiled on older ones. The rules, and vectors to try a change with, are in docs/verify.
 *
 * ```ts
 * const verify = passportVerifier({
 *   issuer: "https://passports.example.com",
 *   audience: "cell:us01",
 *   keySetUrl: "https://api.example.com/.well-known/jwks.json",
 * })
 * const verdict = await verify(request.headers["x-passport"])
 * if (!verdict.ok) return response.writeHead(401).end()
 * ```
 */
import { createPublicKey, type JsonWebKey, type KeyObject, verify } from "node:crypto"

const ALGORITHM = "ES256"
const PASSPORT_TYPE = "passport+jwt"
/** Characters; longer ones are refused before any work is done. */
const MAX_LENGTH = 8_192
/** Seconds of clock difference that are tolerated. */
const SKEW_S = 5
/** A passport lives at most this long, so one that claims more was not made by the gateway. */
const MAX_LIFETIME_S = 60
/** Milliseconds after which the key set is read again, and for which one request may take. */
const KEYS_MAX_AGE_MS = 5 * 60_000
const KEYS_TIMEOUT_MS = 5_000
/** An unknown key id makes us look again, but not before this has passed since the last look ended: anybody can invent key ids. */
const KEYS_MIN_INTERVAL_MS = 2_000

export interface VerifierOptions {
  /** Expected `iss`. */
  readonly issuer: string
  /** Expected `aud`, such as `cell:us01`. */
  readonly audience: string
  /** The gateway's key set; /.well-known/jwks.json on every hostname of it. */
  readonly keySetUrl: string
  /** Gives the key set's text; default `fetch`. */
  readonly readKeySet?: () => Promise<string>
  /** `txntoken+jwt` for an audience that gets Transaction Tokens; default `passport+jwt`. */
  readonly type?: string
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** Milliseconds since any moment, by a clock that nobody sets: the age of the keys goes by it. */
  readonly monotonicMs?: () => number
}

export type Claims = Readonly<Record<string, unknown>>
/** `reason` is for your log; a caller learns nothing but 401. */
export type Verdict = { readonly ok: true; readonly claims: Claims } | { readonly ok: false; readonly reason: string }

/** A verifier with a key cache of its own: make one and keep it. */
export function passportVerifier(
  options: VerifierOptions,
): (token: string | readonly string[] | undefined) => Promise<Verdict> {
  const now = options.now ?? Date.now
  const keyOf = keyCache(options)

  return async (token) => {
    if (token === undefined) return refused("no passport")
    // Node joins repeated headers with a comma, which no token holds.
    if (typeof token !== "string" || token.includes(",")) return refused("more than one passport")
    const parts = token.split(".")
    const [head = "", body = "", signature = ""] = parts
    if (token.length > MAX_LENGTH || parts.length !== 3 || !parts.every(isCanonical)) return refused("not a JWT")
    const header = parseObject(head)
    const claims = parseObject(body)
    if (header === null || claims === null) return refused("not a JWT")
    const fault = headerFault(header, options.type ?? PASSPORT_TYPE)
    if (fault !== null) return refused(fault)

    const key = await keyOf(String(header.kid))
    if (key === null) return refused("unknown key")
    const bytes = Buffer.from(signature, "base64url")
    const signed = Buffer.from(`${head}.${body}`)
    if (bytes.length !== 64 || !verify("sha256", signed, { key, dsaEncoding: "ieee-p1363" }, bytes))
      return refused("bad signature")

    const wrong = claimsFault(claims, options, Math.floor(now() / 1000))
    return wrong === null ? { ok: true, claims } : refused(wrong)
  }
}

function headerFault(header: Claims, type: string): string | null {
  if (header.alg !== ALGORITHM) return "another algorithm"
  if (header.typ !== type) return "another type of token"
  if (typeof header.kid !== "string" || header.kid === "") return "no key id"
  // These three and nothing else: no `crit`, `jku`, `jwk` or `x5u` is even looked at.
  return Object.keys(header).length === 3 ? null : "unexpected header"
}

function claimsFault(
  claims: Claims,
  expected: { readonly issuer: string; readonly audience: string },
  nowS: number,
): string | null {
  const { iss, aud, iat, nbf, exp, sub } = claims
  if (iss !== expected.issuer) return "another issuer"
  if (aud !== expected.audience) return "made for another audience"
  if (typeof sub !== "string" || sub === "") return "no subject"
  if (!isSeconds(iat) || !isSeconds(nbf) || !isSeconds(exp)) return "no times"
  if (exp <= nowS - SKEW_S) return "expired"
  if (iat > nowS + SKEW_S || nbf > nowS + SKEW_S) return "not yet valid"
  return exp - iat > MAX_LIFETIME_S ? "lives too long" : null
}

/** One request reads, and whose key is held does not wait for it. */
function keyCache(options: VerifierOptions): (kid: string) => Promise<KeyObject | null> {
  const now = options.monotonicMs ?? (() => performance.now())
  let keys: ReadonlyMap<string, KeyObject> = new Map()
  /** When the last read ended, whatever came of it. */
  let readAt = Number.NEGATIVE_INFINITY
  let reading: Promise<void> | null = null

  const read = async () => {
    try {
      keys = importKeys(await (options.readKeySet ?? (() => fetchText(options.keySetUrl)))())
    } catch {
      // The keys we have stay good; a backend that has none refuses everything until the gateway answers.
    }
  }
  return async (kid) => {
    const age = now() - readAt
    const isHeld = keys.has(kid)
    const isDue = age > (isHeld ? KEYS_MAX_AGE_MS : KEYS_MIN_INTERVAL_MS)
    if (reading === null ? isDue : !isHeld) {
      reading ??= read().finally(() => {
        readAt = now()
        reading = null
      })
      await reading
    }
    return keys.get(kid) ?? null
  }
}

/** Keys that are not exactly ES256 public keys are left out, and so are those that cannot be read; a `kid` that occurs twice is trusted in neither. */
function importKeys(text: string): Map<string, KeyObject> {
  const { keys } = JSON.parse(text) as {
    keys: ((JsonWebKey & { kid?: unknown; alg?: unknown; use?: unknown }) | null)[]
  }
  const imported = new Map<string, KeyObject>()
  const seen = new Set<string>()
  for (const each of keys) {
    const { kty, crv, x, y, d, kid, alg = ALGORITHM, use = "sig" } = each ?? {}
    if (kty !== "EC" || crv !== "P-256" || alg !== ALGORITHM || use !== "sig" || d !== undefined) continue
    if (typeof kid !== "string" || kid === "") continue
    const key = seen.has(kid) ? null : importKey({ kty, crv, x, y } as JsonWebKey)
    seen.add(kid)
    if (key === null) imported.delete(kid)
    else imported.set(kid, key)
  }
  return imported
}

/** Null for what is no point on the curve: one such key is no reason to do without the others. */
function importKey(key: JsonWebKey): KeyObject | null {
  try {
    return createPublicKey({ key, format: "jwk" })
  } catch {
    return null
  }
}

async function fetchText(url: string): Promise<string> {
  const response = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(KEYS_TIMEOUT_MS) })
  if (!response.ok) throw new Error(`The key set answered ${response.status}`)
  return response.text()
}

function refused(reason: string): Verdict {
  return { ok: false, reason }
}

/** The one spelling of some bytes (RFC 4648 §3.5): Node reads others too, and then one token would have many. */
function isCanonical(part: string): boolean {
  return part !== "" && Buffer.from(part, "base64url").toString("base64url") === part
}

/** Whole seconds since the epoch. */
function isSeconds(value: unknown): value is number {
  return Number.isSafeInteger(value)
}

function parseObject(part: string): Claims | null {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(part, "base64url"))
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Claims) : null
  } catch {
    return null
  }
}

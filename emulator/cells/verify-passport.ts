/**
 * How an origin checks a passport: written against the description of the passport alone, with node:crypto, and importing
 * nothing of the gateway, so that it proves what any backend in any language can do. A cell trusts nothing else in a request.
 */
import { createPublicKey, type JsonWebKey, type KeyObject, verify } from "node:crypto"
import http from "node:http"

const HEADER = "x-passport"
const ALGORITHM = "ES256"
const TYPE = "passport+jwt"
/** Seconds of clock difference that are tolerated. */
const SKEW_S = 5
/** A passport lives at most this long, so one that claims more was not made by the gateway. */
const MAX_LIFETIME_S = 60
/** Milliseconds after which the key set is read again. */
const KEYS_MAX_AGE_MS = 5 * 60_000
/** An unknown key id makes us look again, but no oftener than this: anybody can invent key ids. */
const KEYS_MIN_INTERVAL_MS = 2_000

export interface VerifierOptions {
  /** Expected `iss`. */
  readonly issuer: string
  /** Expected `aud`, such as `cell:us01`. */
  readonly audience: string
  /** Where the edge listens; its key set is at /.well-known/jwks.json on every hostname. */
  readonly edgeUrl: string
  /** A hostname of the edge, sent as Host. */
  readonly hostname: string
  readonly now?: () => number
}

export type Verdict =
  | { readonly ok: true; readonly claims: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly reason: string }

/** A verifier with a key cache of its own. Its verdict's `reason` is for the cell's log and, as this is an example, for its answer. */
export function passportVerifier(options: VerifierOptions): (headers: http.IncomingHttpHeaders) => Promise<Verdict> {
  const now = options.now ?? Date.now
  const keyOf = keyCache(options, now)

  return async (headers) => {
    const token = headers[HEADER]
    if (token === undefined) return refused("no passport")
    // node joins repeated headers with a comma; no token holds one.
    if (Array.isArray(token) || token.includes(",")) return refused("more than one passport")
    const parts = token.split(".")
    const [head, body, signature] = parts
    if (parts.length !== 3 || !head || !body || !signature) return refused("not a JWT")
    const header = parseJson(head)
    const claims = parseJson(body)
    if (header === null || claims === null) return refused("not a JWT")
    if (header.alg !== ALGORITHM) return refused("another algorithm")
    if (header.typ !== TYPE) return refused("another type of token")
    if ("crit" in header) return refused("critical headers are not understood")
    if (typeof header.kid !== "string") return refused("no key id")

    const key = await keyOf(header.kid)
    if (key === null) return refused("unknown key")
    const signed = Buffer.from(`${head}.${body}`)
    const bytes = Buffer.from(signature, "base64url")
    if (bytes.length !== 64 || !verify("sha256", signed, { key, dsaEncoding: "ieee-p1363" }, bytes))
      return refused("bad signature")

    const fault = claimsFault(claims, options, Math.floor(now() / 1000))
    return fault === null ? { ok: true, claims } : refused(fault)
  }
}

function claimsFault(
  claims: Readonly<Record<string, unknown>>,
  expected: { readonly issuer: string; readonly audience: string },
  nowS: number,
): string | null {
  const { iss, aud, iat, nbf, exp, sub } = claims
  if (iss !== expected.issuer) return "another issuer"
  if (aud !== expected.audience) return "made for another audience"
  if (typeof sub !== "string" || sub === "") return "no subject"
  if (!Number.isInteger(exp) || !Number.isInteger(iat)) return "no times"
  if (Number(exp) <= nowS - SKEW_S) return "expired"
  if (Number(iat) > nowS + SKEW_S || (nbf !== undefined && !(Number(nbf) <= nowS + SKEW_S))) return "not yet valid"
  if (Number(exp) - Number(iat) > MAX_LIFETIME_S) return "lives too long"
  return null
}

function keyCache(options: VerifierOptions, now: () => number): (kid: string) => Promise<KeyObject | null> {
  let keys: ReadonlyMap<string, KeyObject> = new Map()
  let readAt = Number.NEGATIVE_INFINITY
  let reading: Promise<void> | null = null

  const read = async () => {
    readAt = now()
    try {
      keys = await fetchKeys(options)
    } catch {
      // The keys we have stay good; a cell that has none refuses everything until the edge answers.
    }
  }
  return async (kid) => {
    const age = now() - readAt
    if (age > KEYS_MAX_AGE_MS || (!keys.has(kid) && (age > KEYS_MIN_INTERVAL_MS || reading !== null))) {
      reading ??= read().finally(() => {
        reading = null
      })
      await reading
    }
    return keys.get(kid) ?? null
  }
}

async function fetchKeys(options: VerifierOptions): Promise<Map<string, KeyObject>> {
  const text = await getText(new URL("/.well-known/jwks.json", options.edgeUrl), options.hostname)
  const { keys } = JSON.parse(text) as { keys: (JsonWebKey & { kid?: unknown; alg?: unknown })[] }
  const usable = keys.filter((key) => key.kty === "EC" && key.crv === "P-256" && typeof key.kid === "string")
  return new Map(usable.map((key) => [String(key.kid), createPublicKey({ key, format: "jwk" })]))
}

/** Node's `fetch` does not let one set Host, and the edge tells hostnames apart by it. */
async function getText(url: URL, hostname: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { headers: { host: hostname }, timeout: 5_000 }, (response) => {
      const chunks: Buffer[] = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.once("error", reject)
      response.once("end", () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString("utf8"))
        else reject(new Error(`The key set answered ${response.statusCode}`))
      })
    })
    request.once("timeout", () => request.destroy(new Error("The key set did not answer")))
    request.once("error", reject)
  })
}

function refused(reason: string): Verdict {
  return { ok: false, reason }
}

function parseJson(part: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"))
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}

/**
 * What a passport says and whether it is good, in words: for whoever wonders why a backend refuses. Looks at every rule and tells all that are broken, where a verifier
 * stops at the first; so this is not a verifier (docs/verify has those). Pure but for WebCrypto; nothing that it gives holds the signature.
 */
import { isCanonicalCompactJws } from "../contracts/compact-jws.ts"
import {
  type Actor,
  PASSPORT_ALG,
  PASSPORT_LIFETIME_S,
  PASSPORT_MAX_SKEW_S,
  PASSPORT_TYP,
  TXN_TOKEN_TYP,
} from "../contracts/passport.ts"

export interface Inspection {
  readonly valid: boolean
  /** Why not; empty when it is valid. */
  readonly faults: readonly string[]
  readonly header: Readonly<Record<string, unknown>> | null
  readonly claims: Readonly<Record<string, unknown>> | null
  /** Until `exp`, without tolerance; negative when that is over, null without one. */
  readonly secondsLeft: number | null
}

const KINDS: Readonly<Record<string, string>> = { [PASSPORT_TYP]: "a passport", [TXN_TOKEN_TYP]: "a Transaction Token" }

/** `keys`: those of the edge's key set. */
export async function inspectPassport(
  token: string,
  keys: readonly (JsonWebKey & { readonly kid?: string })[],
  nowS: number,
): Promise<Inspection> {
  const [head = "", body = "", signature = ""] = token.split(".")
  const header = jsonOf(head)
  const claims = jsonOf(body)
  if (header === null || claims === null || token.split(".").length !== 3)
    return {
      valid: false,
      faults: ["It is no JWT: three parts are needed, joined by dots."],
      header,
      claims,
      secondsLeft: null,
    }
  const faults = [
    ...(isCanonicalCompactJws(token) ? [] : ["It is not written in canonical base64url."]),
    ...headerFaults(header),
    ...(await signatureFaults(`${head}.${body}`, signature, header.kid, keys)),
    ...claimFaults(claims, nowS),
  ]
  const secondsLeft = typeof claims.exp === "number" ? Math.round(claims.exp - nowS) : null
  return { valid: faults.length === 0, faults, header, claims, secondsLeft }
}

function headerFaults(header: Readonly<Record<string, unknown>>): string[] {
  const faults: string[] = []
  if (header.alg !== PASSPORT_ALG)
    faults.push(`Its algorithm is ${shown(header.alg)}; only ${PASSPORT_ALG} is accepted.`)
  if (header.typ !== PASSPORT_TYP && header.typ !== TXN_TOKEN_TYP)
    faults.push(`Its type is ${shown(header.typ)}, which is no ${PASSPORT_TYP}.`)
  const more = Object.keys(header).filter((name) => !["alg", "typ", "kid"].includes(name))
  if (more.length > 0) faults.push(`Its header names ${more.join(", ")}, which no passport does.`)
  return faults
}

async function signatureFaults(
  signed: string,
  signature: string,
  kid: unknown,
  keys: readonly (JsonWebKey & { readonly kid?: string })[],
): Promise<string[]> {
  const found = keys.filter((key) => key.kid === kid)
  const [jwk] = found
  const names = keys.map((key) => key.kid).join(", ") || "nothing"
  if (typeof kid !== "string" || jwk === undefined)
    return [
      `The edge publishes no key ${shown(kid)}; it publishes ${names}. The key may be retired, or another edge's.`,
    ]
  if (found.length > 1) return [`The key set names ${shown(kid)} twice; neither is trusted.`]
  try {
    const { kty, crv, x, y } = jwk
    if (kty === undefined || crv === undefined || x === undefined || y === undefined) throw new TypeError("no EC key")
    const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }
    const key = await crypto.subtle.importKey("jwk", { kty, crv, x, y }, algorithm, false, ["verify"])
    const isGenuine = await crypto.subtle.verify(
      algorithm,
      key,
      Buffer.from(signature, "base64url"),
      Buffer.from(signed),
    )
    return isGenuine ? [] : [`Its signature is not by ${shown(kid)}: it was changed, or made by somebody else.`]
  } catch {
    return [`The key ${shown(kid)} of the key set cannot be used.`]
  }
}

function claimFaults(claims: Readonly<Record<string, unknown>>, nowS: number): string[] {
  const { iss, aud, sub, iat, nbf = iat, exp } = claims
  const faults: string[] = []
  for (const [name, value] of Object.entries({ iss, aud, sub }))
    if (typeof value !== "string" || value === "") faults.push(`Its ${name} is ${shown(value)}; it must be one text.`)
  if (![iat, nbf, exp].every(Number.isInteger)) return [...faults, "Its iat, nbf and exp are not all whole seconds."]
  const [from, until] = [Math.max(Number(iat), Number(nbf)), Number(exp)]
  if (nowS >= until + PASSPORT_MAX_SKEW_S) faults.push(`It expired ${duration(nowS - until)} ago.`)
  if (from > nowS + PASSPORT_MAX_SKEW_S)
    faults.push(`It is good only in ${duration(from - nowS)}: some clock is wrong.`)
  if (until - Number(iat) > PASSPORT_LIFETIME_S)
    faults.push(`It lives ${until - Number(iat)} s; no passport lives longer than ${PASSPORT_LIFETIME_S}.`)
  return faults
}

/** Name → sentence, in the order of reading. A claim that is not known is shown as it is. */
export function inWords({ header, claims, secondsLeft }: Inspection, nowS: number): Record<string, string> {
  if (header === null || claims === null) return {}
  const { iss, aud, sub, iat, nbf: _nbf, exp: _exp, jti, txn, scope, req_wl, rctx, tctx, facts, ...direct } = claims
  const decided = { ...recordOf(tctx), ...direct }
  const { kind, idp, company, companies, sid, auth_time, level, zone, route, host, act, hops, ...unknown } = decided
  const words: Record<string, unknown> = {
    "what it is": KINDS[String(header.typ)] ?? "neither a passport nor a Transaction Token",
    "signed with": header.kid,
    "made by": iss,
    "made for": `${shown(aud)}, and nobody else`,
    "time left": timeLeft(secondsLeft, iat, nowS),
    "who calls": `${shown(sub)}${kind === undefined ? "" : `, ${shown(kind)}`}${idp === undefined ? "" : `, known by ${shown(idp)}`}`,
    company,
    "member of": Array.isArray(companies) ? companies.join(", ") || "none" : companies,
    scopes: scope === "" ? undefined : scope,
    session: sid,
    "proved it": typeof auth_time === "number" ? `${duration(nowS - auth_time)} ago` : auth_time,
    level: level === undefined ? undefined : `${shown(level)} of 3`,
    "came in": host === undefined && route === undefined ? undefined : `at ${shown(host)} by the route ${shown(route)}`,
    zone,
    "passed on": passedOn(act, hops),
    "asked for by": req_wl,
    from: fromOf(facts ?? rctx),
    id: jti,
    transaction: txn === jti ? undefined : txn,
    ...unknown,
  }
  const said = Object.entries(words).filter(([, value]) => value !== undefined)
  return Object.fromEntries(said.map(([name, value]) => [name, typeof value === "string" ? value : shown(value)]))
}

function timeLeft(secondsLeft: number | null, iat: unknown, nowS: number): string {
  const made = typeof iat === "number" ? `, made ${duration(nowS - iat)} ago` : ""
  if (secondsLeft === null) return "it says no end"
  return secondsLeft > 0 ? `${duration(secondsLeft)}${made}` : `none, it ended ${duration(-secondsLeft)} ago${made}`
}

function passedOn(act: unknown, hops: unknown): string | undefined {
  const chain: string[] = []
  for (let actor = act as Actor | undefined; actor !== undefined && chain.length < 10; actor = actor.act)
    chain.unshift(shown(actor.sub))
  if (chain.length === 0) return hops === undefined ? undefined : "not at all: straight from the entrance"
  return `${chain.join(", then by ")} (${shown(hops)} dispatches after the first)`
}

function fromOf(facts: unknown): string | undefined {
  const known = Object.entries(recordOf(facts)).filter(([, value]) => value !== null)
  return known.length === 0 ? undefined : known.map(([name, value]) => `${name} ${shown(value)}`).join(", ")
}

function duration(seconds: number): string {
  const s = Math.round(seconds)
  if (Math.abs(s) < 120) return `${s} s`
  return Math.abs(s) < 7200 ? `${Math.round(s / 60)} minutes` : `${Math.round(s / 3600)} hours`
}

function shown(value: unknown): string {
  if (value === undefined) return "none"
  return typeof value === "string" ? value : JSON.stringify(value)
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {}
}

function jsonOf(part: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"))
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : null
  } catch {
    return null
  }
}

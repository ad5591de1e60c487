/**
 * One look at where an issuer publishes its keys: bounded in time and size, no redirect followed, and what came held against the contract before anybody believes it.
 * @see RFC 7517 §5; RFC 8725 §3.10 (whoever fetches keys names the place itself)
 */

import type { IssuerConfig } from "../../../contracts/dispatch-config.ts"
import { isRecord } from "../../../contracts/is-record.ts"
import { publicJwk, publicKeySet } from "../../../contracts/public-jwk.ts"
import { boundedText } from "../../../kit/bounded-text.ts"

export const LOOK_LIMIT_MS = 5_000
export const MAX_KEY_SET_BYTES = 256 * 1024

/** Any of these in a public key set says that somebody has published a secret: no key of it is to be believed. */
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] as const
/** All that a key is verified with. The rest, such as certificates, would only fill the config. */
const KEPT_MEMBERS = ["kty", "kid", "use", "alg", "crv", "x", "y", "n", "e"] as const

export type KeySetResult =
  | { readonly ok: true; readonly jwks: IssuerConfig["jwks"] }
  | {
      readonly ok: false
      /** A few words for the status; nothing of what the issuer sent. */
      readonly fault: string
    }

/** Never throws. `limitMs` is for the whole look, body included. */
export async function readKeySet(uri: string, fetcher: typeof fetch, limitMs = LOOK_LIMIT_MS): Promise<KeySetResult> {
  const signal = AbortSignal.timeout(limitMs)
  try {
    const response = await fetcher(uri, {
      redirect: "manual",
      headers: { accept: "application/jwk-set+json, application/json" },
      signal,
    })
    if (response.status !== 200) {
      await response.body?.cancel()
      return fault(`answered ${response.status}`)
    }
    const text = await boundedText(response, MAX_KEY_SET_BYTES)
    return text === null ? fault("is larger than 256 KiB or no text") : await parseKeySet(text)
  } catch (failure) {
    const isLate = signal.aborted || (failure instanceof Error && failure.name === "TimeoutError")
    return fault(isLate ? `gave no answer within ${limitMs / 1000} s` : "cannot be reached")
  }
}

/** The keys that the gateway can verify with, by `kid`. Keys for other uses and of other kinds are left out, as RFC 7517 §5 says; without one left the set is none. */
async function parseKeySet(text: string): Promise<KeySetResult> {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    return fault("is not JSON")
  }
  if (!isRecord(document) || !Array.isArray(document.keys)) return fault("is no key set")
  const keys = document.keys.filter(isRecord)
  if (keys.some((key) => PRIVATE_MEMBERS.some((name) => Object.hasOwn(key, name)))) return fault("holds a secret key")
  const usable = keys.map(kept).filter((key) => publicJwk.safeParse(key).success)
  const parsed = publicKeySet.safeParse({ keys: usable.sort((a, b) => (String(a.kid) < String(b.kid) ? -1 : 1)) })
  if (!parsed.success) return fault(usable.length === 0 ? "holds no usable key" : "holds too many keys, or a kid twice")
  for (const key of parsed.data.keys) if (!(await canBeImported(key))) return fault("holds a key that is none")
  return { ok: true, jwks: parsed.data }
}

function kept(key: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(KEPT_MEMBERS.filter((name) => Object.hasOwn(key, name)).map((name) => [name, key[name]]))
}

const ALGORITHMS = {
  EC: { name: "ECDSA", namedCurve: "P-256" },
  OKP: { name: "Ed25519" },
  RSA: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
} as const

/** A point that is not on its curve looks like any other. */
async function canBeImported(key: IssuerConfig["jwks"]["keys"][number]): Promise<boolean> {
  try {
    const { use: _use, alg: _alg, kid: _kid, ...numbers } = key
    await crypto.subtle.importKey("jwk", numbers as JsonWebKey, ALGORITHMS[key.kty], false, ["verify"])
    return true
  } catch {
    return false
  }
}

function fault(what: string): { readonly ok: false; readonly fault: string } {
  return { ok: false, fault: what }
}

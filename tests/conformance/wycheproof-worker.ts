/** Runs where tokens and cookies are verified, in workerd, and verifies with the very functions that do it there. Bundled and started by wycheproof.test.ts. */
import { compactVerify, decodeProtectedHeader, importJWK } from "jose"
import { isCanonicalCompactJws } from "../../contracts/compact-jws.ts"
import { publicKeySet } from "../../contracts/public-jwk.ts"
import { IssuerRegistry } from "../../dispatcher/src/identity/issuers.ts"
import { isAcceptableHeader, verifyBearer } from "../../dispatcher/src/identity/verify-bearer.ts"
import { importHmacKeys, parseHmacKeys, verifyHmac } from "../../kit/hmac-keys.ts"
import { hmacUrl } from "../../kit/hmac-url.ts"

export interface Asked {
  readonly jws?: { readonly token: string; readonly keys: readonly JsonWebKey[] }
  /** Bytes in hex. */
  readonly ecdsa?: { readonly jwk: JsonWebKey; readonly message: string; readonly signature: string }
  readonly hmac?: { readonly key: string; readonly message: string; readonly tag: string }
}
/** `refused-key`: not even published or taken for a key. */
export type Verdict = "accepted" | "refused" | "refused-key"

export default {
  async fetch(request: Request): Promise<Response> {
    const asked = (await request.json()) as Asked[]
    return Response.json(await Promise.all(asked.map(verdictOf)))
  },
}

async function verdictOf({ jws, ecdsa, hmac }: Asked): Promise<Verdict> {
  if (jws !== undefined) return ofJws(jws)
  if (ecdsa !== undefined) return ofEcdsa(ecdsa)
  if (hmac !== undefined) return ofHmac(hmac)
  throw new Error("nothing was asked")
}

/** As a bearer token is verified up to its claims, which no vector has: form, header, signature. And whole, which must then fail. */
async function ofJws({ token, keys }: NonNullable<Asked["jws"]>): Promise<Verdict> {
  const parsed = publicKeySet.safeParse({ keys })
  if (!parsed.success) return "refused-key"
  const algorithms: ("ES256" | "EdDSA" | "RS256")[] = ["ES256", "EdDSA", "RS256"]
  const config = { issuer: "i", audiences: ["a"], algorithms, jwks: parsed.data, kind: "user" as const, clockSkewS: 60 }
  const issuer = new IssuerRegistry().prepare({ idp: config }).get("idp")
  if (issuer === undefined) throw new Error("the issuer was just prepared")
  const whole = await verifyBearer(token, [issuer], Date.now())
  if (whole.ok) throw new Error("a vector without claims was taken for a token")
  try {
    if (!isCanonicalCompactJws(token) || !isAcceptableHeader(decodeProtectedHeader(token))) return "refused"
    await compactVerify(token, issuer.keys, { algorithms })
    return "accepted"
  } catch {
    return "refused"
  }
}

/** As jose verifies ES256, tokens' and passports'. */
async function ofEcdsa({ jwk, message, signature }: NonNullable<Asked["ecdsa"]>): Promise<Verdict> {
  const parsed = publicKeySet.safeParse({ keys: [{ ...jwk, kid: "k" }] })
  if (!parsed.success) return "refused-key"
  const key = await importJWK(parsed.data.keys[0] as JsonWebKey, "ES256")
  const algorithm = { name: "ECDSA", hash: "SHA-256" }
  const isGenuine = await crypto.subtle.verify(algorithm, key as CryptoKey, bytesOf(signature), bytesOf(message))
  return isGenuine ? "accepted" : "refused"
}

/** As session cookies and signed URLs are verified. */
async function ofHmac({ key, message, tag }: NonNullable<Asked["hmac"]>): Promise<Verdict> {
  const text = base64url(bytesOf(key))
  try {
    hmacUrl({ keys: text, parameters: ["expires_at"] })
  } catch {
    return "refused-key"
  }
  const keys = await importHmacKeys(parseHmacKeys(text))
  return (await verifyHmac(keys, bytesOf(tag), bytesOf(message))) ? "accepted" : "refused"
}

function bytesOf(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "")
}

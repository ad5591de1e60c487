/**
 * Signs whatever it is told to: tokens with any header, any payload, any key, or none. No token library, because those refuse to lie.
 * Used by the hostile provider and by the attacks; nothing of the product imports it.
 */
import { createHmac, generateKeyPairSync, type JsonWebKey, type KeyObject, sign as signWith } from "node:crypto"

export interface ForgeKey {
  readonly kid: string
  readonly alg: "ES256" | "RS256" | "EdDSA"
  readonly privateKey: KeyObject
  readonly publicJwk: JsonWebKey & { readonly kid: string; readonly alg: string; readonly use: "sig" }
}

/** A key pair; `kid` and `alg` stand in its public part. */
export function makeForgeKey(kid: string, alg: ForgeKey["alg"] = "ES256"): ForgeKey {
  const pair = pairOf(alg)
  const publicJwk = { ...pair.publicKey.export({ format: "jwk" }), kid, alg, use: "sig" as const }
  return { kid, alg, privateKey: pair.privateKey, publicJwk }
}

function pairOf(alg: ForgeKey["alg"]) {
  if (alg === "ES256") return generateKeyPairSync("ec", { namedCurve: "P-256" })
  return alg === "EdDSA" ? generateKeyPairSync("ed25519") : generateKeyPairSync("rsa", { modulusLength: 2048 })
}

/** Text stands as it is, so that a member may be there twice. */
export type Json = Readonly<Record<string, unknown>> | string

/** A compact JWS by this key, whatever the header says of it. */
export function forge(header: Json, payload: Json, key: ForgeKey): string {
  const signed = `${encode(header)}.${encode(payload)}`
  return `${signed}.${signatureOf(signed, key).toString("base64url")}`
}

/** HMAC-SHA256 with any bytes as its secret: the client's, or a public key as the text that it was published in. */
export function forgeHs256(header: Json, payload: Json, secret: string | Uint8Array): string {
  const signed = `${encode(header)}.${encode(payload)}`
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`
}

/** RFC 7519 §6: header, payload, nothing. */
export function forgeUnsigned(header: Json, payload: Json): string {
  return `${encode(header)}.${encode(payload)}.`
}

/** The same token with bit `bit` of its signature flipped. */
export function flipSignatureBit(token: string, bit = 0): string {
  const [header, payload, signature = ""] = token.split(".")
  const bytes = Buffer.from(signature, "base64url")
  const at = Math.floor(bit / 8) % bytes.length
  bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit % 8))
  return `${header}.${payload}.${bytes.toString("base64url")}`
}

function signatureOf(signed: string, { alg, privateKey }: ForgeKey): Buffer {
  const bytes = Buffer.from(signed)
  if (alg === "EdDSA") return signWith(null, bytes, privateKey)
  return alg === "ES256"
    ? signWith("sha256", bytes, { key: privateKey, dsaEncoding: "ieee-p1363" })
    : signWith("sha256", bytes, privateKey)
}

function encode(json: Json): string {
  return Buffer.from(typeof json === "string" ? json : JSON.stringify(json)).toString("base64url")
}

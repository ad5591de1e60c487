/**
 * Writes docs/verify/vectors.json: `node scripts/write-verify-vectors.ts`. The same bytes each time: test keys are made from their names and signatures from what they sign,
 * so that a change of the vectors shows as one. A test holds the file to what this makes.
 */
import { createECDH, createHash, createHmac, createPrivateKey, type JsonWebKey, sign as signEd25519 } from "node:crypto"
import { writeFileSync } from "node:fs"
import path from "node:path"

const NOW = 1_800_000_000
const ISSUER = "https://passports.example.com"
const AUDIENCE = "cell:us01"

interface Curve {
  readonly name: "prime256v1" | "secp384r1"
  readonly crv: "P-256" | "P-384"
  readonly hash: "sha256" | "sha384"
  readonly bytes: number
  readonly order: bigint
}
const P256: Curve = {
  ...({ name: "prime256v1", crv: "P-256", hash: "sha256", bytes: 32 } as const),
  order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
}
const P384: Curve = {
  ...({ name: "secp384r1", crv: "P-384", hash: "sha384", bytes: 48 } as const),
  order: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
}

interface TestKey {
  readonly kid: string
  readonly curve: Curve
  readonly d: bigint
  readonly jwk: JsonWebKey & { readonly kid: string }
}

/** Known to everybody who reads this file; a key set that holds one accepts anything from anybody. */
function testKey(kid: string, curve = P256): TestKey {
  const seed = createHash("sha512").update(`Sallyport verify vectors, key ${kid}: FOR TESTS ONLY`).digest()
  const d = (numberOf(seed) % (curve.order - 1n)) + 1n
  const point = multiply(curve, d)
  const [x, y] = [point.subarray(1, 1 + curve.bytes), point.subarray(1 + curve.bytes)]
  const alg = curve === P256 ? "ES256" : "ES384"
  const jwk = {
    kty: "EC",
    crv: curve.crv,
    kid,
    x: x.toString("base64url"),
    y: y.toString("base64url"),
    alg,
    use: "sig",
  }
  return { kid, curve, d, jwk }
}

/** d·G, uncompressed. */
function multiply(curve: Curve, scalar: bigint): Buffer {
  const ecdh = createECDH(curve.name)
  ecdh.setPrivateKey(bytesOf(scalar, curve.bytes))
  return ecdh.getPublicKey()
}

/** ECDSA with a nonce made from key and message, as r and s side by side (RFC 7518 §3.4). */
function signEcdsa({ curve, d }: TestKey, message: string): Buffer {
  const { order, bytes, hash } = curve
  const nonce = createHmac("sha512", bytesOf(d, bytes)).update(message).digest()
  const k = (numberOf(nonce) % (order - 1n)) + 1n
  const r = numberOf(multiply(curve, k).subarray(1, 1 + bytes)) % order
  const z = numberOf(createHash(hash).update(message).digest())
  const s = (inverse(k, order) * (z + r * d)) % order
  return Buffer.concat([bytesOf(r, bytes), bytesOf(s, bytes)])
}

/** By Fermat: the order is prime. */
function inverse(value: bigint, order: bigint): bigint {
  let [result, base, exponent] = [1n, value % order, order - 2n]
  for (; exponent > 0n; exponent >>= 1n) {
    if ((exponent & 1n) === 1n) result = (result * base) % order
    base = (base * base) % order
  }
  return result
}

const numberOf = (bytes: Buffer) => BigInt(`0x${bytes.toString("hex")}`)
const bytesOf = (value: bigint, length: number) => Buffer.from(value.toString(16).padStart(2 * length, "0"), "hex")
const encode = (value: object | string) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url")

const current = testKey("current")
const next = testKey("next")
const retired = testKey("retired")
const stranger = testKey("stranger")
const wide = testKey("wide", P384)

const claims = {
  ...{
    iss: ISSUER,
    aud: AUDIENCE,
    sub: "alice",
    iat: NOW,
    nbf: NOW,
    exp: NOW + 60,
    jti: "f2c1d6be-0000-4000-8000-000000000001",
  },
  ...{ kind: "user", idp: "example-idp", scope: "projects:read", company: "9007199254740993", zone: "us01" },
  ...{ route: "rest", host: "api.example.com", act: { sub: "script:gateway" }, hops: 1 },
  facts: { ip: "203.0.113.7", country: "GB", colo: "LHR", asn: 64500, tls: "TLSv1.3", bot: null },
}

interface Made {
  /** Replaces claims; undefined takes one away. */
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
  readonly key?: TestKey
  /** The claims' exact text. */
  readonly body?: string
}

function token({ claims: changed = {}, header = {}, key = current, body }: Made = {}): string {
  const head = encode({ alg: "ES256", typ: "passport+jwt", kid: key.kid, ...header })
  const signed = `${head}.${encode(body ?? { ...claims, ...changed })}`
  return `${signed}.${signEcdsa(key, signed).toString("base64url")}`
}

/** r and s as ASN.1, the way OpenSSL gives them. */
function derToken(): string {
  const [head = "", body = "", signature = ""] = token().split(".")
  const raw = Buffer.from(signature, "base64url")
  const integer = (bytes: Buffer) => {
    const from = bytes.findIndex((byte) => byte !== 0)
    const lean = bytes.subarray(from)
    const padded = (lean[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), lean]) : lean
    return Buffer.concat([Buffer.from([2, padded.length]), padded])
  }
  const both = Buffer.concat([integer(raw.subarray(0, 32)), integer(raw.subarray(32))])
  return `${head}.${body}.${Buffer.concat([Buffer.from([0x30, both.length]), both]).toString("base64url")}`
}

/** HMAC with what everybody knows: the key set's own text of the key. */
function macToken(): string {
  const signed = `${encode({ alg: "HS256", typ: "passport+jwt", kid: "current" })}.${encode(claims)}`
  return `${signed}.${createHmac("sha256", JSON.stringify(current.jwk)).update(signed).digest("base64url")}`
}

function edToken(): string {
  const seed = createHash("sha256").update("Sallyport verify vectors, Ed25519: FOR TESTS ONLY").digest()
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed])
  const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" })
  const signed = `${encode({ alg: "EdDSA", typ: "passport+jwt", kid: "current" })}.${encode(claims)}`
  return `${signed}.${signEd25519(null, Buffer.from(signed), key).toString("base64url")}`
}

/** The same bytes written otherwise: a last character whose spare bits are not zero. */
function respelled(part: 0 | 1 | 2): string {
  const parts = token({ claims: { jti: "spare-bits" } }).split(".")
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
  const text = parts[part] ?? ""
  if (text.length % 4 === 0) throw new Error(`part ${part} leaves no bits over; lengthen it`)
  const last = alphabet.indexOf(text.at(-1) ?? "")
  parts[part] = text.slice(0, -1) + (alphabet[last + 1] ?? "")
  return parts.join(".")
}

function txnToken(): string {
  const { kind, idp, company, zone, route, host, act, hops, facts, ...rest } = claims
  const body = {
    ...rest,
    txn: claims.jti,
    req_wl: act.sub,
    rctx: facts,
    tctx: { kind, idp, company, zone, route, host, hops },
  }
  return token({ body: JSON.stringify(body), header: { typ: "txntoken+jwt" } })
}

interface Vector {
  readonly name: string
  readonly token: string
  readonly reason?: string
  readonly keySet?: "usual" | "duplicated"
  /** Seconds since {@link NOW}. */
  readonly after?: number
}

const numberText = (name: string, text: string) =>
  JSON.stringify(claims).replace(new RegExp(`"${name}":[0-9]+`), `"${name}":${text}`)
const without = (name: keyof typeof claims) => token({ claims: { [name]: undefined } })
const [head = "", body = "", signature = ""] = token().split(".")

const accepted: readonly Vector[] = [
  { name: "valid", token: token() },
  { name: "valid, by the key that is to sign next", token: token({ key: next }) },
  {
    name: "valid, anonymous and with few claims",
    token: token({
      body: JSON.stringify({ iss: ISSUER, aud: AUDIENCE, sub: "anonymous", iat: NOW, nbf: NOW, exp: NOW + 60 }),
    }),
  },
  { name: "valid, with letters of other alphabets", token: token({ claims: { sub: "Ægir 図面 😀" } }) },
  { name: "valid, with a claim that nobody knows yet", token: token({ claims: { later: { more: [1] } } }) },
  { name: "valid, 4 s after it expired", token: token(), after: 64 },
  { name: "valid, 5 s before it begins", token: token(), after: -5 },
]

const refused: readonly Vector[] = [
  { name: "expired, 5 s ago", token: token(), after: 65, reason: "expired" },
  { name: "expired, long ago", token: token(), after: 86_400, reason: "expired" },
  { name: "not yet valid, for 6 s more", token: token(), after: -6, reason: "not yet valid" },
  { name: "not yet valid by nbf alone", token: token({ claims: { nbf: NOW + 6 } }), reason: "not yet valid" },
  { name: "made in the future", token: token({ claims: { iat: NOW + 30 } }), reason: "not yet valid" },
  { name: "lives 61 s", token: token({ claims: { exp: NOW + 61 } }), reason: "lives too long" },
  { name: "another audience", token: token({ claims: { aud: "cell:us02" } }), reason: "made for another audience" },
  { name: "a user Worker's", token: token({ claims: { aud: "script:gateway" } }), reason: "made for another audience" },
  {
    name: "an audience that begins like ours",
    token: token({ claims: { aud: "cell:us01x" } }),
    reason: "made for another audience",
  },
  {
    name: "audience in other letters",
    token: token({ claims: { aud: "CELL:US01" } }),
    reason: "made for another audience",
  },
  {
    name: "audience as a list of one",
    token: token({ claims: { aud: [AUDIENCE] } }),
    reason: "made for another audience",
  },
  {
    name: "audience as a list of two",
    token: token({ claims: { aud: [AUDIENCE, "cell:us02"] } }),
    reason: "made for another audience",
  },
  { name: "another issuer", token: token({ claims: { iss: "https://elsewhere.example" } }), reason: "another issuer" },
  { name: "issuer with a slash behind it", token: token({ claims: { iss: `${ISSUER}/` } }), reason: "another issuer" },
  {
    name: "wrong key under a known kid",
    token: token({ key: stranger, header: { kid: "current" } }),
    reason: "bad signature",
  },
  {
    name: "an older key under a kid that was used again",
    token: token({ key: retired, header: { kid: "current" } }),
    reason: "bad signature",
  },
  { name: "a kid that was published once and no longer is", token: token({ key: retired }), reason: "unknown key" },
  { name: "unknown kid", token: token({ header: { kid: "invented" } }), reason: "unknown key" },
  { name: "a kid that stands in the key set twice", token: token(), keySet: "duplicated", reason: "unknown key" },
  {
    name: "kid of a key on another curve",
    token: token({ key: wide, header: { alg: "ES256" } }),
    reason: "unknown key",
  },
  { name: "no kid", token: token({ header: { kid: undefined } }), reason: "no key id" },
  { name: "kid that is no text", token: token({ header: { kid: 1 } }), reason: "no key id" },
  { name: "kid that is empty", token: token({ header: { kid: "" } }), reason: "no key id" },
  {
    name: "alg none, without signature",
    token: `${encode({ alg: "none", typ: "passport+jwt", kid: "current" })}.${body}.`,
    reason: "not a JWT",
  },
  {
    name: "alg none, with the signature of another",
    token: `${encode({ alg: "none", typ: "passport+jwt", kid: "current" })}.${body}.${signature}`,
    reason: "another algorithm",
  },
  { name: "alg nOnE", token: token({ header: { alg: "nOnE" } }), reason: "another algorithm" },
  { name: "alg HS256, keyed with the public key", token: macToken(), reason: "another algorithm" },
  {
    name: "alg ES384, rightly signed",
    token: token({ key: wide, header: { alg: "ES384" } }),
    reason: "another algorithm",
  },
  { name: "alg EdDSA, rightly signed", token: edToken(), reason: "another algorithm" },
  { name: "alg in small letters", token: token({ header: { alg: "es256" } }), reason: "another algorithm" },
  { name: "no alg", token: token({ header: { alg: undefined } }), reason: "another algorithm" },
  { name: "wrong typ", token: token({ header: { typ: "JWT" } }), reason: "another type of token" },
  { name: "no typ", token: token({ header: { typ: undefined } }), reason: "another type of token" },
  {
    name: "an access token of the same key",
    token: token({ header: { typ: "at+jwt" } }),
    reason: "another type of token",
  },
  { name: "a Transaction Token for the same audience", token: txnToken(), reason: "another type of token" },
  { name: "crit", token: token({ header: { crit: ["exp"], exp: 0 } }), reason: "unexpected header" },
  { name: "crit, empty", token: token({ header: { crit: [] } }), reason: "unexpected header" },
  { name: "b64 false", token: token({ header: { b64: false } }), reason: "unexpected header" },
  { name: "jku", token: token({ header: { jku: "https://attacker.example/keys" } }), reason: "unexpected header" },
  {
    name: "jwk, by the key that it holds",
    token: token({ key: stranger, header: { kid: "current", jwk: stranger.jwk } }),
    reason: "unexpected header",
  },
  { name: "x5u", token: token({ header: { x5u: "https://attacker.example/cert" } }), reason: "unexpected header" },
  { name: "exp with a fraction", token: token({ body: numberText("exp", `${NOW + 60}.5`) }), reason: "no times" },
  { name: "exp as text", token: token({ claims: { exp: String(NOW + 60) } }), reason: "no times" },
  { name: "exp null", token: token({ claims: { exp: null } }), reason: "no times" },
  { name: "exp true", token: token({ claims: { exp: true } }), reason: "no times" },
  { name: "exp beyond all numbers", token: token({ body: numberText("exp", "1e400") }), reason: "no times" },
  { name: "iat with a fraction", token: token({ body: numberText("iat", `${NOW}.25`) }), reason: "no times" },
  { name: "iat false", token: token({ claims: { iat: false } }), reason: "no times" },
  { name: "nbf as text", token: token({ claims: { nbf: "0" } }), reason: "no times" },
  { name: "without exp", token: without("exp"), reason: "no times" },
  { name: "without iat", token: without("iat"), reason: "no times" },
  { name: "without nbf", token: without("nbf"), reason: "no times" },
  { name: "without iss", token: without("iss"), reason: "another issuer" },
  { name: "without aud", token: without("aud"), reason: "made for another audience" },
  { name: "without sub", token: without("sub"), reason: "no subject" },
  { name: "sub that is empty", token: token({ claims: { sub: "" } }), reason: "no subject" },
  { name: "sub that is a number", token: token({ claims: { sub: 1 } }), reason: "no subject" },
  {
    name: "claims changed after signing",
    token: `${head}.${encode({ ...claims, sub: "mallory" })}.${signature}`,
    reason: "bad signature",
  },
  {
    name: "signature of another passport",
    token: `${head}.${body}.${token({ claims: { sub: "bob" } }).split(".")[2]}`,
    reason: "bad signature",
  },
  {
    name: "signature of zeros",
    token: `${head}.${body}.${Buffer.alloc(64).toString("base64url")}`,
    reason: "bad signature",
  },
  { name: "signature in DER", token: derToken(), reason: "bad signature" },
  {
    name: "signature one byte short",
    token: `${head}.${body}.${Buffer.from(signature, "base64url").subarray(0, 63).toString("base64url")}`,
    reason: "bad signature",
  },
  {
    name: "signature one byte long",
    token: `${head}.${body}.${Buffer.concat([Buffer.from(signature, "base64url"), Buffer.alloc(1)]).toString("base64url")}`,
    reason: "bad signature",
  },
  { name: "no signature", token: `${head}.${body}.`, reason: "not a JWT" },
  { name: "two parts", token: `${head}.${body}`, reason: "not a JWT" },
  { name: "four parts", token: `${token()}.${signature}`, reason: "not a JWT" },
  { name: "cut off in the claims", token: token().slice(0, 200), reason: "not a JWT" },
  { name: "empty", token: "", reason: "not a JWT" },
  { name: "dots alone", token: "..", reason: "not a JWT" },
  { name: "header in another spelling", token: respelled(0), reason: "not a JWT" },
  { name: "claims in another spelling", token: respelled(1), reason: "not a JWT" },
  { name: "signature in another spelling", token: respelled(2), reason: "not a JWT" },
  { name: "signature with padding", token: `${token()}==`, reason: "not a JWT" },
  {
    name: "signature in plain base64",
    token: `${head}.${body}.${Buffer.from(signature, "base64url").toString("base64")}`,
    reason: "not a JWT",
  },
  { name: "a space behind it", token: `${token()} `, reason: "not a JWT" },
  { name: "a line end inside", token: token().replace(".", ".\n"), reason: "not a JWT" },
  { name: "two, joined by a comma", token: `${token()},${token()}`, reason: "more than one passport" },
  { name: "header that is a list", token: `${encode("[]")}.${body}.${signature}`, reason: "not a JWT" },
  { name: "claims that are null", token: token({ body: "null" }), reason: "not a JWT" },
  { name: "claims that are no JSON", token: token({ body: "{'sub':'alice'}" }), reason: "not a JWT" },
  { name: "longer than any passport", token: token({ claims: { more: "x".repeat(9_000) } }), reason: "not a JWT" },
]

/** The document's exact text. */
export function vectorsDocument(): string {
  const usual = { keys: [current.jwk, next.jwk, wide.jwk] }
  const document = {
    about:
      "Vectors for verifiers of Sallyport's passports. The keys are made from their names: FOR TESTS ONLY. `now` is in seconds; a verifier of `issuer` and `audience` with the named key set must come to `valid`, and may give `reason`.",
    issuer: ISSUER,
    audience: AUDIENCE,
    keySets: { usual, duplicated: { keys: [current.jwk, { ...stranger.jwk, kid: "current" }, next.jwk] } },
    vectors: [...accepted, ...refused].map(({ name, token: made, keySet = "usual", after = 0, reason }) => ({
      ...{ name, token: made, keySet, now: NOW + after, valid: reason === undefined },
      ...(reason === undefined ? {} : { reason }),
    })),
  }
  return `${JSON.stringify(document, null, 2)}\n`
}

if (import.meta.main)
  writeFileSync(path.join(import.meta.dirname, "..", "docs", "verify", "vectors.json"), vectorsDocument())

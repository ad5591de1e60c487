/**
 * A public signing key that an issuer's tokens may be verified with. Checked before it is published: token libraries verify with what they
 * are given, and a short RSA modulus, a symmetric key in the set or a private member that leaked in are the caller's to refuse (RFC 7517, RFC 7518 §3.3).
 */
import { z } from "zod"

/** 32 bytes in base64url. */
const bytes32 = z.string().regex(/^[A-Za-z0-9_-]{43}$/, "must be 32 bytes in base64url")
/** 2048 bits or more: 342 base64url characters. */
const modulus = z
  .string()
  .regex(/^[A-Za-z0-9_-]{342,1400}$/, "must be a modulus of at least 2048 bits in base64url")
  .refine((n) => !n.startsWith("AA"), "must not begin with zero bytes")

const common = {
  kid: z.string().min(1).max(200),
  use: z.literal("sig").optional(),
  key_ops: z.tuple([z.literal("verify")]).optional(),
  x5t: z.string().optional(),
  "x5t#S256": z.string().optional(),
  x5c: z.array(z.string()).optional(),
}

/** Strict: a private member (`d`, `p`, …) or a symmetric `k` is an unknown field and refused. */
export const publicJwk = z.discriminatedUnion("kty", [
  z.strictObject({
    ...common,
    kty: z.literal("EC"),
    crv: z.literal("P-256"),
    alg: z.literal("ES256").optional(),
    x: bytes32,
    y: bytes32,
  }),
  z.strictObject({
    ...common,
    kty: z.literal("OKP"),
    crv: z.literal("Ed25519"),
    alg: z.enum(["EdDSA", "Ed25519"]).optional(),
    x: bytes32,
  }),
  // Exponents other than 65537 have no use and a history of attacks.
  z.strictObject({
    ...common,
    kty: z.literal("RSA"),
    alg: z.literal("RS256").optional(),
    n: modulus,
    e: z.literal("AQAB"),
  }),
])

/** One kid, one key: with two, which one verifies is chance. */
export const publicKeySet = z.strictObject({
  keys: z
    .array(publicJwk)
    .min(1)
    .max(20)
    .refine((keys) => new Set(keys.map((key) => key.kid)).size === keys.length, "a kid may appear once"),
})

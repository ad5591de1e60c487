/**
 * The key ring of the passports: the private keys from the secret `PASSPORT_KEYS`, and what the world may see of them.
 * All keys of the ring are published, one signs: so the next key is known before its first use and the last one until its passports are gone.
 */
import { importJWK, type JWK } from "jose"
import { z } from "zod"
import { PASSPORT_ALG } from "../../../contracts/passport.ts"

const coordinate = z.string().regex(/^[A-Za-z0-9_-]{43}$/)
const ringSchema = z.strictObject({
  current: z.string().min(1),
  keys: z
    .array(
      z.object({
        kty: z.literal("EC"),
        crv: z.literal("P-256"),
        kid: z.string().min(1).max(100),
        x: coordinate,
        y: coordinate,
        d: coordinate,
      }),
    )
    .min(1)
    .max(5),
})

export interface SigningKey {
  readonly kid: string
  readonly key: CryptoKey
}

export interface PassportKeys {
  /** The key that signs now. */
  readonly signing: SigningKey
  /** Public key of a kid of the ring, or undefined. */
  readonly verifying: ReadonlyMap<string, CryptoKey>
  /** For `/.well-known/jwks.json`: public members only. */
  readonly jwks: { readonly keys: readonly JsonWebKey[] }
}

/** Imports the ring; throws when the secret is not as env.ts says, so that a Worker with a bad secret serves nothing. Once per isolate. */
export async function importPassportKeys(secret: string): Promise<PassportKeys> {
  const ring = ringSchema.parse(JSON.parse(secret))
  const current = ring.keys.find((each) => each.kid === ring.current)
  if (current === undefined) throw new Error("PASSPORT_KEYS: `current` names no key of the ring")
  const publicKeys = ring.keys.map(({ d: _private, ...rest }) => ({ ...rest, alg: PASSPORT_ALG, use: "sig" }))
  const verifying = new Map<string, CryptoKey>()
  for (const each of publicKeys) verifying.set(each.kid, await importKey(each))
  return {
    signing: { kid: current.kid, key: await importKey(current) },
    verifying,
    jwks: { keys: publicKeys },
  }
}

async function importKey(jwk: JWK): Promise<CryptoKey> {
  const key = await importJWK(jwk, PASSPORT_ALG)
  if (key instanceof Uint8Array) throw new Error("PASSPORT_KEYS: a symmetric key cannot sign passports")
  return key as CryptoKey
}

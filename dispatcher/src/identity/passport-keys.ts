/**
 * The key ring of the passports: which key signs now, which verify, and what the world may see of them. The keys come with the config, private parts sealed;
 * the clock decides whose turn it is (contracts/passport-keys.ts). Beside them stands the secret `PASSPORT_KEYS`, from before the control plane made keys:
 * it signs while no key of the config can, and verifies while it is set.
 *
 * Signing never stops for want of a newer key. The first of these that there is signs: the config's key whose turn it is; one of the config that can be opened and
 * still signs; the secret's; the last that this isolate could sign with before. What cannot be opened is published and verifies all the same, since its public part is in the clear.
 */
import { z } from "zod"
import type { PassportKeyConfig } from "../../../contracts/dispatch-config.ts"
import { PASSPORT_ALG } from "../../../contracts/passport.ts"
import { PASSPORT_KEY_PURPOSE, signingKey, type TimedKey, verifies } from "../../../contracts/passport-keys.ts"
import { refuse } from "../../../kit/problem.ts"
import { type Seal, sealWith } from "../../../kit/seal.ts"

const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }
const coordinate = z.string().regex(/^[A-Za-z0-9_-]{43}$/)
const secretSchema = z.strictObject({
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

/** What the stages need of the ring. Times are milliseconds since the epoch. */
export interface PassportKeys {
  /** The key that signs. Refuses `keys.none-to-sign` when there is none at all. */
  signing(nowMs: number): SigningKey
  /** Public key of a kid, or undefined when the ring has none that verifies at the time. */
  verifying(kid: string, nowMs: number): CryptoKey | undefined
  /** For `/.well-known/jwks.json`: public members only. */
  jwks(nowMs: number): { readonly keys: readonly JsonWebKey[] }
}

export interface RingSettings {
  /** The secret `PASSPORT_KEYS`; absent where the config's keys are all there is. */
  readonly secret?: string | undefined
  /** The secret `RING_KEY`; without it no key of the config can sign. */
  readonly ringKey?: string | undefined
  readonly log: (record: { readonly event: string; readonly kids: readonly string[] }) => void
}

interface HeldKey extends TimedKey {
  readonly publicKey: CryptoKey
  /** Null when it could not be opened. */
  readonly privateKey: CryptoKey | null
  readonly jwk: JsonWebKey
}
type SignableKey = HeldKey & { readonly privateKey: CryptoKey }
type Imported = Pick<HeldKey, "publicKey" | "privateKey">

/** Makes the ring, with the keys of the secret. Throws when a secret is not as env.ts says, so that a Worker with a bad secret serves nothing. Once per isolate. */
export async function passportKeyRing(settings: RingSettings): Promise<PassportKeyRing> {
  const { secret = "", ringKey = "" } = settings
  const known = secret === "" ? [] : await keysOfSecret(secret)
  return new PassportKeyRing(known, ringKey === "" ? null : await sealWith(ringKey), settings.log)
}

export class PassportKeyRing implements PassportKeys {
  readonly #secret: readonly SignableKey[]
  readonly #seal: Seal | null
  readonly #log: RingSettings["log"]
  #revision = 0
  #config: readonly HeldKey[] = []
  #signable: readonly SignableKey[] = []
  /** Those that could sign when none of a later config can: neither forgotten nor preferred. */
  #kept: readonly SignableKey[] = []
  /** By everything that a key is made of; each is opened and imported once. */
  #imported = new Map<string, Imported | null>()

  /** `secret`: the one that signs comes first. */
  constructor(secret: readonly SignableKey[], seal: Seal | null, log: RingSettings["log"]) {
    this.#secret = secret
    this.#seal = seal
    this.#log = log
  }

  /** Goes by the keys of this config revision from now on, unless it goes by a later one. Never rejects: what cannot be used is logged, once, and left aside. */
  async take(revision: number, keys: readonly PassportKeyConfig[] = []): Promise<void> {
    if (revision <= this.#revision) return
    const imported = new Map<string, Imported | null>()
    const held: HeldKey[] = []
    const unusable: string[] = []
    for (const config of keys) {
      const { kid, x, y, sealed, signsFromMs, verifiesUntilMs } = config
      const identity = `${kid}\n${x}\n${y}\n${sealed}`
      const known = this.#imported.get(identity)
      const both = known === undefined ? await importSealed(config, this.#seal) : known
      imported.set(identity, both)
      if (known === undefined && both?.privateKey == null) unusable.push(kid)
      if (both !== null) held.push({ kid, signsFromMs, verifiesUntilMs, ...both, jwk: publicJwk(kid, x, y) })
    }
    // Another look may have brought a later one meanwhile.
    if (revision <= this.#revision) return
    if (unusable.length > 0) this.#log({ event: "passport-keys.unusable", kids: unusable })
    const signable = held.filter(isSignable)
    if (signable.length > 0) this.#kept = []
    else if (this.#signable.length > 0) this.#kept = this.#signable
    this.#revision = revision
    this.#config = held
    this.#signable = signable
    this.#imported = imported
  }

  signing(nowMs: number): SigningKey {
    const key = this.#signs(nowMs)
    if (key === undefined) throw refuse("keys.none-to-sign", { headers: { "retry-after": "60" } })
    return { kid: key.kid, key: key.privateKey }
  }

  verifying(kid: string, nowMs: number): CryptoKey | undefined {
    return this.#published(nowMs).find((key) => key.kid === kid)?.publicKey
  }

  jwks(nowMs: number): { readonly keys: readonly JsonWebKey[] } {
    return { keys: this.#published(nowMs).map((key) => key.jwk) }
  }

  /** For `/version`: what signs, and what of the config could not be opened. Kids are no secret. */
  status(nowMs: number): { readonly signing: string | null; readonly unopened: readonly string[] } {
    const unopened = this.#config.filter((key) => !isSignable(key)).map((key) => key.kid)
    return { signing: this.#signs(nowMs)?.kid ?? null, unopened }
  }

  #signs(nowMs: number): SignableKey | undefined {
    return signingKey(this.#signable, nowMs) ?? this.#secret[0] ?? latest([...this.#kept, ...this.#signable])
  }

  /** What signs is always among them. A kid stands in it once: the config goes before the secret, and that before what is kept. */
  #published(nowMs: number): readonly HeldKey[] {
    const published = new Map<string, HeldKey>()
    const signs = this.#signs(nowMs)
    if (signs !== undefined) published.set(signs.kid, signs)
    for (const key of [...this.#kept, ...this.#secret]) published.set(key.kid, key)
    for (const key of this.#config) if (verifies(key, nowMs)) published.set(key.kid, key)
    return [...published.values()]
  }
}

function isSignable(key: HeldKey): key is SignableKey {
  return key.privateKey !== null
}

/** The one whose time came last, be it over or not. */
function latest(keys: readonly SignableKey[]): SignableKey | undefined {
  return keys.toSorted((a, b) => b.signsFromMs - a.signsFromMs)[0]
}

/** Public and private half; null for a public one that is none. A private one that does not belong to it would sign what nobody accepts, and is as unopened. */
async function importSealed({ kid, x, y, sealed }: PassportKeyConfig, seal: Seal | null): Promise<Imported | null> {
  try {
    const publicKey = await importPublic(x, y)
    const opened = await seal?.open(sealed, { purpose: PASSPORT_KEY_PURPOSE, name: kid })
    if (opened == null) return { publicKey, privateKey: null }
    const privateKey = await importPrivate(x, y, new TextDecoder().decode(opened)).catch(() => null)
    const isPair = privateKey !== null && (await belong(privateKey, publicKey))
    return { publicKey, privateKey: isPair ? privateKey : null }
  } catch {
    return null
  }
}

async function belong(privateKey: CryptoKey, publicKey: CryptoKey): Promise<boolean> {
  const text = new TextEncoder().encode("sallyport")
  return crypto.subtle.verify(ECDSA, publicKey, await crypto.subtle.sign(ECDSA, privateKey, text), text)
}

async function keysOfSecret(secret: string): Promise<readonly SignableKey[]> {
  const { current, keys } = secretSchema.parse(JSON.parse(secret))
  const held = await Promise.all(
    keys.map(async ({ kid, x, y, d }) => {
      const both = { publicKey: await importPublic(x, y), privateKey: await importPrivate(x, y, d) }
      return { kid, signsFromMs: 0, ...both, jwk: publicJwk(kid, x, y) }
    }),
  )
  const first = held.find((key) => key.kid === current)
  if (first === undefined) throw new Error("PASSPORT_KEYS: `current` names no key of the ring")
  return [first, ...held.filter((key) => key !== first)]
}

function publicJwk(kid: string, x: string, y: string): JsonWebKey {
  return { kty: "EC", crv: "P-256", kid, x, y, alg: PASSPORT_ALG, use: "sig" } as JsonWebKey
}

function importPublic(x: string, y: string): Promise<CryptoKey> {
  return crypto.subtle.importKey("jwk", { kty: "EC", crv: "P-256", x, y }, ECDSA, false, ["verify"])
}

function importPrivate(x: string, y: string, d: string): Promise<CryptoKey> {
  return crypto.subtle.importKey("jwk", { kty: "EC", crv: "P-256", x, y, d }, ECDSA, false, ["sign"])
}

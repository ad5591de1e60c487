import { exportJWK, generateKeyPair, type JWK } from "jose"
import { beforeAll, beforeEach, describe, expect, it } from "vitest"
import type { PassportKeyConfig } from "../../../contracts/dispatch-config.ts"
import { PASSPORT_KEY_PURPOSE } from "../../../contracts/passport-keys.ts"
import { type Seal, sealWith } from "../../../kit/seal.ts"
import { MintedPassports, mintPassport, type PassportOrder } from "./mint-passport.ts"
import { type PassportKeyRing, passportKeyRing } from "./passport-keys.ts"
import { ANONYMOUS } from "./subject.ts"
import { PassportVerifier } from "./verify-passport.ts"

const NOW = 1_800_000_000_000
const RING_KEY = "A".repeat(43)
const ISSUER = "https://sallyport.example"

let seal: Seal
let other: Seal
let a: PassportKeyConfig
let b: PassportKeyConfig
let secret: string
let logged: { event: string; kids: readonly string[] }[]

beforeAll(async () => {
  seal = await sealWith(RING_KEY)
  other = await sealWith(`B${"A".repeat(42)}`)
  a = await made("a", NOW - 60_000)
  b = await made("b", NOW + 60_000)
  secret = JSON.stringify({ current: "s", keys: [{ ...(await privateJwk()), kid: "s" }] })
})
beforeEach(() => {
  logged = []
})

async function privateJwk(): Promise<JWK> {
  return exportJWK((await generateKeyPair("ES256", { extractable: true })).privateKey)
}

async function made(kid: string, signsFromMs: number, by = seal, name = kid): Promise<PassportKeyConfig> {
  const { x = "", y = "", d = "" } = await privateJwk()
  const bytes = new TextEncoder().encode(d) as Uint8Array<ArrayBuffer>
  return { kid, x, y, sealed: await by.seal(bytes, { purpose: PASSPORT_KEY_PURPOSE, name }), signsFromMs }
}

function ringOf(settings: { secret?: string; ringKey?: string } = {}): Promise<PassportKeyRing> {
  return passportKeyRing({ ringKey: RING_KEY, ...settings, log: (record) => logged.push(record) })
}
const kids = (ring: PassportKeyRing, at = NOW) =>
  ring
    .jwks(at)
    .keys.map((key) => String("kid" in key && key.kid))
    .toSorted()
const noKey = expect.objectContaining({ code: "keys.none-to-sign" })

describe("the ring of the config", () => {
  it("signs with the key whose turn it is, without another config", async () => {
    const ring = await ringOf()
    await ring.take(1, [a, b])
    expect(ring.signing(NOW).kid).toBe("a")
    expect(ring.signing(NOW + 59_999).kid).toBe("a")
    expect(ring.signing(NOW + 60_000).kid).toBe("b")
  })

  it("publishes and accepts the next and the retiring key beside the current, and none whose time is over", async () => {
    const ring = await ringOf()
    await ring.take(1, [{ ...a, verifiesUntilMs: NOW + 200_000 }, b])
    expect(kids(ring)).toEqual(["a", "b"])
    expect(ring.verifying("b", NOW)).toBeDefined()
    expect(kids(ring, NOW + 200_000)).toEqual(["b"])
    expect(ring.verifying("a", NOW + 199_999)).toBeDefined()
    expect(ring.verifying("a", NOW + 200_000)).toBeUndefined()
  })

  it("publishes no private member, and nothing of what was sealed", async () => {
    const ring = await ringOf({ secret })
    await ring.take(1, [a])
    for (const key of ring.jwks(NOW).keys)
      expect(Object.keys(key).toSorted()).toEqual(["alg", "crv", "kid", "kty", "use", "x", "y"])
  })

  it("makes passports of the key whose turn it is, and never hands out again one of a key that no longer signs", async () => {
    const ring = await ringOf()
    await ring.take(1, [a, b])
    const clock = { nowMs: NOW + 50_000, now: () => clock.nowMs }
    const deps = { clock, makeId: () => "id", keys: ring, mintedPassports: new MintedPassports() }
    const kidOf = async () => {
      const { token } = await mintPassport(ORDER, deps)
      const claims = await new PassportVerifier(clock).verify(token, ORDER.audience, ISSUER, ring)
      return [JSON.parse(atob(token.split(".")[0] ?? "")).kid, claims.sub]
    }
    expect(await kidOf()).toEqual(["a", "anonymous"])
    clock.nowMs = NOW + 60_000
    expect(await kidOf()).toEqual(["b", "anonymous"])
  })

  it("never goes back to the keys of an older config", async () => {
    const ring = await ringOf()
    await ring.take(2, [b])
    await ring.take(1, [a])
    expect(kids(ring)).toEqual(["b"])
    await Promise.all([ring.take(4, [a]), ring.take(3, [b])])
    expect(kids(ring)).toEqual(["a"])
  })

  it("opens each key once, however many configs name it", async () => {
    const ring = await ringOf()
    await ring.take(1, [a])
    const first = ring.signing(NOW).key
    await ring.take(2, [{ ...a, verifiesUntilMs: NOW + 1e6 }, b])
    expect(ring.signing(NOW).key).toBe(first)
  })
})

describe("a key that cannot be opened", () => {
  it.each([
    ["was sealed with another key", () => made("b", NOW - 1, other)],
    ["was sealed for another kid", () => made("b", NOW - 1, seal, "c")],
    ["holds the private part of another", async () => ({ ...b, x: a.x, y: a.y, signsFromMs: NOW - 1 })],
  ])("because it %s does not sign, verifies all the same, and leaves the one before it signing", async (_, make) => {
    const ring = await ringOf()
    await ring.take(1, [a, await make()])
    expect(ring.signing(NOW).kid).toBe("a")
    expect(kids(ring)).toEqual(["a", "b"])
    expect(ring.status(NOW)).toEqual({ signing: "a", unopened: ["b"] })
  })

  it("is said once in the log, and its seal is not", async () => {
    const ring = await ringOf()
    const bad = await made("b", NOW - 1, other)
    await ring.take(1, [bad])
    await ring.take(2, [bad])
    expect(logged).toEqual([{ event: "passport-keys.unusable", kids: ["b"] }])
  })

  it("leaves the last good ring signing, and published, when the config has no other", async () => {
    const ring = await ringOf()
    await ring.take(1, [a])
    await ring.take(2, [await made("b", NOW - 1, other)])
    expect(ring.signing(NOW).kid).toBe("a")
    expect(kids(ring)).toEqual(["a", "b"])
    await ring.take(3, [await made("c", NOW - 1)])
    expect(kids(ring)).toEqual(["c"])
  })

  it("whose public part is no point of the curve is left out", async () => {
    const ring = await ringOf()
    await ring.take(1, [a, { ...b, x: "A".repeat(43) }])
    expect(kids(ring)).toEqual(["a"])
  })

  it("goes on signing past its time when nothing else can, and is then published", async () => {
    const ring = await ringOf()
    await ring.take(1, [{ ...a, verifiesUntilMs: NOW }, await made("b", NOW - 1, other)])
    expect(ring.signing(NOW + 1).kid).toBe("a")
    expect(kids(ring, NOW + 1)).toEqual(["a", "b"])
  })
})

describe("the secret PASSPORT_KEYS", () => {
  it("signs while no key of the config does, verifies while it is set, and is published so long", async () => {
    const ring = await ringOf({ secret })
    expect(ring.signing(NOW).kid).toBe("s")
    await ring.take(1, [b])
    expect(ring.signing(NOW + 59_999).kid).toBe("s")
    expect(ring.signing(NOW + 60_000).kid).toBe("b")
    expect(kids(ring, NOW + 60_000)).toEqual(["b", "s"])
  })

  it("signs for a dispatcher without RING_KEY, which publishes the config's keys all the same", async () => {
    const ring = await ringOf({ secret, ringKey: "" })
    await ring.take(1, [a])
    expect(ring.signing(NOW).kid).toBe("s")
    expect(kids(ring)).toEqual(["a", "s"])
  })

  it("may be missing, and then nothing signs before there is a config with a key", async () => {
    const ring = await ringOf()
    expect(() => ring.signing(NOW)).toThrow(noKey)
    await ring.take(1)
    expect(() => ring.signing(NOW)).toThrow(noKey)
    await ring.take(2, [a])
    expect(ring.signing(NOW).kid).toBe("a")
  })

  it.each([
    ["not JSON", "nonsense"],
    ["without keys", JSON.stringify({ current: "k1", keys: [] })],
    ["with a key that is not P-256", JSON.stringify({ current: "k1", keys: [{ kty: "oct", kid: "k1", k: "AAAA" }] })],
    ["whose current key is not in it", () => secret.replace('"current":"s"', '"current":"t"')],
  ])("is refused when it is %s", async (_, bad) => {
    await expect(ringOf({ secret: typeof bad === "string" ? bad : bad() })).rejects.toThrow()
  })

  it("is not the only one that is held to its form", async () => {
    await expect(ringOf({ ringKey: "short" })).rejects.toThrow("32 bytes")
  })
})

const ORDER: PassportOrder = {
  issuer: ISSUER,
  audience: "script:files",
  subject: ANONYMOUS,
  route: "files",
  host: null,
  zone: null,
  actor: null,
  hops: 0,
  facts: { ip: null, country: null, colo: null, asn: null, tls: null, bot: null },
}

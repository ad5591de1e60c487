import { exportJWK, generateKeyPair, jwtVerify } from "jose"
import { beforeAll, beforeEach, describe, expect, it } from "vitest"
import { MintedPassports, mintPassport, type PassportOrder } from "./mint-passport.ts"
import { type PassportKeyRing, passportKeyRing } from "./passport-keys.ts"
import { ANONYMOUS, makeSubject } from "./subject.ts"
import { PassportVerifier } from "./verify-passport.ts"

const NOW_S = 1_800_000_000
const ISSUER = "https://sallyport.example"
const alice = makeSubject({
  kind: "user",
  id: "alice",
  idp: "example-idp",
  scopes: ["read"],
  company: "42",
  companies: null,
  sid: null,
  authTimeMs: null,
  level: 0,
  revocable: null,
})

let keys: PassportKeyRing
let nowS: number
let ids: number
let mintedPassports: MintedPassports

beforeAll(async () => {
  keys = await ring("k1")
})
beforeEach(() => {
  nowS = NOW_S
  ids = 0
  mintedPassports = new MintedPassports()
})

async function ring(kid: string): Promise<PassportKeyRing> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true })
  const secret = JSON.stringify({ current: kid, keys: [{ ...(await exportJWK(privateKey)), kid }] })
  return passportKeyRing({ secret, log: () => undefined })
}

function order(changes: Partial<PassportOrder> = {}): PassportOrder {
  return {
    issuer: ISSUER,
    audience: "script:files",
    subject: alice,
    route: "files",
    zone: "us01",
    host: "api.example.com",
    actor: null,
    hops: 0,
    facts: { ip: "203.0.113.7", country: "GB", colo: "LHR", asn: 64_500, tls: "TLSv1.3", bot: null },
    ...changes,
  }
}

function mint(changes: Partial<PassportOrder> = {}, ring = keys): Promise<string> {
  const deps = { clock: { now: () => nowS * 1000 }, makeId: () => `id-${++ids}`, keys: ring, mintedPassports }
  return Promise.resolve(mintPassport(order(changes), deps)).then(({ token }) => token)
}

async function claimsOf(token: string) {
  const key = keys.verifying("k1", nowS * 1000)
  if (key === undefined) throw new Error("k1 is in the ring")
  return jwtVerify(token, key, { currentDate: new Date(nowS * 1000) })
}

describe("mintPassport", () => {
  it("says who calls, for one audience, for at most 60 seconds", async () => {
    const { payload, protectedHeader } = await claimsOf(await mint())
    expect(protectedHeader).toEqual({ alg: "ES256", typ: "passport+jwt", kid: "k1" })
    expect(payload).toEqual({
      iss: ISSUER,
      aud: "script:files",
      sub: "alice",
      iat: NOW_S,
      nbf: NOW_S,
      exp: NOW_S + 60,
      jti: "id-1",
      kind: "user",
      idp: "example-idp",
      scope: "read",
      company: "42",
      zone: "us01",
      route: "files",
      host: "api.example.com",
      hops: 0,
      facts: order().facts,
    })
  })

  it("says of a session its handle, its level, when it began and which companies are open to it", async () => {
    const sid = "s".repeat(43)
    const subject = makeSubject({ ...alice, companies: ["42", "43"], sid, authTimeMs: NOW_S * 1000 - 1, level: 2 })
    const { payload } = await claimsOf(await mint({ subject }))
    expect(payload).toMatchObject({ companies: ["42", "43"], sid, auth_time: NOW_S - 1, level: 2 })
  })

  it("hands the same passport out again while half its life is left, without a promise", async () => {
    const first = await mint()
    nowS = NOW_S + 29
    expect(await mint()).toBe(first)
    nowS = NOW_S + 30
    expect(await mint()).not.toBe(first)
  })

  it.each<[string, Partial<PassportOrder>]>([
    ["audience", { audience: "script:pages" }],
    ["issuer", { issuer: "https://other.example" }],
    ["route", { route: "open" }],
    ["zone", { zone: "us02" }],
    ["no zone", { zone: null }],
    ["actor", { actor: { sub: "script:router" } }],
    ["actor before the actor", { actor: { sub: "script:router", act: { sub: "script:pages" } } }],
    ["hostname", { host: "app.example.com" }],
    ["network", { facts: { ...order().facts, asn: 64_501 } }],
    ["location", { facts: { ...order().facts, colo: "FRA" } }],
    ["hops", { hops: 1 }],
    ["address", { facts: { ...order().facts, ip: "203.0.113.8" } }],
    ["country", { facts: { ...order().facts, country: "US" } }],
    ["tls", { facts: { ...order().facts, tls: "TLSv1.2" } }],
    ["bot score", { facts: { ...order().facts, bot: 1 } }],
    ["subject", { subject: makeSubject({ ...alice, id: "bob" }) }],
    ["issuer of the credential", { subject: makeSubject({ ...alice, idp: "other-idp" }) }],
    ["scopes", { subject: makeSubject({ ...alice, scopes: ["read", "write"] }) }],
    ["company", { subject: makeSubject({ ...alice, company: "43" }) }],
    ["membership", { subject: makeSubject({ ...alice, companies: ["42", "43"] }) }],
    ["membership, of none", { subject: makeSubject({ ...alice, companies: [] }) }],
    ["session", { subject: makeSubject({ ...alice, sid: "s".repeat(43) }) }],
    ["time of authentication", { subject: makeSubject({ ...alice, authTimeMs: NOW_S * 1000 }) }],
    ["level", { subject: makeSubject({ ...alice, level: 2 }) }],
    ["profile", { profile: "txn-token" }],
    ["anonymity", { subject: ANONYMOUS }],
  ])("never hands out a passport made for another %s", async (_what, changes) => {
    expect(await mint(changes)).not.toBe(await mint())
  })

  it("does not remember a passport of unusual length", async () => {
    const scopes = Array.from({ length: 200 }, (_, index) => `a-rather-long-scope:${index}`)
    const subject = makeSubject({ ...alice, scopes })
    expect(await mint({ subject })).not.toBe(await mint({ subject }))
  })

  it("remembers a bounded number of passports", async () => {
    const first = await mint()
    for (let count = 0; count < 2_000; count++) await mint({ route: `r${count}` })
    expect(await mint()).not.toBe(first)
  })

  it("makes a new passport when the signing key changes", async () => {
    const first = await mint()
    expect(await mint({}, await ring("k2"))).not.toBe(first)
  })
})

describe("PassportVerifier", () => {
  const verifier = () => new PassportVerifier({ now: () => nowS * 1000 })

  it("accepts a passport made for the script that shows it", async () => {
    const claims = await verifier().verify(await mint(), "script:files", ISSUER, keys)
    expect(claims.sub).toBe("alice")
  })

  it("refuses a passport made for another script, also when it was verified before", async () => {
    const passport = await mint()
    const one = verifier()
    await one.verify(passport, "script:files", ISSUER, keys)
    await expect(one.verify(passport, "script:pages", ISSUER, keys)).rejects.toMatchObject({
      code: "platform.passport-required",
    })
  })

  it("refuses none, another issuer's, another ring's and an expired one", async () => {
    const refusal = { code: "platform.passport-required" }
    const passport = await mint()
    await expect(verifier().verify(null, "script:files", ISSUER, keys)).rejects.toMatchObject(refusal)
    await expect(verifier().verify(passport, "script:files", "https://x.example", keys)).rejects.toMatchObject(refusal)
    await expect(verifier().verify(passport, "script:files", ISSUER, await ring("k1"))).rejects.toMatchObject(refusal)
    const remembering = verifier()
    await remembering.verify(passport, "script:files", ISSUER, keys)
    nowS = NOW_S + 65
    await expect(remembering.verify(passport, "script:files", ISSUER, keys)).rejects.toMatchObject(refusal)
  })
})

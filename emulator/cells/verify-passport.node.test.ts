import { generateKeyPairSync, sign } from "node:crypto"
import { createServer } from "node:http"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { listen, type RunningServer } from "../listen.ts"
import { passportVerifier, type Verdict } from "./verify-passport.ts"

const NOW_S = 1_800_000_000
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
const other = generateKeyPairSync("ec", { namedCurve: "P-256" })
const claims = {
  iss: "https://edge.example",
  aud: "cell:us01",
  sub: "alice",
  iat: NOW_S,
  nbf: NOW_S,
  exp: NOW_S + 60,
}
const header = { alg: "ES256", typ: "passport+jwt", kid: "a" }

let edge: RunningServer
let nowS = NOW_S
let reads = 0
let verifyPassport: (headers: Record<string, string>) => Promise<Verdict>

beforeAll(async () => {
  const server = createServer((request, response) => {
    reads += 1
    const known = request.headers.host === "api.procore.com" && request.url === "/.well-known/jwks.json"
    const jwks = { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "a", alg: "ES256" }] }
    response.writeHead(known ? 200 : 404).end(JSON.stringify(jwks))
  })
  edge = await listen(server, 0)
})
afterAll(() => edge.stop())
beforeEach(() => {
  nowS = NOW_S
  reads = 0
  verifyPassport = passportVerifier({
    issuer: claims.iss,
    audience: claims.aud,
    edgeUrl: edge.url,
    hostname: "api.procore.com",
    now: () => nowS * 1000,
  })
})

function token(changes: object = {}, headerChanges: object = {}, key = privateKey): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url")
  const signed = `${encode({ ...header, ...headerChanges })}.${encode({ ...claims, ...changes })}`
  return `${signed}.${sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`
}
const present = (passport: string) => verifyPassport({ "x-passport": passport })

describe("a cell's passport check", () => {
  it("accepts what the edge made for it and gives the claims", async () => {
    expect(await present(token())).toEqual({ ok: true, claims })
  })

  it.each([
    ["no passport", {}],
    ["two of them, as node joins them", { "x-passport": `${token()}, ${token()}` }],
  ])("refuses %s", async (_, headers) => {
    expect((await verifyPassport(headers as Record<string, string>)).ok).toBe(false)
  })

  it.each([
    ["another issuer", token({ iss: "https://elsewhere.example" }), "another issuer"],
    ["another cell's", token({ aud: "cell:us02" }), "made for another audience"],
    ["a user Worker's", token({ aud: "script:gateway" }), "made for another audience"],
    ["a list of audiences", token({ aud: ["cell:us01"] }), "made for another audience"],
    ["an expired one", token({ exp: NOW_S - 5 }), "expired"],
    ["one from the future", token({ iat: NOW_S + 6, exp: NOW_S + 60 }), "not yet valid"],
    ["one that lives too long", token({ exp: NOW_S + 61 }), "lives too long"],
    ["one without subject", token({ sub: "" }), "no subject"],
    ["another type of token", token({}, { typ: "JWT" }), "another type of token"],
    ["no algorithm", token({}, { alg: "none" }), "another algorithm"],
    ["another key under a known id", token({}, {}, other.privateKey), "bad signature"],
    ["an unknown key", token({}, { kid: "b" }), "unknown key"],
    ["half a token", "abc.def", "not a JWT"],
  ])("refuses %s", async (_, passport, reason) => {
    expect(await present(passport)).toEqual({ ok: false, reason })
  })

  it("tolerates five seconds of clock difference", async () => {
    expect((await present(token({ exp: NOW_S - 4 }))).ok).toBe(true)
    expect((await present(token({ iat: NOW_S + 5, nbf: NOW_S + 5, exp: NOW_S + 60 }))).ok).toBe(true)
  })

  it("reads the key set once for many passports", async () => {
    await Promise.all(Array.from({ length: 5 }, () => present(token())))
    await present(token())
    expect(reads).toBe(1)
  })

  it("does not let invented key ids make it read the key set again and again", async () => {
    for (let index = 0; index < 5; index++) await present(token({}, { kid: `invented-${index}` }))
    expect(reads).toBe(1)
  })
})

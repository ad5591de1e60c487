import { generateKeyPairSync, sign } from "node:crypto"
import { beforeEach, describe, expect, it } from "vitest"
import { useBench } from "./testing/command-line.ts"

const bench = useBench()
const AT = "2027-01-15T08:00:00Z"
const NOW_S = Date.parse(AT) / 1000
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
const claims = {
  ...{ iss: "https://passports.example", aud: "script:files", sub: "alice", kind: "user", idp: "example-idp" },
  ...{ iat: NOW_S - 19, nbf: NOW_S - 19, exp: NOW_S + 41, jti: "id-1", scope: "files:read", company: "100" },
  ...{ route: "files", host: "api.example.com", hops: 2, facts: { ip: "203.0.113.7", country: "GB", bot: null } },
  ...{ act: { sub: "script:gateway", act: { sub: "script:router" } } },
}

function token(changes: object = {}, header: object = {}): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url")
  const signed = `${part({ alg: "ES256", typ: "passport+jwt", kid: "k1", ...header })}.${part({ ...claims, ...changes })}`
  return `${signed}.${sign("sha256", Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`
}
const inspect = (given: string, ...more: string[]) =>
  bench.run(["passport", "inspect", "-", "--at", AT, ...more], {
    stdin: `${given}\n`,
    env: { SALLYPORT_EDGE_URL: bench.api.url },
  })

beforeEach(() => {
  const keys = [{ ...publicKey.export({ format: "jwk" }), kid: "k1", alg: "ES256", use: "sig" }]
  bench.api.on("GET /.well-known/jwks.json", { status: 200, headers: {}, body: { keys } })
})

describe("passport inspect", () => {
  it("says every claim in words: who, for whom, how long, by which way", async () => {
    const { code, out } = await inspect(token())
    expect(code).toBe(0)
    expect(out).toContain("✓ It is valid")
    for (const words of [
      "made for     script:files, and nobody else",
      "time left    41 s, made 19 s ago",
      "who calls    alice, user, known by example-idp",
      "company      100",
      "scopes       files:read",
      "came in      at api.example.com by the route files",
      "passed on    script:router, then by script:gateway (2 dispatches after the first)",
      "from         ip 203.0.113.7, country GB",
    ])
      expect(out).toContain(words)
  })

  it("says whom it is a member of, and none for an empty list as for any other text", async () => {
    expect((await inspect(token({ companies: ["100", "200"] }))).out).toContain("member of    100, 200")
    expect((await inspect(token({ companies: [] }))).out).toMatch(/member of {4}none$/m)
    expect((await inspect(token())).out).not.toContain("member of")
  })

  it("never gives the signature back, in words or as JSON", async () => {
    const passport = token()
    const signature = passport.split(".")[2] ?? ""
    for (const more of [[], ["--json"]]) {
      const { out, err } = await inspect(passport, ...more)
      expect(out + err).not.toContain(signature.slice(0, 20))
    }
  })

  it.each([
    ["expired", token({ iat: NOW_S - 100, nbf: NOW_S - 100, exp: NOW_S - 40 }), "It expired 40 s ago."],
    ["from the future", token({ iat: NOW_S + 30, nbf: NOW_S + 30, exp: NOW_S + 60 }), "good only in 30 s"],
    ["by an unknown key", token({}, { kid: "k9" }), "publishes no key k9; it publishes k1"],
    ["of another type", token({}, { typ: "JWT" }), "Its type is JWT"],
    ["without algorithm", token({}, { alg: "none" }), "Its algorithm is none"],
    ["with a pointer to a key", token({}, { jku: "https://x.example" }), "Its header names jku"],
    ["for several", token({ aud: ["a"] }), 'Its aud is ["a"]'],
    ["for too long", token({ exp: NOW_S + 100 }), "no passport lives longer than 60"],
    ["without whole seconds", token({ exp: NOW_S + 0.5 }), "not all whole seconds"],
    ["changed", token().replace(/.{20}$/, "A".repeat(20)), "Its signature is not by k1"],
    ["cut off", "abc.def", "It is no JWT"],
  ])("exits with 1 and says why for one %s", async (_, passport, why) => {
    const { code, out } = await inspect(passport)
    expect([code, out]).toEqual([1, expect.stringContaining(why)])
    const { code: again, out: json } = await inspect(passport, "--json")
    expect([again, JSON.parse(json).valid]).toEqual([1, false])
  })

  it("calls nothing a passport that is none", async () => {
    const { out } = await inspect(token({}, { typ: "at+jwt" }))
    expect(out).toContain("neither a passport nor a Transaction Token")
  })

  it("knows a Transaction Token", async () => {
    const { route, host, hops, kind, company, facts, ...rest } = claims
    const body = {
      ...rest,
      txn: "id-1",
      req_wl: "script:gateway",
      rctx: facts,
      tctx: { route, host, hops, kind, company },
    }
    const { code, out } = await inspect(token(body, { typ: "txntoken+jwt" }))
    expect([code, out]).toEqual([0, expect.stringContaining("a Transaction Token")])
    expect(out).toContain("asked for by  script:gateway")
    expect(out).toContain("came in       at api.example.com by the route files")
  })

  it("takes the token with its header's name, as curl and logs show it", async () => {
    expect((await inspect(`x-passport: ${token()}`)).code).toBe(0)
  })

  it("says where to look when it does not know the edge", async () => {
    const { code, err } = await bench.run(["passport", "inspect", token()], { env: { SALLYPORT_CONFIG: "/nowhere" } })
    expect([code, err]).toEqual([1, expect.stringContaining("--edge <url>")])
  })
})

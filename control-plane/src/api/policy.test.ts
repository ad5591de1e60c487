import { beforeEach, describe, it } from "vitest"
import { policySections } from "../../../contracts/dispatch-config.ts"
import { startControlPlane, type TestControlPlane } from "../../test/harness.ts"
import { DEFAULT_POLICY } from "../config/default-policy.ts"

let platform: TestControlPlane
beforeEach(async () => {
  platform = await startControlPlane()
})

describe("policy: works", () => {
  it("shows the strict defaults before anything was put, each valid as it stands", async ({ expect }) => {
    for (const section of Object.keys(policySections)) {
      const read = await platform.send(`GET /v1/policy/${section}`)
      expect(read.body).toEqual(DEFAULT_POLICY[section as keyof typeof DEFAULT_POLICY])
      const again = { body: read.body, headers: { "if-match": read.headers.get("etag") ?? "" } }
      expect((await platform.send(`PUT /v1/policy/${section}`, again)).status).toBe(200)
    }
  })

  it("replaces a section as a whole, and keeps its digest and the reason in the audit", async ({ expect }) => {
    await platform.send("PUT /v1/policy/flags?message=beta", { body: { beta: true, limit: 3 } })
    await platform.send("PUT /v1/policy/flags", { body: { limit: 4 } })
    expect((await platform.published()).flags).toEqual({ limit: 4 })
    const { items } = (await platform.send("GET /v1/audit")).body
    expect(items[1]).toMatchObject({ action: "policy.put", target: "policy/flags", detail: { message: "beta" } })
    expect(items[1].detail.digest).toMatch(/^[0-9a-f]{64}$/)
    expect(items[1].detail.digest).not.toBe(items[0].detail.digest)
  })

  it("publishes whose traces are believed and how many are recorded", async ({ expect }) => {
    await platform.send("PUT /v1/policy/tracing", { body: { incoming: "trust", sampleBps: 100 } })
    expect((await platform.published()).tracing).toEqual({ incoming: "trust", sampleBps: 100 })
    await platform.send("PUT /v1/policy/tracing", { body: {} })
    // What is no more than the default is not named, and the parser of the contract says it.
    expect((await platform.published()).tracing).toBeUndefined()
    expect((await platform.send("PUT /v1/policy/tracing", { body: { sampleBps: 10_001 } })).status).toBe(400)
  })

  it("keeps company ids beyond 53 bits as they are", async ({ expect }) => {
    await platform.send("PUT /v1/policy/audiences", { body: { "cell:us01": { origins: ["https://us01.example"] } } })
    const zones = { us01: { audience: "cell:us01", baseUrl: "https://us01.example" } }
    const companies = { "9007199254740993": "us01", "9007199254740992": "us01", "1": "us01" }
    await platform.send("PUT /v1/policy/directory", { body: { zones, companies } })
    expect((await platform.published()).directory.companies).toEqual(companies)
  })
})

describe("policy: refuses", () => {
  it("refuses a change of a section that has changed since it was read", async ({ expect }) => {
    const read = await platform.send("GET /v1/policy/flags")
    await platform.send("PUT /v1/policy/flags", { body: { a: true } })
    const headers = { "if-match": read.headers.get("etag") ?? "" }
    expect((await platform.send("PUT /v1/policy/flags", { body: { b: true }, headers })).status).toBe(412)
    expect((await platform.published()).flags).toEqual({ a: true })
  })

  const wrong: Record<string, [section: string, body: unknown, pointer: string]> = {
    "a key that is no origin": [
      "audiences",
      { "cell:us01": { origins: ["https://us01.example/path"] } },
      "/cell:us01/origins/0",
    ],
    "an algorithm without signature": [
      "issuers",
      {
        idp: {
          issuer: "https://idp.example",
          audiences: ["x"],
          algorithms: ["none"],
          jwks: { keys: [{ kty: "EC", kid: "1" }] },
        },
      },
      "/idp/algorithms/0",
    ],
    "a symmetric key": [
      "issuers",
      {
        idp: {
          issuer: "https://idp.example",
          audiences: ["x"],
          algorithms: ["ES256"],
          jwks: { keys: [{ kty: "oct", kid: "1" }] },
        },
      },
      "/idp/jwks/keys/0/kty",
    ],
    "an object as a flag": ["flags", { a: {} }, "/a"],
  }
  for (const [what, [section, body, pointer]] of Object.entries(wrong))
    it(`refuses ${what} and points at it`, async ({ expect }) => {
      const sent = await platform.send(`PUT /v1/policy/${section}`, { body })
      expect([sent.status, sent.body.errors[0].pointer]).toEqual([400, pointer])
    })

  it("knows no section that is not in the contract", async ({ expect }) => {
    for (const section of ["nothing", "__proto__", "constructor"])
      expect((await platform.send(`GET /v1/policy/${section}`)).status).toBe(404)
  })
})

/** What a caller hears of a change that would make the config invalid: where in what it sent, and nothing of what others have. */
import { beforeEach, describe, it } from "vitest"
import { CONFIG_LIMITS } from "../../../contracts/dispatch-config.ts"
import { routeBody, startControlPlane, type TestControlPlane } from "../../test/harness.ts"

let platform: TestControlPlane
let alpha: string
beforeEach(async () => {
  platform = await startControlPlane()
  alpha = await platform.team("alpha")
  await platform.team("beta")
  await platform.script("a-script", "alpha", 1)
  await platform.script("b-script", "beta", 1)
  await platform.send("PUT /v1/hostnames/app.example", { body: { team: "beta", open: true } })
  // Others have routes before and after, so that the one of alpha is somewhere among them.
  for (const [id, path] of Object.entries({ "b-first": "/a/*", "b-second": "/b/*", "b-third": "/x/*" }))
    await put(id, { path, script: "b-script", team: "beta" })
})

function put(id: string, fields: Readonly<Record<string, unknown>>, token?: string) {
  const body = routeBody({ hostname: "app.example", ...fields })
  return platform.send(`PUT /v1/routes/${id}`, { body, ...(token === undefined ? {} : { token }) })
}
const session = { mode: "required", accept: ["session"] }

describe("a route that the config could not hold", () => {
  const cases: readonly [what: string, fields: object, pointer: string][] = [
    ["no issuer", { auth: { mode: "required" } }, "/auth/issuers"],
    ["an issuer that there is not", { auth: { mode: "required", issuers: ["nobody"] } }, "/auth/issuers"],
    ["sessions of nobody", { auth: session }, "/auth/issuers"],
    ["a level without sessions", { auth: { mode: "required", accept: ["service-key"], minLevel: 2 } }, "/auth/accept"],
    [
      "an age without sessions",
      { auth: { mode: "optional", accept: ["service-key"], maxAuthAgeS: 60 } },
      "/auth/accept",
    ],
    ["a scope where no credential is looked at", { auth: { mode: "none", scopes: ["read"] } }, "/auth/mode"],
  ]
  for (const [what, fields, pointer] of cases)
    it(`is refused for ${what}, at ${pointer} of the body`, async ({ expect }) => {
      const sent = await put("a-route", { path: "/m/*", script: "a-script", ...fields }, alpha)
      expect([sent.status, sent.body.code]).toEqual([422, "config.invalid"])
      expect(sent.body.errors.map((each: { pointer: string }) => each.pointer)).toEqual([pointer])
      expect(JSON.stringify(sent.body)).not.toMatch(/hostnames|routes\/[0-9]|b-first|beta/)
    })

  it("is refused for a zone that there is not, at /zone of the body", async ({ expect }) => {
    await platform.send("PUT /v1/teams/alpha", { body: { grants: ["zone:moon"], egress: [] } })
    const sent = await put("a-route", { path: "/m/*", script: "a-script", zone: "moon" }, alpha)
    expect(sent.body).toMatchObject({ code: "config.invalid", errors: [{ pointer: "/zone" }] })
  })

  it("is refused where it stands once it is moved, not where it stood", async ({ expect }) => {
    await put("a-route", { path: "/m/*", script: "a-script" }, alpha)
    const auth = { mode: "required", issuers: ["nobody"] }
    const sent = await put("a-route", { path: "/0/*", script: "a-script", auth }, alpha)
    expect(sent.body.errors.map((each: { pointer: string }) => each.pointer)).toEqual(["/auth/issuers"])
  })
})

describe("a policy section that the config could not hold", () => {
  const cases: readonly [what: string, section: string, body: object, pointer: string][] = [
    [
      "a zone whose audience there is not",
      "directory",
      { zones: { us01: { audience: "nothing", baseUrl: "https://us01.example" } }, companies: {} },
      "/zones/us01/audience",
    ],
    [
      "a company in a zone that there is not",
      "directory",
      { zones: {}, companies: { "100": "moon" } },
      "/companies/100",
    ],
  ]
  for (const [what, section, body, pointer] of cases)
    it(`is refused for ${what}, at ${pointer} of the body`, async ({ expect }) => {
      const sent = await platform.send(`PUT /v1/policy/${section}`, { body })
      expect(sent.body).toMatchObject({ code: "config.invalid", errors: [{ pointer }] })
    })

  it("is refused to ops for what others refer to, with the place that does", async ({ expect }) => {
    const audiences = { "cell:us01": { origins: ["https://us01.example"] } }
    await platform.send("PUT /v1/policy/audiences", { body: audiences })
    const zones = { us01: { audience: "cell:us01", baseUrl: "https://us01.example" } }
    await platform.send("PUT /v1/policy/directory", { body: { zones, companies: {} } })
    const sent = await platform.send("PUT /v1/policy/audiences", { body: {} })
    expect(sent.body.errors).toEqual([
      { pointer: "", detail: "in the config, /directory/zones/us01/audience: no such audience: cell:us01" },
    ])
  })
})

describe("a config that is at fault elsewhere", () => {
  // As after an update whose parser refuses what the one before took.
  beforeEach(async () => {
    const sql = `UPDATE routes SET spec = json_set(spec, '$.auth', json('{"mode":"required","issuers":["gone"],"scopes":[]}')) WHERE id = 'b-third'`
    await platform.deps.db.prepare(sql).run()
  })

  it("is told to a team without where and whose, and its own faults alone where it has some", async ({ expect }) => {
    const sent = await put("a-route", { path: "/m/*", script: "a-script" }, alpha)
    expect(sent.body).toMatchObject({ code: "config.invalid", errors: [{ pointer: "" }] })
    expect(sent.body.errors[0].detail).toContain("operators")
    expect(JSON.stringify(sent.body.errors)).not.toMatch(/hostnames|app\.example|routes|gone/)
    const both = await put("a-route", { path: "/m/*", script: "a-script", auth: { mode: "required" } }, alpha)
    expect(both.body.errors).toEqual([{ pointer: "/auth/issuers", detail: "at least one issuer is needed" }])
  })

  it("is told to ops with where", async ({ expect }) => {
    const sent = await platform.send("PUT /v1/policy/flags", { body: { a: true } })
    expect(sent.body.errors).toEqual([
      { pointer: "", detail: "in the config, /hostnames/app.example/routes/2/auth/issuers: no such issuer: gone" },
    ])
  })

  it("is told whoever asks, when the whole is too large", async ({ expect }) => {
    const long = Array.from({ length: 4_300 }, (_, index) => [`f-${index}`, "x".repeat(1_000)])
    const sent = await platform.send("PUT /v1/policy/flags", { body: Object.fromEntries(long) })
    const detail = `the config is larger than ${CONFIG_LIMITS.bytes} bytes`
    expect(sent.body.errors).toEqual([{ pointer: "", detail }])
  })
})

/** Names outside the grammar: who would make such a thing hears what a name is; who asks for one hears what is true, that there is none. */
import { beforeEach, describe, it } from "vitest"
import { PLAIN_TEAM, routeBody, startControlPlane, type TestControlPlane } from "../../test/harness.ts"

let platform: TestControlPlane
let alpha: string
beforeEach(async () => {
  platform = await startControlPlane()
  alpha = await platform.team("alpha")
  await platform.script("a-script", "alpha", 1)
  await platform.send("PUT /v1/hostnames/app.example.com", { body: { team: "alpha", open: true } })
})

const spec = routeBody({ hostname: "app.example.com", path: "/a/*", script: "a-script" })
const route = { ...spec, team: "alpha" }
const hostname = { team: null, open: true }
const WRONG: readonly [path: string, body: object, code: string, pointer: string, says: string][] = [
  ["/v1/scripts/a--b", { team: "alpha" }, "script.name-invalid", "/script", "single dashes"],
  ["/v1/scripts/Files", { team: "alpha" }, "script.name-invalid", "/script", "single dashes"],
  [`/v1/scripts/${"f".repeat(49)}`, { team: "alpha" }, "script.name-invalid", "/script", "1–48"],
  ["/v1/routes/R1", route, "api.name-invalid", "/route", "beginning with a letter"],
  ["/v1/routes/1r", route, "api.name-invalid", "/route", "beginning with a letter"],
  [`/v1/routes/${"r".repeat(64)}`, route, "api.name-invalid", "/route", "1–63"],
  ["/v1/teams/Web", PLAIN_TEAM, "api.name-invalid", "/team", "1–39"],
  ["/v1/hostnames/APP.example.com", hostname, "api.name-invalid", "/hostname", "write app.example.com"],
  ["/v1/hostnames/app.example.com.", hostname, "api.name-invalid", "/hostname", "write app.example.com"],
  ["/v1/hostnames/app_1.example.com", hostname, "api.name-invalid", "/hostname", "lower-case hostname"],
  ["/v1/hostnames/192.0.2.1", hostname, "api.name-invalid", "/hostname", "lower-case hostname"],
  ["/v1/service-accounts/Export", { scopes: [] }, "api.name-invalid", "/name", "beginning with a letter"],
]
const NEAR: readonly [path: string, body: object][] = [
  ["/v1/scripts/a-b", { team: "alpha" }],
  [`/v1/scripts/${"f".repeat(48)}`, { team: "alpha" }],
  ["/v1/routes/r1", route],
  [`/v1/routes/${"r".repeat(63)}`, route],
  ["/v1/hostnames/web.example.com", hostname],
]

describe("a name outside the grammar", () => {
  for (const [path, body, code, pointer, says] of WRONG)
    it(`is refused by PUT ${path.slice(0, 40)}, which names the grammar`, async ({ expect }) => {
      const sent = await platform.send(`PUT ${path}`, { body })
      expect([sent.status, sent.body.code]).toEqual([400, code])
      expect(sent.body.errors).toEqual([{ pointer, detail: expect.stringContaining(says) }])
    })

  for (const [path] of WRONG)
    it(`is absent to GET and DELETE ${path.slice(0, 40)}, as what is not there`, async ({ expect }) => {
      expect((await platform.send(`GET ${path}`)).body.code).toBe("api.not-found")
      const deleted = await platform.send(`DELETE ${path}`)
      expect([404, 405]).toContain(deleted.status)
    })

  for (const [path, body] of NEAR)
    it(`is not taken for one: PUT ${path.slice(0, 40)} is carried out`, async ({ expect }) => {
      expect((await platform.send(`PUT ${path}`, { body })).status).toBe(201)
    })

  it("is described with its code wherever a PUT takes a name, and as absent elsewhere", async ({ expect }) => {
    const { paths } = (await platform.send("GET /openapi.json")).body
    const says = (path: string, method: string, status: number): string =>
      paths[path][method].responses[status]?.description ?? ""
    for (const path of ["/v1/teams/{team}", "/v1/hostnames/{hostname}", "/v1/routes/{route}"]) {
      expect(says(path, "put", 400)).toContain("`api.name-invalid`")
      expect(says(path, "put", 404)).toBe("")
      expect(says(path, "get", 404)).toContain("`api.not-found`")
      expect(says(path, "get", 400)).not.toContain("name-invalid")
    }
    expect(says("/v1/scripts/{script}", "put", 400)).toContain("`script.name-invalid`")
  })

  it("is no way to learn anything without a token", async ({ expect }) => {
    expect((await platform.send("PUT /v1/scripts/a--b", { body: {}, token: null })).status).toBe(401)
  })
})

describe("the hostname of a route", () => {
  const put = (name: string) =>
    platform.send("PUT /v1/routes/a-route", { token: alpha, body: { ...spec, hostname: name } })
  for (const name of ["APP.example.com", "app.example.com.", "App.Example.com."])
    it(`is refused as ${name}, with the canonical form`, async ({ expect }) => {
      const sent = await put(name)
      expect([sent.status, sent.body.code]).toEqual([400, "api.body-invalid"])
      expect(sent.body.errors).toEqual([
        {
          pointer: "/hostname",
          detail: "must be a lower-case hostname without trailing dot; write app.example.com",
        },
      ])
    })

  for (const name of [
    "app_1.example.com",
    "https://app.example.com",
    "app.example.com:443",
    "",
    "192.0.2.1",
    "ä.example",
  ])
    it(`is refused as ${JSON.stringify(name)}, for which there is no canonical form`, async ({ expect }) => {
      const sent = await put(name)
      expect([sent.status, sent.body.code]).toEqual([400, "api.body-invalid"])
      expect(sent.body.errors).toEqual([
        { pointer: "/hostname", detail: "must be a lower-case hostname without trailing dot" },
      ])
    })

  it("is closed, not malformed, where it is well written and not there", async ({ expect }) => {
    expect((await put("apps.example.com")).body.code).toBe("route.hostname-closed")
    expect((await put("app.example.com")).status).toBe(201)
  })
})

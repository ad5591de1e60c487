import { beforeEach, describe, it } from "vitest"
import { routeBody, startControlPlane, type TestControlPlane } from "../test/harness.ts"
import { covers } from "./route-rules.ts"

describe("covers", () => {
  const cases: readonly [prefix: string, path: string, covered: boolean][] = [
    ["/api/*", "/api", true],
    ["/api/*", "/api/", true],
    ["/api/*", "/api/v1", true],
    ["/api/*", "/api/v1/*", true],
    ["/api/*", "/api/*", true],
    ["/api/*", "/apiary", false],
    ["/api/*", "/apiary/*", false],
    ["/api/*", "/ap", false],
    ["/api/*", "/API/v1", false],
    ["/api/*", "/", false],
    ["/api/*", "/*", false],
    ["/api", "/api", false],
    ["/api", "/api/v1", false],
    ["/*", "/", true],
    ["/*", "/anything", true],
    ["/", "/anything", false],
  ]
  for (const [prefix, path, covered] of cases)
    it(`${prefix} ${covered ? "covers" : "does not cover"} ${path}`, ({ expect }) => {
      expect(covers(prefix, path)).toBe(covered)
    })
})

let platform: TestControlPlane
let alpha: string
let beta: string
beforeEach(async () => {
  platform = await startControlPlane()
  alpha = await platform.team("alpha")
  beta = await platform.team("beta")
  await platform.script("a-script", "alpha", 2)
  await platform.script("b-script", "beta", 1)
  await platform.send("PUT /v1/hostnames/open.example", { body: { team: "alpha", open: true } })
  await platform.send("PUT /v1/hostnames/closed.example", { body: { team: "alpha" } })
})

function put(id: string, token: string | undefined, fields: Readonly<Record<string, unknown>>) {
  const script = token === beta ? "b-script" : "a-script"
  const body = routeBody({ hostname: "open.example", script, ...fields })
  return platform.send(`PUT /v1/routes/${id}`, { body, ...(token === undefined ? {} : { token }) })
}

describe("routes: works", () => {
  it("lets any team attach its Worker on an open hostname, and publishes it", async ({ expect }) => {
    const sent = await put("b-route", beta, { path: "/b/*" })
    expect(sent.status).toBe(201)
    expect(sent.body).toMatchObject({ id: "b-route", team: "beta", script: "b-script", open: false })
    const { hostnames, scripts } = await platform.published()
    expect(hostnames["open.example"].routes).toMatchObject([{ id: "b-route", path: "/b/*" }])
    expect(scripts["b-script"]).toMatchObject({ team: "beta", releases: null })
  })

  it("lets a team go below another's route that is open, and beside one that is not", async ({ expect }) => {
    await put("a-open", alpha, { path: "/shared/*", open: true })
    await put("a-closed", alpha, { path: "/api/*" })
    expect((await put("b-below", beta, { path: "/shared/b/*" })).status).toBe(201)
    expect((await put("b-beside", beta, { path: "/apiary/*" })).status).toBe(201)
    expect((await put("b-above", beta, { path: "/*" })).status).toBe(201)
  })

  it("counts only the nearest route above: what that has given away further up is not asked again", async ({
    expect,
  }) => {
    await put("a-all", alpha, { path: "/*" })
    await put("b-part", undefined, { path: "/b/*", team: "beta", script: "b-script" })
    expect((await put("b-deep", beta, { path: "/b/deep" })).status).toBe(201)
    expect((await put("b-else", beta, { path: "/else" })).body.code).toBe("route.under-another-team")
  })

  it("lets ops attach anything anywhere, in the name of a team", async ({ expect }) => {
    await put("a-all", alpha, { path: "/*" })
    expect((await put("ops-route", undefined, { path: "/x", team: "beta", script: "a-script" })).status).toBe(201)
  })

  it("lets a team keep the foreign script that ops gave its route, and change the rest", async ({ expect }) => {
    await put("given", undefined, { path: "/x", team: "beta", script: "a-script" })
    expect((await put("given", beta, { path: "/x", script: "a-script", timeoutMs: 500 })).status).toBe(200)
    expect((await put("other", beta, { path: "/y", script: "a-script" })).status).toBe(400)
  })

  it("gives each route weights of its own, and only of versions in the namespace", async ({ expect }) => {
    const releases = [
      { version: 1, weightBps: 9_000 },
      { version: 2, weightBps: 1_000 },
    ]
    expect((await put("a-route", alpha, { path: "/a/*", releases })).status).toBe(201)
    const missing = [{ version: 3, weightBps: 10_000 }]
    const sent = await put("a-route", alpha, { path: "/a/*", releases: missing })
    expect(sent.body).toMatchObject({ code: "api.body-invalid", errors: [{ pointer: "/releases/0/version" }] })
    await platform.deps.db.prepare("UPDATE versions SET state = 'recorded' WHERE number = 2").run()
    const half = [
      { version: 1, weightBps: 5_000 },
      { version: 2, weightBps: 5_000 },
    ]
    expect((await put("a-route", alpha, { path: "/a/*", releases: half })).body).toMatchObject({
      code: "version.not-placed",
      errors: [{ pointer: "/releases/1/version" }],
    })
  })

  it("detaches a route, and nothing is served there any more", async ({ expect }) => {
    await put("a-route", alpha, { path: "/a/*" })
    expect((await platform.send("DELETE /v1/routes/a-route?message=done", { token: alpha })).status).toBe(204)
    expect((await platform.published()).hostnames["open.example"].routes).toEqual([])
    const [record] = (await platform.send("GET /v1/audit")).body.items
    expect(record).toMatchObject({ action: "route.delete", detail: { message: "done", route: { path: "/a/*" } } })
  })
})

describe("routes: refuses", () => {
  it("refuses a second route with the hostname and path of another", async ({ expect }) => {
    await put("first", alpha, { path: "/a/*" })
    for (const token of [alpha, beta, undefined])
      expect((await put("second", token, { path: "/a/*", team: token === beta ? "beta" : "alpha" })).body.code).toBe(
        "route.taken",
      )
  })

  it("gives one of many concurrent claims of a path to exactly one", async ({ expect }) => {
    const claims = Array.from({ length: 10 }, (_, index) =>
      put(`claim-${index}`, index % 2 === 0 ? alpha : beta, { path: "/prize" }),
    )
    const sent = await Promise.all(claims)
    expect(sent.filter((each) => each.status === 201)).toHaveLength(1)
    expect(new Set(sent.filter((each) => each.status !== 201).map((each) => each.body.code))).toEqual(
      new Set(["route.taken"]),
    )
  })

  for (const path of ["/api", "/api/v1", "/api/v1/*", "/api/deep/down/*"])
    it(`refuses ${path} below another team's /api/*`, async ({ expect }) => {
      await put("a-api", alpha, { path: "/api/*" })
      expect((await put("b-api", beta, { path })).body.code).toBe("route.under-another-team")
    })

  it("refuses to move a route below another team's", async ({ expect }) => {
    await put("a-api", alpha, { path: "/api/*" })
    await put("b-route", beta, { path: "/b/*" })
    expect((await put("b-route", beta, { path: "/api/b/*" })).body.code).toBe("route.under-another-team")
  })

  it("refuses a closed hostname and an unknown one in the same words", async ({ expect }) => {
    const closed = await put("b-route", beta, { hostname: "closed.example", path: "/b" })
    const unknown = await put("b-route", beta, { hostname: "unknown.example", path: "/b" })
    expect([closed.body.code, closed.body.detail]).toEqual([unknown.body.code, unknown.body.detail])
    expect(closed.body.code).toBe("route.hostname-closed")
    expect((await put("a-route", alpha, { hostname: "closed.example", path: "/a" })).status).toBe(201)
    const ops = await put("o-route", undefined, { hostname: "unknown.example", path: "/o", team: "alpha" })
    expect(ops.body).toMatchObject({ code: "api.body-invalid", errors: [{ pointer: "/hostname" }] })
  })

  it("refuses another team's script and an absent one in the same words", async ({ expect }) => {
    const foreign = await put("b-route", beta, { path: "/b", script: "a-script" })
    const absent = await put("b-route", beta, { path: "/b", script: "nothing" })
    expect([foreign.body.code, foreign.body.errors]).toEqual([absent.body.code, absent.body.errors])
    expect(foreign.body.errors).toEqual([{ pointer: "/script", detail: expect.any(String) }])
  })

  it("refuses to act in the name of another team, and to take over its route by its id", async ({ expect }) => {
    expect((await put("b-route", beta, { path: "/b", team: "alpha" })).body.code).toBe("api.forbidden")
    await put("a-route", alpha, { path: "/a" })
    expect((await put("a-route", beta, { path: "/elsewhere" })).body.code).toBe("api.conflict")
    expect((await put("a-route", beta, { path: "/a" })).body.code).toBe("api.conflict")
    expect((await platform.send("GET /v1/routes/a-route")).body.team).toBe("alpha")
  })

  it("refuses ops a route without a team, or with one that does not exist", async ({ expect }) => {
    expect((await put("o-route", undefined, { path: "/o" })).body.errors[0].pointer).toBe("/team")
    expect((await put("o-route", undefined, { path: "/o", team: "nobody" })).body.errors[0].pointer).toBe("/team")
  })

  for (const path of ["", "a", "/a/", "/a//b", "/a/../b", "/a*", "/*/a", "/a?b", "/a%2fb", "//"])
    it(`refuses the path ${JSON.stringify(path)}`, async ({ expect }) => {
      expect((await put("a-route", alpha, { path })).status).toBe(400)
    })

  it("refuses to change a route that has changed since it was read", async ({ expect }) => {
    const first = await put("a-route", alpha, { path: "/a" })
    await put("a-route", alpha, { path: "/a", timeoutMs: 500 })
    const late = await platform.send("DELETE /v1/routes/a-route", {
      token: alpha,
      headers: { "if-match": first.headers.get("etag") ?? "" },
    })
    expect(late.status).toBe(412)
    expect((await platform.send("GET /v1/routes/a-route", { token: alpha })).status).toBe(200)
  })
})

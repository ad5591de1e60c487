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
  await platform.send("PUT /v1/hostnames/closed.example", { body: { team: "alpha", open: false } })
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
  })

  it("counts only the nearest route above: what that has given away further up is not asked again", async ({
    expect,
  }) => {
    await put("a-all", alpha, { path: "/*" })
    await put("b-part", undefined, { path: "/b/*", team: "beta", script: "b-script" })
    expect((await put("b-deep", beta, { path: "/b/deep" })).status).toBe(201)
    expect((await put("b-else", beta, { path: "/else/*" })).body.code).toBe("route.under-another-team")
  })

  it("lets ops attach anything anywhere, in the name of a team", async ({ expect }) => {
    await put("a-all", alpha, { path: "/*" })
    expect((await put("ops-route", undefined, { path: "/x", team: "beta", script: "a-script" })).status).toBe(201)
  })

  it("lets a team keep the foreign script that ops gave its route, switch it off and bound its time", async ({
    expect,
  }) => {
    await put("given", undefined, { path: "/x", team: "beta", script: "a-script" })
    const kill = { mode: "enforce", reason: "wrong answers" }
    expect((await put("given", beta, { path: "/x", script: "a-script", timeoutMs: 500, kill })).status).toBe(200)
    expect((await put("given", beta, { path: "/x", script: "a-script" })).status).toBe(200)
    expect((await put("other", beta, { path: "/y/*", script: "a-script" })).status).toBe(400)
  })

  it("lets a team change a route that ops have since put a broader one above, or whose hostname they closed", async ({
    expect,
  }) => {
    await put("b-route", beta, { path: "/b/*" })
    await put("a-all", undefined, { path: "/*", team: "alpha", script: "a-script" })
    const kill = { mode: "enforce", reason: "wrong answers" }
    expect((await put("b-route", beta, { path: "/b/*", kill })).status).toBe(200)
    const closed = { team: "alpha", open: false }
    expect((await platform.send("PUT /v1/hostnames/open.example", { body: closed })).status).toBe(200)
    expect((await put("b-route", beta, { path: "/b/*", timeoutMs: 500 })).status).toBe(200)
    expect((await put("b-route", beta, { path: "/b/c/*" })).body.code).toBe("route.hostname-closed")
  })

  for (const path of [
    "/hello/*",
    "/hello/deep/*",
    "/hello/world",
    "/.well-knownish/*",
    "/shared/hello/*",
    "/shared/a/b",
  ])
    it(`lets a team attach ${path} on another's open hostname, where /shared/* is open`, async ({ expect }) => {
      await put("a-open", alpha, { path: "/shared/*", open: true })
      expect((await put("b-route", beta, { path })).status).toBe(201)
    })

  for (const path of ["/", "/*", "/sw.js", "/.well-known/x", "/.well-known/*"])
    it(`lets a team attach ${path} on its own hostname`, async ({ expect }) => {
      expect((await put("a-route", alpha, { path })).status).toBe(201)
    })

  it("lets a team do below its own route what it likes", async ({ expect }) => {
    await put("b-all", undefined, { path: "/*", team: "beta", script: "b-script" })
    expect((await put("b-worker", beta, { path: "/sw.js" })).status).toBe(201)
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
    // The weights that are there stay, whatever has become of their versions: a kill switch must work.
    const kill = { mode: "enforce", reason: "leak" }
    expect((await put("a-route", alpha, { path: "/a/*", releases, kill })).status).toBe(200)
  })

  it("detaches a route, and nothing is served there any more", async ({ expect }) => {
    await put("a-route", alpha, { path: "/a/*" })
    expect((await platform.send("DELETE /v1/routes/a-route?message=done", { token: alpha })).status).toBe(204)
    expect((await platform.published()).hostnames["open.example"].routes).toEqual([])
    const [record] = (await platform.send("GET /v1/audit")).body.items
    expect(record).toMatchObject({ action: "route.delete", detail: { message: "done", route: { path: "/a/*" } } })
  })
})

describe("what a route asks of its callers", () => {
  const issuer = {
    issuer: "https://idp.example",
    audiences: ["https://api.example"],
    algorithms: ["ES256"],
    jwks: {
      keys: [
        {
          kty: "EC",
          crv: "P-256",
          kid: "k1",
          x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
          y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        },
      ],
    },
  }
  beforeEach(async ({ expect }) => {
    expect((await platform.send("PUT /v1/policy/issuers", { body: { corporate: issuer } })).status).toBe(200)
  })
  const session = { mode: "required", issuers: ["corporate"], accept: ["session"] }
  const sent = (auth: object) => put("a-route", alpha, { path: "/a/*", auth })

  for (const [what, auth] of Object.entries({
    "sessions, a level, a fresh login and a login to go to": {
      ...session,
      minLevel: 2,
      maxAuthAgeS: 300,
      sensitive: true,
      login: "/login/start",
    },
    "every kind of credential and an audience": {
      ...session,
      accept: ["bearer", "session", "service-key"],
      audiences: ["https://files.example"],
    },
    "service keys alone, which no issuer makes": { mode: "required", accept: ["service-key"] },
  }))
    it(`may be, by its own team: ${what}`, async ({ expect }) => {
      expect((await sent(auth)).status).toBe(201)
      const { hostnames } = await platform.published()
      expect(hostnames["open.example"].routes).toMatchObject([{ auth }])
    })

  for (const [what, auth] of Object.entries({
    "a level of tokens": { ...session, accept: ["bearer"], minLevel: 2 },
    "a fresh login of tokens": { ...session, accept: ["bearer", "service-key"], maxAuthAgeS: 300 },
    "a level where no credential is looked at": { mode: "none", minLevel: 2 },
    "a kind of credential where none is looked at": { mode: "none", accept: ["session"] },
    "sessions of nobody": { mode: "required", accept: ["session"] },
    "sessions of an issuer that there is not": { ...session, issuers: ["elsewhere"] },
    "a kind that there is not": { ...session, accept: ["cookie"] },
    "no kind": { ...session, accept: [] },
    "a level that there is not": { ...session, minLevel: 4 },
    "a login on another host": { ...session, login: "//evil.example/login" },
    "a login elsewhere": { ...session, login: "https://evil.example/login" },
    "a login with a query": { ...session, login: "/login?return_to=//evil.example" },
  }))
    it(`may not be ${what}`, async ({ expect }) => {
      const { status, body } = await sent(auth)
      expect([400, 409, 422]).toContain(status)
      expect(body.code).toMatch(/^(api\.body-invalid|config\.invalid)$/)
      expect((await platform.published()).hostnames["open.example"].routes).toEqual([])
    })

  for (const name of ["service-accounts", "passports"])
    it(`is never asked of an issuer that calls itself ${name}`, async ({ expect }) => {
      const { body } = await platform.send("PUT /v1/policy/issuers", { body: { [name]: issuer } })
      expect(body.code).toMatch(/^(api\.body-invalid|config\.invalid)$/)
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
      put(`claim-${index}`, index % 2 === 0 ? alpha : beta, { path: "/prize/*" }),
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

  for (const path of ["/", "/*", "/sw.js", "/login", "/.well-known/*", "/.well-known/a/b", "/shared/sw.js"])
    it(`refuses ${path} on another team's open hostname, where /shared/* is open`, async ({ expect }) => {
      await put("a-open", alpha, { path: "/shared/*", open: true })
      expect((await put("b-route", beta, { path })).body.code).toBe("route.path-reserved")
    })

  it("refuses /login on an open hostname that is nobody's, and below another's open route on the own one", async ({
    expect,
  }) => {
    await platform.send("PUT /v1/hostnames/nobody.example", { body: { team: null, open: true } })
    const nobodys = await put("b-route", beta, { hostname: "nobody.example", path: "/login" })
    expect(nobodys.body.code).toBe("route.path-reserved")
    await put("b-open", undefined, { path: "/b/*", team: "beta", script: "b-script", open: true })
    expect((await put("a-route", alpha, { path: "/b/sw.js" })).body.code).toBe("route.path-reserved")
  })

  for (const path of ["/b/*", "/b/c/*"])
    it(`refuses ${path} above another team's /b/c/d/*, and not the same from ops`, async ({ expect }) => {
      await put("b-route", beta, { path: "/b/c/d/*" })
      expect((await put("a-above", alpha, { path })).body.code).toBe("route.above-another-team")
      expect((await put("a-above", undefined, { path, team: "alpha", script: "a-script" })).status).toBe(201)
    })

  it("does not take a path beside another team's for one above it", async ({ expect }) => {
    await put("b-route", beta, { path: "/b/c/*" })
    for (const path of ["/b", "/b/cc/*", "/b/d/*"])
      expect((await put(`a-${path.length}`, alpha, { path })).status).toBe(201)
  })

  it("refuses to move or widen a route above another team's", async ({ expect }) => {
    await put("b-route", beta, { path: "/b/c/*" })
    await put("a-route", alpha, { path: "/a/*" })
    expect((await put("a-route", alpha, { path: "/b/*" })).body.code).toBe("route.above-another-team")
  })

  for (const [what, fields] of Object.entries({
    auth: { auth: { mode: "optional", issuers: ["example-idp"] } },
    path: { path: "/y/*" },
    hostname: { hostname: "other.example" },
    releases: { releases: [{ version: 1, weightBps: 10_000 }] },
    open: { open: true },
    stickyBy: { stickyBy: "request" },
  }))
    it(`refuses a team the ${what} of a route that ops gave a foreign script`, async ({ expect }) => {
      await platform.send("PUT /v1/hostnames/other.example", { body: { team: "beta", open: true } })
      await put("given", undefined, { path: "/x/*", team: "beta", script: "a-script" })
      const sent = await put("given", beta, { path: "/x/*", script: "a-script", ...fields })
      expect(sent.body).toMatchObject({ code: "api.forbidden", errors: [{ pointer: `/${what}` }] })
      const own = await put("given", beta, { path: "/x/*", script: "b-script" })
      expect(own.body).toMatchObject({ code: "api.forbidden", errors: [{ pointer: "/script" }] })
    })

  it("refuses to move a route below another team's", async ({ expect }) => {
    await put("a-api", alpha, { path: "/api/*" })
    await put("b-route", beta, { path: "/b/*" })
    expect((await put("b-route", beta, { path: "/api/b/*" })).body.code).toBe("route.under-another-team")
  })

  it("refuses a closed hostname and an unknown one in the same words", async ({ expect }) => {
    const closed = await put("b-route", beta, { hostname: "closed.example", path: "/b/*" })
    const unknown = await put("b-route", beta, { hostname: "unknown.example", path: "/b/*" })
    expect([closed.body.code, closed.body.detail]).toEqual([unknown.body.code, unknown.body.detail])
    expect(closed.body.code).toBe("route.hostname-closed")
    expect((await put("a-route", alpha, { hostname: "closed.example", path: "/a" })).status).toBe(201)
    const ops = await put("o-route", undefined, { hostname: "unknown.example", path: "/o", team: "alpha" })
    expect(ops.body).toMatchObject({ code: "api.body-invalid", errors: [{ pointer: "/hostname" }] })
  })

  it("refuses another team's script and an absent one in the same words", async ({ expect }) => {
    const foreign = await put("b-route", beta, { path: "/b/*", script: "a-script" })
    const absent = await put("b-route", beta, { path: "/b/*", script: "nothing" })
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

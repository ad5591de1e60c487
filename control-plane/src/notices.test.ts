/** What is said of what is in force and may not be meant. */
import { beforeEach, describe, expect, it } from "vitest"
import {
  OPS_TOKEN,
  PLAIN_TEAM,
  PUBLIC_KEY,
  routeBody,
  startControlPlane,
  type TestControlPlane,
} from "../test/harness.ts"

let platform: TestControlPlane
let alpha: string
beforeEach(async () => {
  platform = await startControlPlane()
  alpha = await platform.team("alpha")
  await platform.script("pay", "alpha", 1)
  await platform.send("POST /v1/scripts/pay/deployments", { body: { releases: [{ version: 1, weightBps: 10_000 }] } })
  await platform.send("PUT /v1/hostnames/a.example", { body: { team: "alpha", open: false } })
  const issuer = { audiences: ["x"], algorithms: ["ES256"], jwks: { keys: [PUBLIC_KEY] } }
  await put("policy/issuers", {
    people: { ...issuer, issuer: "https://people.example" },
    machines: { ...issuer, issuer: "https://machines.example", kind: "service" },
  })
})

async function put(path: string, body: object): Promise<void> {
  const sent = await platform.send(`PUT /v1/${path}`, { body })
  expect([path, sent.status, sent.body.errors]).toEqual([path, expect.toSatisfy((status) => status < 300), undefined])
}
const route = (fields: object) =>
  put("routes/pay", routeBody({ hostname: "a.example", path: "/pay/*", script: "pay", team: "alpha", ...fields }))
const notices = async (token?: string) =>
  (await platform.send("GET /v1/notices", token === undefined ? {} : { token })).body.items
const about = async (code: string) =>
  (await notices())
    .filter((notice: { code: string }) => notice.code === code)
    .map((notice: { about: string }) => notice.about)

describe("a route that nobody can pass", () => {
  const required = (more: object = {}) => ({ mode: "required", issuers: ["people"], scopes: [], ...more })
  const sessions = { accept: ["session"] }
  const bearer = { accept: ["bearer"] }
  const keys = { accept: ["service-key"], issuers: [] }
  const none = { mode: "none" }

  it.each<[what: string, auth: object, access: object, isSaid: boolean]>([
    ["a level, where only tokens are looked at", required(bearer), { minLevel: 2 }, true],
    ["a level, where nothing is said of sessions", required(), { minLevel: 2 }, true],
    ["a level, where sessions are", required(sessions), { minLevel: 2 }, false],
    ["a level, where sessions are among others", required({ accept: ["bearer", "session"] }), { minLevel: 2 }, false],
    ["an age, where only keys are", required(keys), { maxAuthAgeS: 60 }, true],
    ["an age, where sessions are", required(sessions), { maxAuthAgeS: 60 }, false],
    ["a scope, where no credential is looked at", none, { scopes: ["a"] }, true],
    ["a scope, where one is", required(), { scopes: ["a"] }, false],
    ["a scope, where one may be", { mode: "optional", issuers: ["people"] }, { scopes: ["a"] }, false],
    ["nothing of a credential, where none is looked at", none, { scopes: [], sensitive: true }, false],
    ["services, where people's tokens are looked at", required(), { kinds: ["service"] }, true],
    [
      "services, where machines' tokens are too",
      required({ issuers: ["people", "machines"] }),
      { kinds: ["service"] },
      false,
    ],
    ["services, where keys are", required(keys), { kinds: ["service"] }, false],
    ["people, where only keys are", required(keys), { kinds: ["user"] }, true],
    ["people, where only machines' tokens are", required({ issuers: ["machines"] }), { kinds: ["user"] }, true],
    ["either, where only keys are", required(keys), { kinds: ["user", "service"] }, false],
    [
      "services, where the route is for people",
      required({ kinds: ["user"], issuers: ["people", "machines"] }),
      { kinds: ["service"] },
      true,
    ],
    [
      "a session of services",
      required({ accept: ["session", "service-key"] }),
      { kinds: ["service"], minLevel: 1 },
      true,
    ],
  ])("because the script asks for %s", async (_what, auth, access, isSaid) => {
    await route({ auth })
    await put("scripts/pay", { access: { scopes: [], ...access } })
    expect(await about("nobody-passes")).toEqual(isSaid ? ["routes/pay"] : [])
  })

  it.each<[auth: object, isSaid: boolean]>([
    [required({ accept: ["session"], kinds: ["service"] }), true],
    [required({ accept: ["session", "service-key"], kinds: ["service"] }), false],
    [required({ ...keys, kinds: ["user"] }), true],
    [required({ ...keys, kinds: ["user", "service"] }), false],
    [required({ issuers: ["machines"], kinds: ["user"] }), true],
    [required({ issuers: ["machines", "people"], kinds: ["user"] }), false],
    [{ ...required({ accept: ["session"], kinds: ["service"] }), mode: "optional" }, true],
  ])("is said of one that by itself is for what it does not look at: %j", async (auth, isSaid) => {
    await route({ auth })
    expect(await about("nobody-passes")).toEqual(isSaid ? ["routes/pay"] : [])
  })

  it("is said with the reason, to its team and to ops, and is no refusal", async () => {
    await route({ auth: required(bearer) })
    await put("scripts/pay", { access: { scopes: [], minLevel: 2 } })
    const said = {
      about: "routes/pay",
      team: "alpha",
      script: "pay",
      code: "nobody-passes",
      detail: "it accepts no session, and pay asks for one (access.minLevel)",
    }
    expect(await notices()).toEqual([said])
    expect(await notices(alpha)).toEqual([said])
    expect(await notices(await platform.team("beta"))).toEqual([])
  })

  it.each([
    [{ minLevel: 2 }, required(bearer)],
    [{ scopes: ["secret"] }, none],
    [{ kinds: ["service"] }, required()],
  ])("tells a team nothing of what another team's script asks for, and ops all: %j", async (access, auth) => {
    await platform.team("beta")
    await platform.script("vault", "beta", 1)
    const releases = [{ version: 1, weightBps: 10_000 }]
    await platform.send("POST /v1/scripts/vault/deployments", { body: { releases } })
    await put("scripts/vault", { access: { scopes: [], ...access } })
    await route({ script: "vault", auth })
    const detailFor = async (token?: string) => (await notices(token)).map(({ detail }: { detail: string }) => detail)
    expect(await detailFor(alpha)).toEqual([
      "vault, which is another team's, asks for what this route does not look at",
    ])
    expect(await detailFor()).toEqual([expect.stringMatching(/access/)])
    await platform.send("PUT /v1/routes/pay", {
      body: routeBody({
        hostname: "a.example",
        path: "/pay/*",
        script: "vault",
        team: "alpha",
        auth: { ...required({ ...keys, kinds: ["user"] }) },
      }),
    })
    expect(await detailFor(alpha)).toEqual(await detailFor())
  })
})

describe("a zone that fell with its grant", () => {
  beforeEach(async () => {
    await put("policy/audiences", { "cell:uk01": { origins: ["https://uk01.example"] } })
    const zones = { uk01: { audience: "cell:uk01", baseUrl: "https://uk01.example" } }
    await put("policy/directory", { zones, companies: {} })
    await put("teams/alpha", { grants: ["zone:uk01"], egress: [] })
  })

  it("is said while the grant is missing", async () => {
    const body = routeBody({ hostname: "a.example", path: "/pay/*", script: "pay", zone: "uk01" })
    await platform.send("PUT /v1/routes/pay", { body, token: alpha })
    expect(await notices()).toEqual([])
    await put("teams/alpha", PLAIN_TEAM)
    expect(await notices()).toMatchObject([
      { about: "routes/pay", code: "zone-fallen", detail: expect.stringContaining("zone:uk01") },
    ])
    await put("teams/alpha", { grants: ["zone:uk01"], egress: [] })
    expect(await notices()).toEqual([])
  })

  it("is not, where ops named the zone", async () => {
    await put("teams/alpha", PLAIN_TEAM)
    await route({ zone: "uk01" })
    expect(await notices()).toEqual([])
  })
})

describe("what is not deployed", () => {
  it("is said of the route to it, unless that has weights of its own", async () => {
    await platform.script("new", "alpha", 1)
    await route({ script: "new" })
    expect(await about("not-deployed")).toEqual(["routes/pay"])
    await route({ script: "new", releases: [{ version: 1, weightBps: 10_000 }] })
    expect(await about("not-deployed")).toEqual([])
  })
})

describe("notices of one thing", () => {
  const listed = async (query: string, token = alpha) =>
    (await platform.send(`GET /v1/notices?${query}`, { token })).body.items.map(
      (notice: { about: string; code: string }) => `${notice.about} ${notice.code}`,
    )
  beforeEach(async () => {
    const kill = { mode: "log", reason: "who comes" }
    await platform.script("new", "alpha", 1)
    const body = { hostname: "a.example", team: "alpha" }
    await put("routes/pay", routeBody({ ...body, path: "/pay/*", script: "new" }))
    await put("routes/pay-more", routeBody({ ...body, path: "/more/*", script: "pay", kill }))
    await put("scripts/new", { kill })
    await platform.team("beta")
    await put("teams/beta", { ...PLAIN_TEAM, kill })
  })

  it.each([
    ["about=routes/pay", ["routes/pay not-deployed"]],
    ["about=scripts/new", ["scripts/new switched-off"]],
    ["about=routes/none", []],
    ["script=new", ["routes/pay not-deployed", "scripts/new switched-off"]],
    ["script=new&about=routes/pay", ["routes/pay not-deployed"]],
    ["script=pay&about=routes/pay", []],
    ["team=alpha", ["routes/pay not-deployed", "routes/pay-more switched-off", "scripts/new switched-off"]],
    ["team=alpha&limit=1", ["routes/pay not-deployed"]],
    ["team=beta", []],
    ["about=teams/beta", []],
  ])("are those that %s names, of what is the reader's", async (query, said) => {
    expect(await listed(query)).toEqual(said)
  })

  it("are of any team for ops, and another field is refused", async () => {
    expect(await listed("team=beta", OPS_TOKEN)).toEqual(["teams/beta switched-off"])
    expect((await platform.send("GET /v1/notices?route=pay")).body.code).toBe("api.query-invalid")
  })
})

describe("a switch that is thrown", () => {
  it("is said of route, script and team, with mode, reason and whose it is", async () => {
    const kill = (mode: string, reason: string) => ({ kill: { mode, reason } })
    const body = routeBody({ hostname: "a.example", path: "/pay/*", script: "pay", ...kill("log", "who comes") })
    await platform.send("PUT /v1/routes/pay", { body, token: alpha })
    await put("scripts/pay", kill("enforce", "leaks"))
    await put("teams/alpha", { ...PLAIN_TEAM, ...kill("enforce", "its token") })
    expect((await notices()).map(({ about, detail }: { about: string; detail: string }) => [about, detail])).toEqual([
      ["routes/pay", "would be switched off (log) by its team: who comes"],
      ["scripts/pay", "switched off by ops: leaks"],
      ["teams/alpha", "switched off by ops: its token"],
    ])
    await put("scripts/pay", { kill: null })
    await put("teams/alpha", { ...PLAIN_TEAM, kill: null })
    await route({})
    expect(await notices()).toEqual([])
  })

  it("is listed page by page, each once", async () => {
    const kill = { mode: "enforce", reason: "incident" }
    for (const name of ["d", "b", "a", "c", "e"]) await put(`teams/${name}`, { ...PLAIN_TEAM, kill })
    const seen: string[] = []
    for (let cursor: string | null = ""; cursor !== null; ) {
      const page = await platform.send(
        `GET /v1/notices?limit=2${cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`}`,
      )
      seen.push(...page.body.items.map((notice: { about: string }) => notice.about))
      cursor = page.body.nextCursor
    }
    expect(seen).toEqual(["teams/a", "teams/b", "teams/c", "teams/d", "teams/e"])
  })
})

import { describe, expect, it } from "vitest"
import {
  deploymentShape,
  hostnameShape,
  noticeShape,
  pinShape,
  routeShape,
  scriptShape,
  teamShape,
  tokenCreated,
  tokenShape,
  whoamiShape,
} from "../contracts/api.ts"
import { policySections } from "../contracts/dispatch-config.ts"
import { AT, TOKEN, useBench } from "./testing/command-line.ts"
import { page, problem, thing } from "./testing/control-plane-double.ts"

const bench = useBench()
const lastPut = () => bench.api.received.findLast(({ line }) => line.startsWith("PUT "))

const team = { name: "web", grants: ["zones:read" as const], egress: [], kill: null, createdAt: AT }

const script = {
  name: "files",
  team: "web",
  stickyBy: "company" as const,
  limits: { cpuMs: 1000, subRequests: 50 },
  timeoutMs: 30_000,
  deployOnUpload: true,
  keepAssetVersions: 3,
  keepPlacedVersions: 10,
  access: null,
  kill: null,
  releases: [
    { version: 12, weightBps: 9000 },
    { version: 13, weightBps: 1000 },
  ],
  latestVersion: 13,
  createdAt: AT,
}

describe("lists", () => {
  it("go on over pages until the limit", async () => {
    bench.api.on("GET /v1/teams", ({ line }) => {
      const next = line.includes("cursor=c2") ? "c3" : "c2"
      return page(teamShape, [team, { ...team, name: next === "c2" ? "a" : "b" }], next)
    })
    const { out } = await bench.run(["teams", "list", "--limit", "3", "--json"])
    expect(JSON.parse(out)).toHaveLength(3)
    expect(bench.api.received.map((each) => each.line)).toEqual([
      "GET /v1/teams?limit=3",
      "GET /v1/teams?limit=1&cursor=c2",
    ])
  })

  it("say on standard error when there is more, beside the answer of a program too", async () => {
    bench.api.on("GET /v1/teams", page(teamShape, [team, { ...team, name: "a" }], "c2"))
    const plain = await bench.run(["teams", "list", "--limit", "2"])
    expect([plain.code, plain.err]).toEqual([0, "More exist: --limit 20 shows more of them.\n"])
    const json = await bench.run(["teams", "list", "--limit", "2", "--json"])
    expect([JSON.parse(json.out).length, json.err]).toEqual([2, plain.err])
    bench.api.on("GET /v1/teams", page(teamShape, Array(100).fill(team), "c2"))
    expect((await bench.run(["teams", "list"])).err).toContain("--limit 1000 shows")
  })

  it("say nothing when that was all", async () => {
    bench.api.on("GET /v1/teams", page(teamShape, [team, { ...team, name: "a" }]))
    expect((await bench.run(["teams", "list", "--limit", "2"])).err).toBe("")
  })

  it("say that there is more when a page held more than was asked for", async () => {
    bench.api.on("GET /v1/teams", page(teamShape, [team, { ...team, name: "a" }]))
    const { out, err } = await bench.run(["teams", "list", "--limit", "1", "--json"])
    expect([JSON.parse(out).length, err]).toEqual([1, "More exist: --limit 10 shows more of them.\n"])
  })

  it("stop at a page that is empty though it names a next one", async () => {
    bench.api.on("GET /v1/teams", page(teamShape, [], "again"))
    expect((await bench.run(["teams", "list"])).out).toContain("There are no teams yet")
  })
})

describe("notices", () => {
  it("are listed, and end with 2 when there is one", async () => {
    bench.api.on("GET /v1/notices", page(noticeShape, []))
    expect(await bench.run(["notices", "list"])).toMatchObject({
      out: expect.stringContaining("Nothing to notice"),
      code: 0,
    })
    const notice = { about: "routes/pay", team: "web", script: "pay", code: "zone-fallen", detail: "its zone" } as const
    bench.api.on("GET /v1/notices", page(noticeShape, [notice]))
    const { out, code } = await bench.run(["notices", "list"])
    expect(out).toMatch(/routes\/pay +web +zone-fallen +its zone/)
    expect(code).toBe(2)
    expect(JSON.parse((await bench.run(["notices", "list", "--json"])).out)).toEqual([notice])
  })
})

describe("changes", () => {
  it("keep what was not named and send the ETag that was read", async () => {
    bench.api.on("GET /v1/teams/web", thing(teamShape, team, '"v9"'))
    bench.api.on("PUT /v1/teams/web", thing(teamShape, team))
    await bench.run(["teams", "set", "web", "--egress", "https://cell.example:8443", "-m", "new cell"])
    expect(bench.api.received[1]).toMatchObject({
      headers: { "if-match": '"v9"' },
      body: { grants: ["zones:read"], egress: ["https://cell.example:8443"], message: "new cell" },
    })
  })

  it("can empty a list, which is not the same as leaving it alone", async () => {
    bench.api.on("GET /v1/teams/web", thing(teamShape, { ...team, egress: ["https://a.example"] }))
    bench.api.on("PUT /v1/teams/web", thing(teamShape, team))
    await bench.run(["teams", "set", "web", "--no-egress"])
    expect(bench.api.received[1]?.body).toEqual({ grants: ["zones:read"], egress: [] })
  })

  it("switch a team off and on, and leave the switch alone otherwise", async () => {
    const kill = { mode: "log", reason: "leaked", retryAfterS: 30 } as const
    bench.api.on("GET /v1/teams/web", thing(teamShape, team))
    bench.api.on("PUT /v1/teams/web", thing(teamShape, { ...team, kill }))
    const { out } = await bench.run(["teams", "set", "web", "--kill", "leaked", "--kill-mode", "log"])
    expect(out).toBe("Changed team web, switched off (log)\n")
    await bench.run(["teams", "set", "web", "--no-kill"])
    await bench.run(["teams", "set", "web", "--no-egress"])
    const sent = bench.api.received.filter(({ line }) => line.startsWith("PUT")).map(({ body }) => body)
    expect(sent).toEqual([
      { grants: ["zones:read"], egress: [], kill: { mode: "log", reason: "leaked" } },
      { grants: ["zones:read"], egress: [], kill: null },
      { grants: ["zones:read"], egress: [] },
    ])
  })

  it("say below the answer what they left behind that may not be meant, and nothing of other things", async () => {
    const notice = {
      about: "routes/pay",
      team: "web",
      script: "pay",
      code: "nobody-passes",
      detail: "it accepts no session",
    } as const
    const others = [
      { ...notice, about: "routes/other", team: "else", script: "other" },
      { ...notice, about: "teams/web", script: null, code: "switched-off", detail: "switched off by ops: x" } as const,
    ]
    bench.api.on("GET /v1/teams/web", thing(teamShape, team))
    bench.api.on("PUT /v1/teams/web", thing(teamShape, team))
    bench.api.on("GET /v1/notices", page(noticeShape, [notice, ...others]))
    const { out, err, code } = await bench.run(["teams", "set", "web", "--no-egress"])
    expect([out, err, code]).toEqual(["Changed team web\n", "notice: routes/pay: it accepts no session\n", 0])
    bench.api.on("GET /v1/notices", problem("api.busy"))
    expect(await bench.run(["teams", "set", "web", "--no-egress"])).toMatchObject({ err: "", code: 0 })
  })

  it.each([
    ["teams set web --no-egress", "team=web"],
    ["scripts set files --timeout-ms 900", "script=files"],
    ["routes set web-pages --timeout-ms 900", "about=routes%2Fweb-pages"],
  ])("ask only for notices of what they changed, once: %s", async (command, query) => {
    const notice = {
      about: "routes/web-pages",
      team: "web",
      script: "files",
      code: "not-deployed",
      detail: "no",
    } as const
    for (const [path, answer] of [
      ["teams/web", thing(teamShape, team)],
      ["scripts/files", thing(scriptShape, script)],
      ["routes/web-pages", thing(routeShape, route)],
    ] as const) {
      bench.api.on(`GET /v1/${path}`, answer)
      bench.api.on(`PUT /v1/${path}`, answer)
    }
    bench.api.on("GET /v1/notices", page(noticeShape, [notice], "routes/web-pages not-deployed"))
    const { err } = await bench.run(command.split(" "))
    expect(err).toBe("notice: routes/web-pages: no\nnotice: there are more: sallyport notices list\n")
    const asked = bench.api.received.filter(({ line }) => line.startsWith("GET /v1/notices"))
    expect(asked.map(({ line }) => line)).toEqual([`GET /v1/notices?${query}&limit=1000`])
  })

  it("make a team that is not there", async () => {
    bench.api.on("PUT /v1/teams/web", thing(teamShape, team))
    const { out } = await bench.run(["teams", "set", "web"])
    expect(out).toBe("Made team web\n")
    expect(bench.api.received[1]?.headers).toMatchObject({ "if-none-match": "*" })
    expect(bench.api.received[1]?.headers["if-match"]).toBeUndefined()
  })

  const route = {
    id: "web-pages",
    hostname: "app.procore.com",
    path: "/webclients/*",
    script: "pages",
    team: "web",
    auth: { mode: "none" as const, issuers: [], scopes: [] },
    open: false,
  }

  it("ask of a route's callers what is named, and take back what is named with no-", async () => {
    const auth = { mode: "required" as const, issuers: ["corporate"], scopes: ["read"] }
    const asked = { accept: ["session" as const], audiences: ["a"], minLevel: 2, maxAuthAgeS: 300, sensitive: true }
    bench.api.on("GET /v1/routes/web-pages", thing(routeShape, { ...route, auth }))
    bench.api.on("PUT /v1/routes/web-pages", thing(routeShape, route))
    const set = ["routes", "set", "web-pages"]
    const options = "--accept session --audience a --min-level 2 --max-auth-age 300 --sensitive --login /login/start"
    await bench.run([...set, ...options.split(" ")])
    expect(lastPut()?.body).toMatchObject({ auth: { ...auth, ...asked, login: "/login/start" } })
    bench.api.on("GET /v1/routes/web-pages", thing(routeShape, { ...route, auth: { ...auth, ...asked, login: "/l" } }))
    const back = "--accept bearer --no-audience --no-min-level --no-max-auth-age --no-sensitive --no-login"
    await bench.run([...set, ...back.split(" ")])
    expect(lastPut()?.body).toMatchObject({ auth: { ...auth, accept: ["bearer"] } })
    const sent = lastPut()?.body as { readonly auth: object }
    expect(Object.keys(sent.auth).toSorted()).toEqual(["accept", "issuers", "mode", "scopes"])
  })

  it("name who may read a route's problems, and take that back", async () => {
    const problemsReadableBy = ["https://app.example.com", "https://b.example.com"]
    bench.api.on("GET /v1/routes/web-pages", thing(routeShape, route))
    bench.api.on("PUT /v1/routes/web-pages", thing(routeShape, route))
    const options = problemsReadableBy.flatMap((origin) => ["--problems-readable-by", origin])
    await bench.run(["routes", "set", "web-pages", ...options])
    expect(lastPut()?.body).toMatchObject({ problemsReadableBy })
    bench.api.on("GET /v1/routes/web-pages", thing(routeShape, { ...route, problemsReadableBy }))
    await bench.run(["routes", "set", "web-pages", "--timeout-ms", "900"])
    expect(lastPut()?.body).toMatchObject({ problemsReadableBy })
    await bench.run(["routes", "set", "web-pages", "--no-problems-readable-by"])
    expect(lastPut()?.body).not.toHaveProperty("problemsReadableBy")
  })

  it("say what a new route lacks", async () => {
    const { code, err } = await bench.run(["routes", "set", "web-pages", "--path", "/webclients/*"])
    expect(code).toBe(1)
    expect(err).toContain("/hostname:")
    expect(err).toContain("A new route needs --hostname")
    expect(bench.api.received.map((each) => each.line)).toEqual(["GET /v1/routes/web-pages"])
  })

  it("do not ask for what is there when a value is wrong", async () => {
    const whole = "--hostname app.procore.com --path /webclients/* --script pages --auth none --timeout-ms 1".split(" ")
    const fresh = await bench.run(["routes", "set", "web-pages", ...whole])
    bench.api.on("GET /v1/routes/web-pages", thing(routeShape, route))
    const known = await bench.run(["routes", "set", "web-pages", "--timeout-ms", "1"])
    for (const { code, err } of [fresh, known]) {
      expect([code, err]).toEqual([1, expect.stringContaining("/timeoutMs:")])
      expect(err).not.toContain("A new route needs")
      expect(err).not.toContain("There is no route")
    }
  })

  it("make a route", async () => {
    bench.api.on("PUT /v1/routes/web-pages", thing(routeShape, route))
    const line = "--hostname app.procore.com --path /webclients/* --script pages --auth none"
    const { out } = await bench.run(["routes", "set", "web-pages", ...line.split(" ")])
    expect(out).toBe("Made route web-pages: app.procore.com/webclients/* → pages\n")
    expect(bench.api.received[1]?.body).toMatchObject({ hostname: "app.procore.com", auth: { mode: "none" } })
  })

  it("put a canary on a route and leave the rest of it alone", async () => {
    bench.api.on("GET /v1/routes/web-pages", thing(routeShape, { ...route, zone: "us01" }))
    bench.api.on("PUT /v1/routes/web-pages", thing(routeShape, route))
    await bench.run(["routes", "set", "web-pages", "--releases", "1=90", "2=10"])
    expect(bench.api.received[1]?.body).toMatchObject({
      zone: "us01",
      releases: [
        { version: 1, weightBps: 9000 },
        { version: 2, weightBps: 1000 },
      ],
    })
  })

  it("switch a route off and on", async () => {
    bench.api.on("GET /v1/routes/web-pages", thing(routeShape, { ...route, kill: { mode: "enforce", reason: "x" } }))
    bench.api.on("PUT /v1/routes/web-pages", thing(routeShape, route))
    await bench.run(["routes", "set", "web-pages", "--kill", "wrong assets"])
    expect(lastPut()?.body).toMatchObject({ kill: { mode: "enforce", reason: "wrong assets" } })
    await bench.run(["routes", "set", "web-pages", "--no-kill"])
    expect(lastPut()?.body).not.toHaveProperty("kill")
    await bench.run(["routes", "set", "web-pages", "--kill", "who calls it?", "--kill-mode", "log"])
    expect(lastPut()?.body).toMatchObject({ kill: { mode: "log", reason: "who calls it?" } })
    await bench.run(["routes", "set", "web-pages", "--timeout-ms", "500"])
    expect(lastPut()?.body).toMatchObject({ kill: { mode: "enforce", reason: "x" } })
  })

  it("refuse the mode of a switch without the switch, which would change nothing", async () => {
    for (const [what, mode] of [
      ["routes", "log"],
      ["routes", "enforce"],
      ["scripts", "log"],
    ] as const)
      for (const also of [[], ["--no-kill"]]) {
        const { code, err } = await bench.run([what, "set", "files", "--kill-mode", mode, ...also])
        expect(code).toBe(1)
        expect(err).toContain(`--kill-mode ${mode}`)
      }
    expect(bench.api.received).toEqual([])
  })

  it("refuse a switch without a reason before anything is asked", async () => {
    for (const what of ["routes", "scripts", "teams"])
      for (const reason of ["", "  "]) {
        const { code, err } = await bench.run([what, "set", "files", "--kill", reason])
        expect([code, err]).toEqual([1, expect.stringContaining("--kill 'the reason'")])
      }
    expect(bench.api.received).toEqual([])
  })

  it("check a policy section before sending it", async () => {
    const { code, err } = await bench.run(["policy", "set", "flags", "-"], { stdin: `{"new-ui": []}` })
    expect(code).toBe(1)
    expect(err).toContain("/new-ui:")
    expect(bench.api.received).toEqual([])
  })

  it("replace a policy section", async () => {
    bench.api.on("GET /v1/policy/flags", thing(policySections.flags, { "new-ui": false }, '"f1"'))
    bench.api.on("PUT /v1/policy/flags", thing(policySections.flags, { "new-ui": true }))
    expect((await bench.run(["policy", "set", "flags", "-"], { stdin: `{"new-ui": true}` })).code).toBe(0)
    expect(bench.api.received[1]).toMatchObject({ body: { "new-ui": true }, headers: { "if-match": '"f1"' } })
  })

  it("print a new token alone on standard output", async () => {
    bench.api.on(
      "POST /v1/teams/web/tokens",
      thing(tokenCreated, {
        id: "t-2",
        role: "team",
        team: "web",
        label: "CI",
        createdBy: null,
        createdAt: AT,
        expiresAt: null,
        revokedAt: null,
        token: TOKEN,
      }),
    )
    const { out } = await bench.run(["tokens", "create", "CI", "--team", "web", "--expires-in-days", "2"])
    expect(out).toBe(`${TOKEN}\n`)
    expect(bench.api.received[0]?.body).toEqual({ role: "team", label: "CI", expiresInS: 172_800 })
  })

  it("say why a token is made or revoked, where somebody does", async () => {
    const reply = { status: 204, headers: {}, body: undefined }
    bench.api.on("DELETE /v1/tokens/t-2", reply)
    await bench.run(["tokens", "revoke", "t-2", "-m", "incident 42"])
    await bench.run(["tokens", "revoke", "t-2"])
    expect(bench.api.received.map(({ line }) => line)).toEqual([
      "DELETE /v1/tokens/t-2?message=incident+42",
      "DELETE /v1/tokens/t-2",
    ])
    await bench.run(["tokens", "create", "CI", "--ops", "-m", "on call"])
    expect(bench.api.received.at(-1)?.body).toEqual({ role: "ops", label: "CI", message: "on call" })
  })

  it("do not guess whose a new token is", async () => {
    expect((await bench.run(["tokens", "create", "CI"])).code).toBe(1)
    expect((await bench.run(["tokens", "create", "CI", "--ops", "--team", "web"])).code).toBe(1)
    expect(bench.api.received).toEqual([])
  })

  it("claim a script for a team, without settings that nobody asked for", async () => {
    bench.api.on("PUT /v1/scripts/files", thing(scriptShape, script))
    const { out } = await bench.run(["scripts", "set", "files", "--team", "web"])
    expect(out).toBe("Claimed script files of team web\n")
    expect(bench.api.received[1]?.body).toEqual({ team: "web" })
  })

  it("change one setting of a script and send the others as they were", async () => {
    bench.api.on("GET /v1/scripts/files", thing(scriptShape, script))
    bench.api.on("PUT /v1/scripts/files", thing(scriptShape, script))
    await bench.run([
      "scripts",
      "set",
      "files",
      "--cpu-ms",
      "50",
      "--no-deploy-on-upload",
      "--keep-asset-versions",
      "0",
    ])
    expect(bench.api.received[1]?.body).toEqual({
      stickyBy: "company",
      limits: { cpuMs: 50, subRequests: 50 },
      timeoutMs: 30_000,
      deployOnUpload: false,
      keepAssetVersions: 0,
      keepPlacedVersions: 10,
    })
  })

  it("change how many versions stay in place, within what may be", async () => {
    bench.api.on("GET /v1/scripts/files", thing(scriptShape, script))
    bench.api.on("PUT /v1/scripts/files", thing(scriptShape, script))
    for (const number of ["2", "100"]) {
      await bench.run(["scripts", "set", "files", "--keep-placed-versions", number])
      expect(lastPut()?.body).toMatchObject({ keepPlacedVersions: Number(number), keepAssetVersions: 3 })
    }
    const before = bench.api.received.length
    for (const number of ["1", "101", "1e1", "-2", ""])
      expect((await bench.run(["scripts", "set", "files", "--keep-placed-versions", number])).code).not.toBe(0)
    expect(bench.api.received).toHaveLength(before)
    const { out } = await bench.run(["scripts", "get", "files"])
    expect(out).toMatch(/keeps in place +10 versions, the last used first/)
  })

  it("switch a script off with a reason and on again, and say what it asks of callers", async () => {
    bench.api.on("GET /v1/scripts/files", thing(scriptShape, script))
    bench.api.on("PUT /v1/scripts/files", thing(scriptShape, script))
    await bench.run(["scripts", "set", "files", "--kill", "leak", "--require-scope", "files:read"])
    expect(lastPut()?.body).toMatchObject({
      kill: { mode: "enforce", reason: "leak" },
      access: { scopes: ["files:read"] },
    })
    const stepUp = ["--require-level", "2", "--require-max-auth-age", "900", "--require-feed"]
    await bench.run(["scripts", "set", "files", ...stepUp])
    expect(lastPut()?.body).toMatchObject({
      access: { minLevel: 2, maxAuthAgeS: 900, sensitive: true },
    })
    await bench.run(["scripts", "set", "files", "--no-kill", "--no-require"])
    expect(lastPut()?.body).toMatchObject({ kill: null, access: null })
  })

  describe("of what a script asks of its callers", () => {
    const access = { scopes: ["files:read"], minLevel: 2, maxAuthAgeS: 900, sensitive: true, kinds: ["user" as const] }
    const sent = async (...options: string[]) => {
      bench.api.on("GET /v1/scripts/files", thing(scriptShape, { ...script, access }))
      bench.api.on("PUT /v1/scripts/files", thing(scriptShape, script))
      await bench.run(["scripts", "set", "files", ...options])
      const body = lastPut()?.body as { access?: object | null } | undefined
      return body?.access
    }

    it.each<[string[], object | null | undefined]>([
      [["--no-require", "--require-scope", "a:b"], { scopes: ["a:b"] }],
      [["--require-scope", "a:b", "--no-require"], { scopes: ["a:b"] }],
      [["--no-require"], null],
      [["--require-scope", "a:b"], { ...access, scopes: ["a:b"] }],
      [["--cpu-ms", "5"], undefined],
    ])("begin anew with --no-require, and keep the others without it: %j", async (options, expected) => {
      expect(await sent(...options)).toEqual(expected)
    })

    it.each([
      ["scope", "scopes"],
      ["kind", "kinds"],
      ["level", "minLevel"],
      ["max-auth-age", "maxAuthAgeS"],
      ["feed", "sensitive"],
    ])("take one condition away alone: --no-require-%s", async (option, field) => {
      const { [field as keyof typeof access]: _gone, ...rest } = access
      expect(await sent(`--no-require-${option}`)).toEqual(rest)
    })

    it("ask nothing any more once the last condition is taken away", async () => {
      const all = ["scope", "kind", "level", "max-auth-age", "feed"].map((option) => `--no-require-${option}`)
      expect(await sent(...all)).toBeNull()
    })
  })

  it("replace a list that was taken away on the same line", async () => {
    bench.api.on("GET /v1/teams/web", thing(teamShape, team))
    bench.api.on("PUT /v1/teams/web", thing(teamShape, team))
    expect((await bench.run(["teams", "set", "web", "--no-grant", "--grant", "flags:read"])).code).toBe(0)
    expect(bench.api.received[1]?.body).toMatchObject({ grants: ["flags:read"] })
  })

  it("keep a name inside its path segment", async () => {
    await bench.run(["scripts", "get", "../teams/web?x"])
    expect(bench.api.received[0]?.line).toBe("GET /v1/scripts/..%2Fteams%2Fweb%3Fx")
  })

  it("send a rollback and a deployment under a key, and repeat what is recorded but not in force under the same", async () => {
    const deployment = {
      id: "d-1",
      script: "files",
      releases: [{ version: 1, weightBps: 10_000 }],
      phase: "published" as const,
      message: null,
      createdBy: "token:t-1",
      createdAt: AT,
      configRevision: 7,
    }
    let failures = 1
    for (const line of ["POST /v1/scripts/files/rollback", "POST /v1/scripts/files/deployments"])
      bench.api.on(line, () => (failures-- > 0 ? problem("config.not-published") : thing(deploymentShape, deployment)))
    expect((await bench.run(["rollback", "files"])).code).toBe(0)
    expect((await bench.run(["deployments", "create", "files", "1"])).code).toBe(0)
    const keys = bench.api.received.map((each) => each.headers["idempotency-key"])
    expect(keys).toHaveLength(3)
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/)
    expect(keys[1]).toBe(keys[0])
    expect(keys[2]).not.toBe(keys[0])
  })

  it("delete a script only with --yes, and only as it was read", async () => {
    bench.api.on("GET /v1/scripts/files", thing(scriptShape, script, '"s4"'))
    bench.api.on("DELETE /v1/scripts/files", { status: 204, headers: {}, body: undefined })
    const asked = await bench.run(["scripts", "delete", "files"])
    expect([asked.code, asked.err.includes("--yes")]).toEqual([1, true])
    expect(bench.api.received).toHaveLength(1)
    const done = await bench.run(["scripts", "delete", "files", "--yes", "-m", "moved away"])
    expect([done.code, done.out]).toEqual([0, "Deleted script files of team web\n"])
    expect(bench.api.received.at(-1)).toMatchObject({
      line: "DELETE /v1/scripts/files?message=moved+away",
      headers: { "if-match": '"s4"' },
    })
  })

  const hostname = { hostname: "ap.procore.com", team: null, open: true, createdAt: AT }
  for (const [noun, name, answer] of [
    ["team", "web", thing(teamShape, team, '"e7"')],
    ["hostname", "ap.procore.com", thing(hostnameShape, hostname, '"e7"')],
  ] as const)
    describe(`delete a ${noun}`, () => {
      const path = `/v1/${noun}s/${name}`
      const deleted = async (...options: string[]) => bench.run([`${noun}s`, "delete", name, ...options])

      it("as it was read, with the reason", async () => {
        bench.api.on(`GET ${path}`, answer)
        bench.api.on(`DELETE ${path}`, { status: 204, headers: {}, body: undefined })
        expect(await deleted("-m", "a slip")).toMatchObject({ code: 0, out: `Deleted ${noun} ${name}\n`, err: "" })
        expect(bench.api.received.at(-1)).toMatchObject({
          line: `DELETE ${path}?message=a+slip`,
          headers: { "if-match": '"e7"' },
        })
        expect(JSON.parse((await deleted("--json")).out)).toMatchObject({ createdAt: AT })
        expect(bench.api.received.at(-1)?.line).toBe(`DELETE ${path}`)
      })

      it("only as a trial with --dry-run, and say so", async () => {
        bench.api.on(`GET ${path}`, answer)
        bench.api.on(`DELETE ${path}`, { status: 204, headers: {}, body: undefined })
        expect((await deleted("--dry-run")).out).toBe(`Would delete ${noun} ${name}\n`)
        expect((await deleted("--dry-run", "-m", "why")).code).toBe(0)
        const lines = bench.api.received.map(({ line }) => line).filter((line) => line.startsWith("DELETE"))
        expect(lines).toEqual([`DELETE ${path}?dry_run=true`, `DELETE ${path}?message=why&dry_run=true`])
      })

      it("not, when something of it is left, which is named, also as a trial", async () => {
        bench.api.on(`GET ${path}`, answer)
        const errors = [{ pointer: "/routes/pay", detail: "stands there" }]
        bench.api.on(`DELETE ${path}`, problem(`${noun}.in-use`, { errors }))
        for (const options of [[], ["--dry-run"]]) {
          const { code, out, err } = await deleted(...options)
          expect([code, out]).toEqual([1, ""])
          expect(err).toContain(`${noun}.in-use`)
          expect(err).toContain("/routes/pay: stands there")
        }
      })

      it("not, when there is none", async () => {
        expect(await deleted()).toMatchObject({ code: 1, err: expect.stringContaining("api.not-found") })
        expect(bench.api.received.map(({ line }) => line)).toEqual([`GET ${path}`])
      })
    })

  it("say why a route is deleted and a pin is made, where somebody does", async () => {
    bench.api.on("GET /v1/routes/web-pages", thing(routeShape, route))
    bench.api.on("DELETE /v1/routes/web-pages", { status: 204, headers: {}, body: undefined })
    await bench.run(["routes", "delete", "web-pages", "-m", "moved away"])
    expect(bench.api.received.at(-1)?.line).toBe("DELETE /v1/routes/web-pages?message=moved+away")
    await bench.run(["routes", "delete", "web-pages"])
    expect(bench.api.received.at(-1)?.line).toBe("DELETE /v1/routes/web-pages")
    bench.api.on("POST /v1/scripts/files/pins", thing(pinShape, { pin: "a.b.c", header: "x-pin", expiresAt: AT }))
    await bench.run(["pins", "create", "files", "13", "-m", "incident 42"])
    expect(bench.api.received.at(-1)?.body).toEqual({ version: 13, lifetimeS: 3600, message: "incident 42" })
  })

  it("print a pin as a header", async () => {
    bench.api.on(
      "POST /v1/scripts/files/pins",
      thing(pinShape, { pin: "a.b.c", header: "x-sallyport-pin", expiresAt: AT }),
    )
    expect((await bench.run(["pins", "create", "files", "13"])).out).toBe("x-sallyport-pin: a.b.c\n")
  })
})

describe("tokens list", () => {
  const token = { id: "t-1", role: "team" as const, team: "web", label: "CI", createdBy: null, createdAt: AT }
  const row = { ...token, expiresAt: null, revokedAt: null }

  it("lists a team's own to a token of the team, and to ops all", async () => {
    bench.api.on("GET /v1/teams/web/tokens", page(tokenShape, [row]))
    bench.api.on("GET /v1/tokens", page(tokenShape, [row, { ...row, id: "t-2", role: "ops", team: null }]))
    for (const [team, length] of [
      ["web", 1],
      [null, 2],
    ] as const) {
      const role = team === null ? "ops" : "team"
      bench.api.on("GET /v1/whoami", thing(whoamiShape, { tokenId: "t-1", role, team }))
      expect(JSON.parse((await bench.run(["tokens", "list", "--json"])).out)).toHaveLength(length)
    }
  })

  it("asks for the team that is named without asking who asks", async () => {
    bench.api.on("GET /v1/teams/web/tokens", page(tokenShape, [row]))
    await bench.run(["tokens", "list", "--team", "web"])
    expect(bench.api.received.map(({ line }) => line)).toEqual(["GET /v1/teams/web/tokens?limit=100"])
  })
})

describe("the program", () => {
  it("shows its help when nothing is asked, which is no failure", async () => {
    const { code, out, err } = await bench.run([])
    expect([code, err]).toEqual([0, ""])
    expect(out).toContain("Exit codes")
  })

  it("says its version", async () => {
    expect(await bench.run(["--version"])).toMatchObject({ code: 0, out: "0.1.0\n" })
  })
})

describe("every command", () => {
  it("shows an example in its help and takes --json", async () => {
    const nouns = (await bench.run(["--help"])).out
    expect(nouns).toContain("Exit codes")
    for (const line of leaves(nouns)) {
      const verbs = leaves((await bench.run([line, "--help"])).out)
      for (const verb of verbs.length === 0 ? [[line]] : verbs.map((each) => [line, each])) {
        const { code, out } = await bench.run([...verb, "--help"])
        expect(code).toBe(0)
        expect(out, verb.join(" ")).toContain(`Example:\n  $ sallyport ${verb.join(" ")}`)
        expect(out, verb.join(" ")).toContain("--json")
      }
    }
  })
})

/** Names under `Commands:` of a help text. */
function leaves(help: string): string[] {
  const section = /Commands:\n([\s\S]*?)(\n\n|$)/.exec(help)?.[1] ?? ""
  return [...section.matchAll(/^ {2}([a-z-]+)/gm)].flatMap(([, name]) =>
    name === undefined || name === "help" ? [] : [name],
  )
}

it("shows a script's settings", async () => {
  bench.api.on("GET /v1/scripts/files", thing(scriptShape, script))
  expect((await bench.run(["scripts", "get", "files"])).out).toContain("releases          v12 90 %, v13 10 %")
})

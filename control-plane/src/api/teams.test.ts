import { beforeEach, describe, it } from "vitest"
import { PLAIN_TEAM, startControlPlane, type TestControlPlane } from "../../test/harness.ts"

let platform: TestControlPlane
beforeEach(async () => {
  platform = await startControlPlane()
})

describe("teams: works", () => {
  it("makes a team, answers it with its ETag and publishes it", async ({ expect }) => {
    const made = await platform.send("PUT /v1/teams/web", {
      body: { grants: ["zones:read"], egress: [], message: "new team" },
    })
    expect(made.body).toEqual({
      name: "web",
      grants: ["zones:read"],
      egress: [],
      kill: null,
      createdAt: "2026-11-20T12:00:00.000Z",
    })
    expect(made.status).toBe(201)
    expect(made.headers.get("x-sallyport-config")).toBe("1")
    const read = await platform.send("GET /v1/teams/web")
    expect(read.body).toEqual(made.body)
    expect(read.headers.get("etag")).toBe(made.headers.get("etag"))
    expect((await platform.published()).teams).toEqual({ web: { grants: ["zones:read"], egress: [] } })
  })

  it("answers 304 to who holds the current representation", async ({ expect }) => {
    const made = await platform.send("PUT /v1/teams/web", { body: PLAIN_TEAM })
    const etag = made.headers.get("etag") ?? ""
    expect((await platform.send("GET /v1/teams/web", { headers: { "if-none-match": etag } })).status).toBe(304)
  })

  it("lists page by page, each team once", async ({ expect }) => {
    for (const name of ["d", "b", "a", "c", "e"]) await platform.team(name)
    const seen: string[] = []
    for (let cursor: string | null = ""; cursor !== null; ) {
      const page = await platform.send(`GET /v1/teams?limit=2${cursor === "" ? "" : `&cursor=${cursor}`}`)
      seen.push(...page.body.items.map((team: { name: string }) => team.name))
      cursor = page.body.nextCursor
    }
    expect(seen).toEqual(["a", "b", "c", "d", "e"])
  })

  it("switches a team off and on again; a change that does not name the switch leaves it as it is", async ({
    expect,
  }) => {
    const kill = { mode: "enforce", reason: "incident 42", retryAfterS: 30 }
    await platform.send("PUT /v1/teams/web", { body: PLAIN_TEAM })
    const { retryAfterS: _, ...asked } = kill
    const off = await platform.send("PUT /v1/teams/web", { body: { ...PLAIN_TEAM, kill: asked } })
    expect(off.body.kill).toEqual(kill)
    const published = async () => (await platform.published()).teams.web
    expect(await published()).toEqual({ ...PLAIN_TEAM, kill })
    const [record] = (await platform.send("GET /v1/audit")).body.items
    expect(record.detail).toMatchObject({ kill })

    const grants = ["flags:read"]
    await platform.send("PUT /v1/teams/web", { body: { ...PLAIN_TEAM, grants } })
    expect(await published()).toEqual({ ...PLAIN_TEAM, grants, kill })
    expect((await platform.send("GET /v1/teams/web")).body.kill).toEqual(kill)

    const on = await platform.send("PUT /v1/teams/web", { body: { ...PLAIN_TEAM, kill: null } })
    expect(on.body.kill).toBeNull()
    expect(await published()).toEqual(PLAIN_TEAM)
  })

  it("keeps who, when and why in the audit, in the same order as it happened", async ({ expect }) => {
    await platform.send("PUT /v1/teams/web", { body: { ...PLAIN_TEAM, message: "new team" } })
    const [record] = (await platform.send("GET /v1/audit")).body.items
    expect(record).toMatchObject({ seq: 1, actor: "token:bootstrap", action: "team.put", target: "teams/web" })
    expect(record.detail).toMatchObject({ message: "new team", grants: [] })
  })
})

describe("teams: refuses", () => {
  it("refuses a change of what has changed since it was read, and changes nothing", async ({ expect }) => {
    const first = await platform.send("PUT /v1/teams/web", { body: PLAIN_TEAM })
    await platform.send("PUT /v1/teams/web", { body: { grants: ["flags:read"], egress: [] } })
    const late = await platform.send("PUT /v1/teams/web", {
      body: { grants: ["zones:read"], egress: [] },
      headers: { "if-match": first.headers.get("etag") ?? "" },
    })
    expect(late.status).toBe(412)
    expect(late.body.code).toBe("api.precondition-failed")
    expect((await platform.send("GET /v1/teams/web")).body.grants).toEqual(["flags:read"])
  })

  it("makes a team only once when asked to make it only if it is absent", async ({ expect }) => {
    const once = { body: PLAIN_TEAM, headers: { "if-none-match": "*" } }
    const all = await Promise.all(Array.from({ length: 5 }, () => platform.send("PUT /v1/teams/web", once)))
    expect(all.map((each) => each.status).sort()).toEqual([201, 412, 412, 412, 412])
  })

  for (const [missing, body] of Object.entries({ grants: { egress: [] }, egress: { grants: [] } }))
    it(`refuses a team without ${missing} rather than wipe them`, async ({ expect }) => {
      const whole = { grants: ["zones:read"], egress: ["https://cell.example"] }
      await platform.send("PUT /v1/teams/web", { body: whole })
      const sent = await platform.send("PUT /v1/teams/web", { body })
      expect(sent.status).toBe(400)
      expect(sent.body.errors).toEqual([{ pointer: `/${missing}`, detail: "must be given: a PUT replaces the whole" }])
      expect((await platform.send("GET /v1/teams/web")).body).toMatchObject(whole)
    })

  for (const [missing, body] of Object.entries({ team: { open: true }, open: { team: null } }))
    it(`refuses a hostname without ${missing} rather than change it`, async ({ expect }) => {
      const sent = await platform.send("PUT /v1/hostnames/app.example", { body })
      expect(sent.status).toBe(400)
      expect(sent.body.errors).toEqual([{ pointer: `/${missing}`, detail: "must be given: a PUT replaces the whole" }])
    })

  it("says where a body is wrong", async ({ expect }) => {
    const sent = await platform.send("PUT /v1/teams/web", { body: { grants: ["everything"], quota: 1 } })
    expect(sent.status).toBe(400)
    expect(sent.headers.get("content-type")).toBe("application/problem+json")
    expect(sent.body.errors.map((error: { pointer: string }) => error.pointer)).toContain("/grants/0")
  })

  for (const name of ["Web", "1web", "web_", "w".repeat(40)])
    it(`makes no team of the impossible name ${name}, and knows none`, async ({ expect }) => {
      expect((await platform.send(`PUT /v1/teams/${name}`, { body: PLAIN_TEAM })).body.code).toBe("api.name-invalid")
      expect((await platform.send(`GET /v1/teams/${name}`)).body.code).toBe("api.not-found")
    })
})

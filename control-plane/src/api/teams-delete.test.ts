import { beforeEach, describe, it } from "vitest"
import { PLAIN_TEAM, routeBody, type Sent, startControlPlane, type TestControlPlane } from "../../test/harness.ts"
import { overtakenDb } from "../../test/overtaken-db.ts"
import type { Actor } from "../actor.ts"

let platform: TestControlPlane
let overtaken: ReturnType<typeof overtakenDb>
beforeEach(async () => {
  platform = await startControlPlane(({ DB }) => {
    overtaken = overtakenDb(DB)
    return { db: overtaken.db }
  })
  await platform.send("PUT /v1/teams/typo", { body: { grants: ["flags:read"], egress: ["https://cell.example"] } })
})

const remove = (query = "", headers = {}) => platform.send(`DELETE /v1/teams/typo${query}`, { headers })
const makeToken = (body = {}) => platform.send("POST /v1/teams/typo/tokens", { body: { label: "CI", ...body } })
const records = async () => (await platform.deps.store.audit.verify()).records
const giveAway = async (script: string) => {
  await platform.team("web")
  await platform.send(`PUT /v1/scripts/${script}`, { body: { team: "web" } })
}
const TYPO: Actor = { tokenId: "t-typo", role: "team", team: "typo", name: "token:t-typo" }

describe("removing a team: works", () => {
  it("takes it out of the config, answers the revision that does, and keeps it with the reason in the audit", async ({
    expect,
  }) => {
    await platform.team("types")
    const before = (await platform.pointer())?.revision ?? 0
    expect((await platform.published()).teams).toHaveProperty("typo")
    const sent = await remove("?message=a%20slip")
    expect([sent.status, sent.headers.get("x-sallyport-config")]).toEqual([204, String(before + 1)])
    expect((await platform.published()).teams).toEqual({ types: PLAIN_TEAM })
    expect((await platform.send("GET /v1/teams/typo")).body.code).toBe("api.not-found")
    const [record] = (await platform.send("GET /v1/audit")).body.items
    expect(record).toMatchObject({ actor: "token:bootstrap", action: "team.delete", target: "teams/typo" })
    expect(record.detail).toMatchObject({
      team: { name: "typo", grants: ["flags:read"], egress: ["https://cell.example"], kill: null },
      message: "a slip",
    })
  })

  it("takes its revoked and expired tokens along, and the audit still knows them and holds together", async ({
    expect,
  }) => {
    const revoked = (await makeToken()).body
    const child = await platform.send("POST /v1/teams/typo/tokens", { token: revoked.token, body: { label: "child" } })
    const expired = (await makeToken({ expiresInS: 60 })).body
    await platform.send(`DELETE /v1/tokens/${revoked.id}`)
    platform.pass(60_000)
    expect((await remove()).status).toBe(204)
    expect((await platform.send("GET /v1/tokens")).body.items).toEqual([])
    for (const { token } of [revoked, child.body, expired])
      expect((await platform.send("GET /v1/whoami", { token })).body.code).toBe("api.unauthenticated")
    const { items } = (await platform.send("GET /v1/audit")).body
    const targets = items.map(({ target }: { target: string }) => target)
    expect(targets).toEqual(expect.arrayContaining([revoked.id, expired.id].map((id) => `tokens/${id}`)))
    expect((await platform.send("GET /v1/audit/verify")).body.intact).toBe(true)
  })

  it("leaves tokens of ops alone, and of a team whose name begins with its own", async ({ expect }) => {
    const other = await platform.team("typo-two")
    const ops = (await platform.send("POST /v1/tokens", { body: { label: "ops", role: "ops" } })).body.token
    expect((await remove()).status).toBe(204)
    for (const token of [other, ops]) expect((await platform.send("GET /v1/whoami", { token })).status).toBe(200)
  })

  it("passes nothing on to a team of the same name: no token, grant, switch, script or ETag", async ({ expect }) => {
    const { token, id } = (await makeToken()).body
    await platform.script("files", "typo", 1)
    await giveAway("files")
    const kill = { mode: "enforce", reason: "incident 42" }
    await platform.send("PUT /v1/teams/typo", { body: { grants: ["flags:read"], egress: [], kill } })
    await platform.send(`DELETE /v1/tokens/${id}`)
    const etag = (await platform.send("GET /v1/teams/typo")).headers.get("etag") ?? ""
    expect((await remove()).status).toBe(204)
    expect((await platform.send("GET /v1/audit")).body.items[0].detail.team.kill).toMatchObject(kill)
    platform.pass(1000)
    const made = await platform.send("PUT /v1/teams/typo", { body: PLAIN_TEAM })
    expect([made.status, made.body]).toEqual([
      201,
      { name: "typo", ...PLAIN_TEAM, kill: null, createdAt: "2026-11-20T12:00:01.000Z" },
    ])
    expect((await platform.send("GET /v1/teams/typo/tokens")).body.items).toEqual([])
    expect((await platform.send("GET /v1/whoami", { token })).status).toBe(401)
    const again = (await makeToken()).body.token
    expect((await platform.send("GET /v1/scripts", { token: again })).body.items).toEqual([])
    expect((await platform.send("PUT /v1/scripts/files", { token: again, body: {} })).body.code).toBe(
      "script.owned-by-another-team",
    )
    expect((await remove("", { "if-match": etag })).status).toBe(412)
  })

  it("answers no new token with what an Idempotency-Key of an old one was answered", async ({ expect }) => {
    const key = { "idempotency-key": "k-1" }
    const releases = { releases: [{ version: 1, weightBps: 10_000 }] }
    const first = (await makeToken()).body
    await platform.script("files", "typo", 1)
    await platform.send("POST /v1/scripts/files/deployments", { token: first.token, body: releases, headers: key })
    await platform.send("DELETE /v1/scripts/files")
    await giveAway("files")
    await platform.send(`DELETE /v1/tokens/${first.id}`)
    expect((await remove()).status).toBe(204)
    await platform.send("PUT /v1/teams/typo", { body: PLAIN_TEAM })
    const { token } = (await makeToken()).body
    const sent = await platform.send("POST /v1/scripts/files/deployments", { token, body: releases, headers: key })
    expect([sent.status, sent.headers.get("idempotency-replayed")]).toEqual([404, null])
  })
})

describe("removing a team: refuses", () => {
  const holding: Record<string, { give: () => Promise<unknown>; pointer: string; says: string; detail: string }> = {
    "a script": {
      give: () => platform.script("files", "typo"),
      ...{ pointer: "/scripts/files", says: "its script: delete it, and give its name to another team" },
      detail: "Still the team's: script names 1.",
    },
    "the name of a deleted script": {
      give: async () => {
        await platform.script("files", "typo")
        await platform.send("DELETE /v1/scripts/files")
      },
      ...{ pointer: "/scripts/files", says: "was deleted, but its name stays with the team: give it to another" },
      detail: "Still the team's: script names 1.",
    },
    "a route to the script of another team": {
      give: async () => {
        await platform.team("web")
        await platform.script("pages", "web", 1)
        await platform.send("PUT /v1/hostnames/app.example", { body: { team: null, open: true } })
        const body = routeBody({ hostname: "app.example", path: "/a/*", script: "pages", team: "typo" })
        await platform.send("PUT /v1/routes/pages", { body })
      },
      ...{ pointer: "/routes/pages", says: "its route app.example/a/*: delete it, or give it to another team" },
      detail: "Still the team's: routes 1.",
    },
    "a hostname": {
      give: () => platform.send("PUT /v1/hostnames/app.example", { body: { team: "typo", open: false } }),
      ...{ pointer: "/hostnames/app.example", says: "its hostname: remove it, or make it another's or nobody's" },
      detail: "Still the team's: hostnames 1.",
    },
  }
  for (const [what, { give, pointer, says, detail }] of Object.entries(holding))
    it(`while it has ${what}, which is named, and changes nothing`, async ({ expect }) => {
      await give()
      const before = [await records(), await platform.pointer()]
      for (const query of ["", "?dry_run=true"]) {
        const sent = await remove(query)
        expect([sent.status, sent.body.code]).toEqual([409, "team.in-use"])
        expect([sent.body.errors, sent.body.detail]).toEqual([[{ pointer, detail: says }], detail])
      }
      expect([await records(), await platform.pointer()]).toEqual(before)
    })

  it("while a token of it is in force, to its last millisecond and no longer", async ({ expect }) => {
    const { id } = (await makeToken({ expiresInS: 60 })).body
    platform.pass(59_999)
    const { status, body } = await remove()
    expect([status, body.code, body.errors]).toEqual([
      409,
      "team.in-use",
      [{ pointer: `/tokens/${id}`, detail: expect.stringContaining("in force") }],
    ])
    platform.pass(1)
    expect((await remove()).status).toBe(204)
  })

  it("does so until the last of it is gone, and passes it then", async ({ expect }) => {
    await platform.team("web")
    const { id } = (await makeToken()).body
    await platform.script("files", "typo", 1)
    await platform.send("PUT /v1/hostnames/app.example", { body: { team: "typo", open: false } })
    const body = routeBody({ hostname: "app.example", path: "/a/*", script: "files", team: "typo" })
    await platform.send("PUT /v1/routes/files", { body })
    const held = ["/routes/files", "/scripts/files", "/hostnames/app.example", `/tokens/${id}`]
    const steps: [line: string, body?: object][] = [
      ["DELETE /v1/routes/files"],
      ["DELETE /v1/scripts/files"],
      ["PUT /v1/scripts/files", { team: "web" }],
      ["PUT /v1/hostnames/app.example", { team: null, open: false }],
      [`DELETE /v1/tokens/${id}`],
    ]
    const first = await remove()
    expect(first.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual(held)
    expect(first.body.detail).toBe("Still the team's: routes 1, script names 1, hostnames 1, tokens in force 1.")
    for (const [line, sent] of steps) {
      expect((await remove()).body.code).toBe("team.in-use")
      expect((await platform.send(line, sent === undefined ? {} : { body: sent })).status).toBeLessThan(300)
    }
    expect((await remove()).status).toBe(204)
    expect((await platform.send("GET /v1/scripts/files")).body.team).toBe("web")
  })

  it("names 20 things of many, and says how many there are", async ({ expect }) => {
    for (let index = 0; index < 21; index++) await platform.script(`s${index}`, "typo")
    const { body } = await remove()
    expect([body.errors.length, body.detail]).toEqual([20, "Still the team's: script names 21."])
  })

  it("refuses what has changed since it was read, and removes what has not", async ({ expect }) => {
    const read = (await platform.send("GET /v1/teams/typo")).headers.get("etag") ?? ""
    await platform.send("PUT /v1/teams/typo", { body: PLAIN_TEAM })
    expect((await remove("", { "if-match": read })).status).toBe(412)
    const now = (await platform.send("GET /v1/teams/typo")).headers.get("etag") ?? ""
    expect((await remove("", { "if-match": now })).status).toBe(204)
  })

  it("checks in a dry run and removes nothing, tokens neither", async ({ expect }) => {
    await platform.send(`DELETE /v1/tokens/${(await makeToken()).body.id}`)
    const before = [await records(), await platform.pointer()]
    expect((await remove("?dry_run=true")).status).toBe(204)
    expect([await records(), await platform.pointer()]).toEqual(before)
    expect((await platform.send("GET /v1/teams/typo/tokens")).body.items).toHaveLength(1)
  })

  it("answers a team that is gone, or never was, as absent, and records nothing", async ({ expect }) => {
    expect((await remove()).status).toBe(204)
    const before = await records()
    for (const name of ["typo", "never", "No-Name"]) {
      const sent = await platform.send(`DELETE /v1/teams/${name}`)
      expect([sent.status, sent.body.code]).toEqual([404, "api.not-found"])
    }
    expect(await records()).toBe(before)
  })

  it("knows every table that has a team in it", async ({ expect }) => {
    const { db } = platform.deps
    const { results } = await db.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'table'").all<{
      name: string
      sql: string
    }>()
    const tables = results.filter(({ sql }) => /\bteam TEXT|REFERENCES teams\b/.test(sql ?? "")).map(({ name }) => name)
    // What is counted for five minutes can only hold a later team back.
    const harmless = ["cloudflare_calls"]
    // One more is one more that the removal has to refuse for, or take along.
    expect(tables.filter((name) => !harmless.includes(name)).sort()).toEqual([
      ...["hostnames", "routes", "scripts", "tokens"],
    ])
  })
})

describe("removing a team while something of it is made", () => {
  const made: Record<string, { make: () => Promise<Sent>; tooLate: string }> = {
    "a token": { make: () => makeToken(), tooLate: "api.not-found" },
    "a script": {
      make: () => platform.send("PUT /v1/scripts/files", { body: { team: "typo" } }),
      tooLate: "api.body-invalid",
    },
    "a hostname": {
      make: () => platform.send("PUT /v1/hostnames/app.example", { body: { team: "typo", open: true } }),
      tooLate: "api.body-invalid",
    },
  }
  for (const [what, { make, tooLate }] of Object.entries(made)) {
    it(`is refused when ${what} came first, although it was not there when the removal began`, async ({ expect }) => {
      const rival = overtaken.next(make)
      const sent = await remove()
      expect([(await rival).status, sent.status, sent.body.code]).toEqual([201, 409, "team.in-use"])
      expect((await platform.send("GET /v1/teams/typo")).status).toBe(200)
    })

    it(`refuses ${what} when the removal came first, and not as a fault of its own`, async ({ expect }) => {
      const rival = overtaken.next(() => remove())
      const sent = await make()
      expect([(await rival).status, sent.body.code]).toEqual([204, tooLate])
    })
  }

  it("lets no upload that began before claim a name for a team that is gone", async ({ expect }) => {
    const rival = overtaken.next(() => remove())
    const claim = platform.deps.store.scripts.claim("files", TYPO)
    await expect(claim).rejects.toMatchObject({ code: "api.unauthenticated" })
    expect((await rival).status).toBe(204)
    await platform.send("PUT /v1/teams/typo", { body: PLAIN_TEAM })
    expect(await platform.deps.store.scripts.claim("files", TYPO)).toMatchObject({ team: "typo" })
  })
})

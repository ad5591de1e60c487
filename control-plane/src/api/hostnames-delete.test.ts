import { beforeEach, describe, it } from "vitest"
import { OPS_TOKEN, routeBody, startControlPlane, type TestControlPlane } from "../../test/harness.ts"
import { overtakenDb } from "../../test/overtaken-db.ts"

const NAME = "typo.example.com"
const open = { team: null, open: true }

let platform: TestControlPlane
let alpha: string
let overtaken: ReturnType<typeof overtakenDb>
beforeEach(async () => {
  platform = await startControlPlane(({ DB }) => {
    overtaken = overtakenDb(DB)
    return { db: overtaken.db }
  })
  alpha = await platform.team("alpha")
  await platform.script("files", "alpha", 1)
  await platform.send(`PUT /v1/hostnames/${NAME}`, { body: open })
})

const remove = (query = "", headers = {}) => platform.send(`DELETE /v1/hostnames/${NAME}${query}`, { headers })
const attach = (id: string, hostname = NAME, by = alpha) =>
  platform.send(`PUT /v1/routes/${id}`, {
    token: by,
    body: routeBody({ hostname, path: `/${id}/*`, script: "files", team: "alpha" }),
  })
const records = async () => (await platform.deps.store.audit.verify()).records

describe("removing a hostname: works", () => {
  it("takes it out of the config, answers the revision that does, and keeps it with the reason in the audit", async ({
    expect,
  }) => {
    const before = (await platform.pointer())?.revision ?? 0
    expect((await platform.published()).hostnames).toHaveProperty([NAME])
    const sent = await remove("?message=a%20slip")
    expect([sent.status, sent.headers.get("x-sallyport-config")]).toEqual([204, String(before + 1)])
    expect((await platform.published()).hostnames).toEqual({})
    expect((await platform.send(`GET /v1/hostnames/${NAME}`)).body.code).toBe("api.not-found")
    const [record] = (await platform.send("GET /v1/audit")).body.items
    expect(record).toMatchObject({ actor: "token:bootstrap", action: "hostname.delete", target: `hostnames/${NAME}` })
    expect(record.detail).toMatchObject({ hostname: { hostname: NAME, ...open }, message: "a slip" })
    expect((await platform.send("GET /v1/audit/verify")).body.intact).toBe(true)
  })

  it("leaves a hostname below or above it alone, and what stands there", async ({ expect }) => {
    for (const hostname of [`www.${NAME}`, "example.com"]) {
      await platform.send(`PUT /v1/hostnames/${hostname}`, { body: open })
      expect((await attach(hostname.replaceAll(".", "-"), hostname)).status).toBe(201)
    }
    expect((await remove()).status).toBe(204)
    const { hostnames } = await platform.published()
    expect(Object.keys(hostnames).sort()).toEqual(["example.com", `www.${NAME}`])
    expect(hostnames["example.com"].routes).toHaveLength(1)
  })

  it("removes one whose last route is gone, and one that is a team's", async ({ expect }) => {
    await platform.send(`PUT /v1/hostnames/${NAME}`, { body: { team: "alpha", open: false } })
    await attach("files")
    expect((await remove()).status).toBe(409)
    await platform.send("DELETE /v1/routes/files", { token: alpha })
    expect((await remove()).status).toBe(204)
  })

  it("is made anew as whoever makes it says, with nothing of before", async ({ expect }) => {
    await platform.send(`PUT /v1/hostnames/${NAME}`, { body: { team: "alpha", open: true } })
    await remove()
    platform.pass(1000)
    const made = await platform.send(`PUT /v1/hostnames/${NAME}`, { body: { team: null, open: false } })
    expect([made.status, made.body]).toEqual([
      201,
      { hostname: NAME, team: null, open: false, createdAt: "2026-11-20T12:00:01.000Z" },
    ])
    expect((await attach("files")).body.code).toBe("route.hostname-closed")
  })
})

describe("removing a hostname: refuses", () => {
  it("while a route stands on it, which is named with its team, and changes nothing", async ({ expect }) => {
    await attach("files")
    const before = [await records(), await platform.pointer()]
    for (const query of ["", "?dry_run=true"]) {
      const sent = await remove(query)
      expect([sent.status, sent.body.code]).toEqual([409, "hostname.in-use"])
      expect(sent.body.errors).toEqual([{ pointer: "/routes/files", detail: "stands at /files/*, of team alpha" }])
    }
    expect([await records(), await platform.pointer()]).toEqual(before)
  })

  it("names 20 routes of many, and says how many there are", async ({ expect }) => {
    for (let index = 0; index < 21; index++) await attach(`r${index}`)
    const { body } = await remove()
    expect(body.errors).toHaveLength(20)
    expect(body.detail).toBe("Routes on it: 21.")
  })

  it("refuses what has changed since it was read, and removes what has not", async ({ expect }) => {
    const read = (await platform.send(`GET /v1/hostnames/${NAME}`)).headers.get("etag") ?? ""
    await platform.send(`PUT /v1/hostnames/${NAME}`, { body: { team: "alpha", open: true } })
    expect((await remove("", { "if-match": read })).status).toBe(412)
    const now = (await platform.send(`GET /v1/hostnames/${NAME}`)).headers.get("etag") ?? ""
    expect((await remove("", { "if-match": now })).status).toBe(204)
  })

  it("checks in a dry run and removes nothing", async ({ expect }) => {
    const before = [await records(), await platform.pointer()]
    expect((await remove("?dry_run=true")).status).toBe(204)
    expect([await records(), await platform.pointer()]).toEqual(before)
    expect((await platform.send(`GET /v1/hostnames/${NAME}`)).status).toBe(200)
  })

  it("answers a hostname that is gone, or never was, as absent, and records nothing", async ({ expect }) => {
    expect((await remove()).status).toBe(204)
    const before = await records()
    for (const name of [NAME, "never.example.com", "NOT A NAME"]) {
      const sent = await platform.send(`DELETE /v1/hostnames/${encodeURIComponent(name)}`)
      expect([sent.status, sent.body.code]).toEqual([404, "api.not-found"])
    }
    expect(await records()).toBe(before)
  })
})

describe("removing a hostname while a route is attached to it", () => {
  it("is refused when the route came first, although it was not there when the removal began", async ({ expect }) => {
    const rival = overtaken.next(() => attach("files"))
    const sent = await remove()
    expect([(await rival).status, sent.status, sent.body.code]).toEqual([201, 409, "hostname.in-use"])
    expect((await platform.published()).hostnames[NAME].routes).toHaveLength(1)
  })

  it("refuses the route when the removal came first, to a team and to ops", async ({ expect }) => {
    const rival = overtaken.next(() => remove())
    const sent = await attach("files")
    expect([(await rival).status, sent.body.code]).toEqual([204, "route.hostname-closed"])
    await platform.send(`PUT /v1/hostnames/${NAME}`, { body: open })
    const again = overtaken.next(() => remove())
    const byOps = await attach("files", NAME, OPS_TOKEN)
    expect([(await again).status, byOps.body.errors]).toEqual([
      204,
      [{ pointer: "/hostname", detail: "no such hostname" }],
    ])
    expect((await platform.published()).hostnames).toEqual({})
  })

  it("ends with one of both, whoever wins, and a config that can be loaded", async ({ expect }) => {
    for (let round = 0; round < 5; round++) {
      const [removed, attached] = await Promise.all([remove(), attach("files")])
      expect([
        [204, 403],
        [409, 201],
      ]).toContainEqual([removed.status, attached.status])
      const { hostnames } = await platform.published()
      expect(hostnames[NAME]?.routes.length ?? 0).toBe(attached.status === 201 ? 1 : 0)
      await platform.send("DELETE /v1/routes/files")
      await platform.send(`PUT /v1/hostnames/${NAME}`, { body: open })
    }
  })
})

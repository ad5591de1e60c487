import { beforeEach, describe, it } from "vitest"
import { startControlPlane, type TestControlPlane } from "../../test/harness.ts"

let platform: TestControlPlane
let web: string
beforeEach(async () => {
  platform = await startControlPlane()
  web = await platform.team("web")
})

const make = (token: string, body: object = {}) =>
  platform.send("POST /v1/teams/web/tokens", { token, body: { label: "ci", ...body } })
const revoke = (id: string, token?: string) =>
  platform.send(`DELETE /v1/tokens/${id}`, token === undefined ? {} : { token })
const works = async (token: string) => (await platform.send("GET /v1/whoami", { token })).status === 200

describe("a token made by a token", () => {
  it("ends no later than that one", async ({ expect }) => {
    const short = (await make(web, { expiresInS: 600 })).body
    expect((await make(short.token)).body).toMatchObject({ createdBy: short.id, expiresAt: short.expiresAt })
    expect((await make(short.token, { expiresInS: 600 })).status).toBe(201)
    const longer = await make(short.token, { expiresInS: 601 })
    expect([longer.status, longer.body.errors[0].pointer]).toEqual([400, "/expiresInS"])
  })

  it("is revoked with it, however far down", async ({ expect }) => {
    const first = (await make(web)).body
    const second = (await make(first.token)).body
    const third = (await make(second.token)).body
    expect((await revoke(first.id)).status).toBe(204)
    for (const { token } of [first, second, third]) expect(await works(token)).toBe(false)
    expect(await works(web)).toBe(true)
    const [record] = (await platform.send("GET /v1/audit?limit=1")).body.items
    expect([...record.detail.descendants].sort()).toEqual([second.id, third.id].sort())
  })

  it("revokes itself and its descendants, and neither its maker nor a sibling", async ({ expect }) => {
    const child = (await make(web)).body
    const sibling = (await make(web)).body
    const grandchild = (await make(child.token)).body
    const { tokenId: parent } = (await platform.send("GET /v1/whoami", { token: web })).body
    for (const id of [parent, sibling.id]) {
      const refused = await revoke(id, child.token)
      expect([refused.status, refused.body.code]).toEqual([403, "api.forbidden"])
    }
    expect((await revoke(grandchild.id, child.token)).status).toBe(204)
    expect((await revoke(child.id, child.token)).status).toBe(204)
    expect([await works(web), await works(sibling.token), await works(child.token)]).toEqual([true, true, false])
  })
})

describe("tokens in force", () => {
  /** As many more, made by the token `by` or by none. */
  const fill = (count: number, team: string | null, by: string | null = null) =>
    platform.deps.db
      .prepare(
        `WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
         INSERT INTO tokens (id, team, role, hash, label, created_by, created_at)
         SELECT printf('t-%s%05d', ?4, i), ?2, ?3, printf('%s %d', ?4, i), 'filled', ?5, '2026-11-20T12:00:00.000Z' FROM n`,
      )
      .bind(count, team, team === null ? "ops" : "team", team ?? "ops", by)
      .run()
  const makeOps = () => platform.send("POST /v1/tokens", { body: { label: "on call", role: "ops" } })

  it("are 200 of a team: what was revoked or has ended leaves room, and nobody else's count", async ({ expect }) => {
    const other = await platform.team("other")
    await fill(197, "web")
    const short = await make(web, { expiresInS: 60 })
    const last = await make(web)
    expect([short.status, last.status]).toEqual([201, 201])
    for (const refused of [await make(web), await make(last.body.token), await platform.send(LINE, { body: LABEL })])
      expect([refused.status, refused.body.code]).toEqual([409, "api.too-many-tokens"])
    expect((await makeOps()).status).toBe(201)
    expect((await platform.send("POST /v1/teams/other/tokens", { token: other, body: LABEL })).status).toBe(201)
    await revoke(last.body.id)
    expect((await make(web)).status).toBe(201)
    expect((await make(web)).status).toBe(409)
    platform.pass(60_000)
    expect((await make(web)).status).toBe(201)
  })

  it("are 200 of ops, the first one from the settings aside", async ({ expect }) => {
    await fill(199, null)
    const made = await makeOps()
    expect(made.status).toBe(201)
    expect((await makeOps()).body.code).toBe("api.too-many-tokens")
    await revoke(made.body.id)
    expect((await makeOps()).status).toBe(201)
  })

  it("are revoked with thousands that come from one, in one call whose record stays short", async ({ expect }) => {
    const first = (await make(web)).body
    await fill(3_000, "web", first.id)
    await fill(10, null)
    expect((await revoke(first.id)).status).toBe(204)
    const { db } = platform.deps
    const left = await db.prepare("SELECT count(*) AS n FROM tokens WHERE revoked_at IS NULL").first<number>("n")
    expect(left).toBe(11)
    const [record] = (await platform.send("GET /v1/audit?limit=1")).body.items
    expect(record).toMatchObject({ action: "token.revoke", detail: { team: "web", count: 3_000 } })
    expect(record.detail.digest).toMatch(/^[0-9a-f]{64}$/)
    expect(JSON.stringify(record).length).toBeLessThan(1_000)
    expect(await works(web)).toBe(true)
  })

  it("are named in the record up to fifty", async ({ expect }) => {
    const first = (await make(web)).body
    await fill(50, "web", first.id)
    await revoke(first.id)
    const [record] = (await platform.send("GET /v1/audit?limit=1")).body.items
    expect(record.detail).toMatchObject({ count: 50 })
    expect(record.detail.descendants).toHaveLength(50)
    expect(record.detail).not.toHaveProperty("digest")
  })
})

const LINE = "POST /v1/teams/web/tokens"
const LABEL = { label: "ci" }

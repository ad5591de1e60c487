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

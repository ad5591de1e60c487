import { beforeEach, describe, it } from "vitest"
import { PLAIN_TEAM, startControlPlane, type TestControlPlane } from "../../test/harness.ts"

let platform: TestControlPlane
/** Hashes of the records, the first at index 1. */
let hashes: string[]
beforeEach(async () => {
  platform = await startControlPlane()
  for (const name of ["a", "b", "c", "d", "e"]) await platform.send(`PUT /v1/teams/${name}`, { body: PLAIN_TEAM })
  const { items } = (await platform.send("GET /v1/audit")).body
  hashes = ["", ...items.map((item: { hash: string }) => item.hash).reverse()]
})

const verify = async (query = "") => (await platform.send(`GET /v1/audit/verify${query}`)).body
const tamper = (sql: string) =>
  platform.deps.db.batch([
    platform.deps.db.prepare("DROP TRIGGER audit_is_never_changed"),
    platform.deps.db.prepare("DROP TRIGGER audit_is_never_deleted"),
    platform.deps.db.prepare(sql),
  ])

describe("audit verify: works", () => {
  it("says where to go on when there is more than it reads at once", async ({ expect }) => {
    const { audit } = platform.deps.store
    const first = await audit.verify(undefined, 2)
    expect(first).toEqual({
      ...{ records: 2, brokenAt: null, head: { seq: 2, hash: hashes[2] } },
      next: { after: 2, hash: hashes[2] },
    })
    const second = await audit.verify({ seq: 2, hash: hashes[2] ?? "" }, 2)
    expect(second.next).toEqual({ after: 4, hash: hashes[4] })
    const third = await audit.verify({ seq: 4, hash: hashes[4] ?? "" }, 2)
    expect(third).toEqual({ records: 5, brokenAt: null, head: { seq: 5, hash: hashes[5] }, next: null })
  })

  it("goes on after the record that is named, and ends with the last", async ({ expect }) => {
    const rest = await verify(`?after=3&hash=${hashes[3]}`)
    expect(rest).toEqual({
      ...{ intact: true, records: 5, brokenAt: null, head: { seq: 5, hash: hashes[5] } },
      next: null,
    })
    expect(await verify(`?after=5&hash=${hashes[5]}`)).toEqual(rest)
    expect(await verify()).toEqual(rest)
  })

  it("finds what was changed after the place it went on from, and not what was before", async ({ expect }) => {
    await tamper("UPDATE audit SET detail = '{}' WHERE seq = 2")
    expect(await verify(`?after=2&hash=${hashes[2]}`)).toMatchObject({ intact: true })
    expect(await verify(`?after=1&hash=${hashes[1]}`)).toMatchObject({ intact: false, brokenAt: 2, records: 1 })
    expect(await verify()).toMatchObject({ intact: false, brokenAt: 2, head: { seq: 1 }, next: null })
  })

  it("does not go on from a record that is not what was named", async ({ expect }) => {
    const wrong = { intact: false, records: 0, next: null }
    expect(await verify(`?after=3&hash=${hashes[2]}`)).toMatchObject({ ...wrong, brokenAt: 3 })
    expect(await verify(`?after=6&hash=${hashes[5]}`)).toMatchObject({ ...wrong, brokenAt: 6 })
    expect(await verify(`?after=5&hash=${hashes[4]}`)).toMatchObject({ ...wrong, brokenAt: 5 })
  })
})

describe("audit verify: refuses", () => {
  for (const query of ["?after=1", `?hash=${"0".repeat(64)}`, `?after=0&hash=${"0".repeat(64)}`, "?after=1&hash=x"])
    it(`refuses ${query.slice(0, 20)}`, async ({ expect }) => {
      expect((await verify(query)).code).toBe("api.query-invalid")
    })
})

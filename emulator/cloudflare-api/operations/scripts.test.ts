import { beforeAll, describe, expect, it } from "vitest"
import { call, newNamespace, outcome, uploadForm } from "../scenario.ts"

let scripts = ""
beforeAll(async () => {
  scripts = `${await newNamespace("listing")}/scripts`
  const tags: Record<string, string[]> = { a: ["team-one"], b: ["team-one", "old"], c: ["team-two"], d: [] }
  for (const [name, list] of Object.entries(tags)) await call("PUT", `${scripts}/${name}`, uploadForm({ tags: list }))
})

const names = async (query: string) => {
  const { body } = await call("GET", `${scripts}${query}`)
  return { names: (body.result as { script: { id: string } }[]).map(({ script }) => script.id), info: body.result_info }
}

describe("the list of scripts", () => {
  it.each([
    ["", ["a", "b", "c", "d"]],
    ["?tags=team-one:yes", ["a", "b"]],
    ["?tags=team-one:yes,old:no", ["a"]],
    ["?tags=team-one:no", ["c", "d"]],
    ["?tags=team:yes", []],
  ])("with %s is %j", async (query, expected) => {
    expect((await names(query)).names).toEqual(expected)
  })

  it("comes in pages by cursor, each script once", async () => {
    const first = await names("?limit=3")
    expect(first.names).toEqual(["a", "b", "c"])
    const second = await names(`?limit=3&cursor=${first.info?.cursor}`)
    expect(second).toEqual({ names: ["d"], info: { count: 1 } })
  })

  it.each(["?limit=0", "?limit=1001", "?limit=x", "?cursor=%00", "?tags=team-one"])("refuses %s", async (query) => {
    expect((await call("GET", `${scripts}${query}`)).status).toBe(400)
  })
})

describe("bulk deletion", () => {
  it("deletes what the tags select, in portions, and answers without an envelope", async () => {
    const { body } = await call("DELETE", `${scripts}?tags=team-one:yes&limit=1`)
    expect(body).toEqual({
      deleted: [{ id: expect.stringMatching(/^[0-9a-f]{32}$/) }],
      deleted_count: 1,
      has_more: true,
    })
    expect(await call("DELETE", `${scripts}?tags=team-one:yes`)).toMatchObject({
      body: { deleted_count: 1, has_more: false },
    })
    expect((await names("")).names).toEqual(["c", "d"])
  })

  it("refuses to delete everything for want of a filter", async () => {
    expect((await call("DELETE", scripts)).status).toBe(400)
    expect((await names("")).names).toHaveLength(2)
  })
})

describe("a deleted namespace", () => {
  it("takes its scripts with it", async () => {
    const namespace = await newNamespace("doomed")
    await call("PUT", `${namespace}/scripts/a`, uploadForm())
    expect(outcome(await call("DELETE", namespace))).toBeNull()
    expect((await call("GET", `${namespace}/scripts/a`)).body.errors[0]?.code).toBe(100119)
    await newNamespace("doomed")
    expect((await call("GET", `${namespace}/scripts/a`)).body.errors[0]?.code).toBe(10092)
  })
})

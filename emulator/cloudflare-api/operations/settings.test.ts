import { beforeAll, describe, expect, it } from "vitest"
import { call, newNamespace, outcome, uploadForm } from "../scenario.ts"

let script = ""
const variable = { type: "plain_text", name: "GREETING", text: "hello" }
beforeAll(async () => {
  script = `${await newNamespace("settings")}/scripts/files`
  await call("PUT", script, uploadForm({ bindings: [variable], tags: ["first"] }))
})

async function patch(settings: unknown) {
  const form = new FormData()
  form.set("settings", typeof settings === "string" ? settings : JSON.stringify(settings))
  return outcome(await call("PATCH", `${script}/settings`, form))
}

describe("settings", () => {
  it("change what is named and leave the rest", async () => {
    expect(await patch({ limits: { cpu_ms: 50 } })).toMatchObject({
      limits: { cpu_ms: 50 },
      tags: ["first"],
      bindings: [variable],
    })
    expect(await patch({ tags: [] })).toMatchObject({ limits: { cpu_ms: 50 }, tags: [] })
  })

  it("replace bindings as a whole, with inheritance by name", async () => {
    const added = { type: "plain_text", name: "OTHER", text: "b" }
    expect(await patch({ bindings: [{ type: "inherit", name: "GREETING" }, added] })).toMatchObject({
      bindings: [variable, added],
    })
    expect(await patch({ bindings: [added] })).toMatchObject({ bindings: [added] })
    expect(await patch({ bindings: [{ type: "inherit", name: "GREETING" }] })).toMatch(/^400\/10057 /)
  })

  it("change the etag, and the code stays", async () => {
    const etag = async () => (outcome(await call("GET", script)) as { script: { etag: string } }).script.etag
    const before = await etag()
    await patch({ logpush: true })
    expect(await etag()).not.toBe(before)
    await patch({ logpush: false })
  })

  it.each([
    ["text that is not JSON", "{", "400/10021 part settings is not a JSON object"],
    [
      "a date in the future",
      { compatibility_date: "2999-01-01" },
      "400/10021 Can't set compatibility date in the future: 2999-01-01",
    ],
    [
      "a binding without a target",
      { bindings: [{ type: "queue", name: "Q", queue_name: "gone" }] },
      "400/11000 Queue 'gone' not found. Please verify it exists and try again.",
    ],
  ])("refuse %s", async (_case, settings, expected) => {
    expect(await patch(settings)).toBe(expected)
  })
})

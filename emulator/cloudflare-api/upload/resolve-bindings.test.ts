import { describe, expect, it } from "vitest"
import { resolveBindings } from "./resolve-bindings.ts"

const secret = { type: "secret_text", name: "TOKEN", text: "old" }
const variable = { type: "plain_text", name: "GREETING", text: "hello" }
const previous = [secret, variable]
const request = { bindings: [], keepTypes: [], strict: true }

describe("resolveBindings", () => {
  it("drops what is neither sent, inherited nor kept", () => {
    expect(resolveBindings(previous, request)).toEqual([])
  })

  it("keeps bindings of the kept types unless their name is sent", () => {
    const keepTypes = ["secret_text", "secret_key"]
    expect(resolveBindings(previous, { ...request, keepTypes })).toEqual([secret])
    const sent = { type: "plain_text", name: "TOKEN", text: "new" }
    expect(resolveBindings(previous, { ...request, keepTypes, bindings: [sent] })).toEqual([sent])
  })

  it("inherits by name, and by an old name under a new one", () => {
    const bindings = [
      { type: "inherit", name: "TOKEN" },
      { type: "inherit", name: "HELLO", old_name: "GREETING" },
    ]
    expect(resolveBindings(previous, { ...request, bindings })).toEqual([secret, { ...variable, name: "HELLO" }])
  })

  it("refuses an inherited name that is not there when strict, and drops it otherwise", () => {
    const bindings = [{ type: "inherit", name: "ABSENT" }]
    expect(() => resolveBindings(previous, { ...request, bindings })).toThrow(
      expect.objectContaining({ kind: "inheritUnresolved" }),
    )
    expect(resolveBindings(previous, { ...request, bindings, strict: false })).toEqual([])
  })
})

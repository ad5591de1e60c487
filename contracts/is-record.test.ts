import { describe, it } from "vitest"
import { isRecord } from "./is-record.ts"

describe("isRecord", () => {
  it("takes an object whose fields may be looked at, whatever it holds", ({ expect }) => {
    for (const value of [{}, { a: 1 }, JSON.parse('{"__proto__":1}'), Object.create(null)])
      expect(isRecord(value)).toBe(true)
  })

  it("takes nothing else that JSON can be, an array and null included", ({ expect }) => {
    for (const value of [null, undefined, [], [{}], "{}", 1, true]) expect(isRecord(value)).toBe(false)
  })
})

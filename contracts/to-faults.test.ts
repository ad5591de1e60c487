import { describe, it } from "vitest"
import { z } from "zod"
import { escapePointer, toFaults } from "./to-faults.ts"

const shape = z.strictObject({
  name: z.string().optional(),
  inner: z.strictObject({ list: z.array(z.int()).max(30) }).optional(),
  by: z.record(z.string(), z.strictObject({ size: z.int() })).optional(),
})
function pointersOf(value: unknown, base?: string): string[] {
  const { error } = shape.safeParse(value)
  return error === undefined ? [] : toFaults(error, base).map((fault) => fault.pointer)
}

describe("toFaults", () => {
  const cases: readonly [what: string, value: unknown, pointers: readonly string[]][] = [
    ["nothing", { name: "a", inner: { list: [1] } }, []],
    ["a value of another type", { name: 1 }, ["/name"]],
    ["an item of a list", { inner: { list: [1, "2"] } }, ["/inner/list/1"]],
    ["a field that is not known, by its own name", { surprise: 1 }, ["/surprise"]],
    ["each of several, in order", { one: 1, two: 2 }, ["/one", "/two"]],
    ["one further in", { inner: { list: [], lists: [] } }, ["/inner/lists"]],
    ["names that a pointer escapes", { "a/b~c": 1 }, ["/a~1b~0c"]],
    ["names on the way that a pointer escapes", { by: { "a/b~c": { size: 1, sizes: 2 } } }, ["/by/a~1b~0c/sizes"]],
    ["the whole", [], [""]],
  ]
  for (const [what, value, pointers] of cases)
    it(`points at ${what}`, ({ expect }) => {
      expect(pointersOf(value)).toEqual(pointers)
    })

  it("begins at the base it is given", ({ expect }) => {
    expect(pointersOf({ name: 1, surprise: 2 }, "/bindings/3")).toEqual(["/bindings/3/name", "/bindings/3/surprise"])
  })

  it("says what is wrong with a field that is not known", ({ expect }) => {
    const { error } = shape.safeParse({ surprise: 1 })
    expect(error && toFaults(error)).toEqual([{ pointer: "/surprise", detail: "is not accepted" }])
  })

  it("gives 20 at most, also of one issue that names more", ({ expect }) => {
    const many = Object.fromEntries(Array.from({ length: 25 }, (_, index) => [`field-${index}`, 1]))
    expect(pointersOf(many)).toHaveLength(20)
    expect(pointersOf({ inner: { list: Array(25).fill("x") } })).toHaveLength(20)
  })
})

it("escapes what a pointer would read otherwise, the tilde first", ({ expect }) => {
  expect(escapePointer("~1/~")).toBe("~01~1~0")
})

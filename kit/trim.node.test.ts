/** In Node, because workerd's engine is quick with some expressions that take quadratic time here, and would show nothing had one of them come back. */
import { expect, it } from "vitest"
import { growsFasterThan } from "./testing/growth.ts"
import { isSpaceOrTab, trim, trimEnd } from "./trim.ts"

it.each([
  ["both ends", trim],
  ["the end", trimEnd],
])("takes time by the length of the text to trim %s, wherever in it the characters stand", (_what, trimmed) => {
  const work = (size: number) => trimmed(`a${" ".repeat(size)}x`, isSpaceOrTab)
  expect(growsFasterThan(16_384, work)).toBe(false)
})

it("would see an expression in its place", () => {
  const work = (size: number) => `a${" ".repeat(size)}x`.replace(/[ \t]+$/, "")
  expect(growsFasterThan(16_384, work)).toBe(true)
})

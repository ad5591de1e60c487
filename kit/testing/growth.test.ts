/** That growth is told apart at all, by the clock of this runtime: a test that expects `false` would otherwise pass whatever it measured. */
import { expect, it } from "vitest"
import { growsFasterThan } from "./growth.ts"

let sum = 0
function spend(steps: number) {
  for (let step = 0; step < steps; step++) sum = (sum + step) | 0
}

const quadratic = (size: number) => spend(size * size)
const linear = (size: number) => spend(size * 4_000)

it("says of quadratic work that it grows faster", () => {
  expect(growsFasterThan(4_000, quadratic)).toBe(true)
})

it("says of linear work that takes as long that it does not", () => {
  expect(growsFasterThan(4_000, linear)).toBe(false)
})

it("says of work too short to measure that it does not", () => {
  expect(growsFasterThan(100, quadratic)).toBe(false)
})

it("says of an expression that tries each place of a long run anew that it grows faster", () => {
  const work = (size: number) => `a${" ".repeat(size)}x`.replace(/^[ \t]+|[ \t]+$/g, "")
  expect(growsFasterThan(16_384, work)).toBe(true)
})

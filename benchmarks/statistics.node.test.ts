import { describe, expect, it } from "vitest"
import { median, quantile, rounded, summarize } from "./statistics.ts"

describe("median", () => {
  it.each([
    [[3], 3],
    [[3, 1, 2], 2],
    [[4, 1, 3, 2], 2.5],
    [[10, 9, 1], 9],
  ])("of %j is %d", (values, expected) => {
    expect(median(values)).toBe(expected)
  })

  it("of nothing is refused, not 0", () => {
    expect(() => median([])).toThrow(RangeError)
  })

  it("leaves its input as it was", () => {
    const values = [3, 1, 2]
    median(values)
    expect(values).toEqual([3, 1, 2])
  })
})

it("interpolates between ranks", () => {
  expect(quantile([0, 10], 0.99)).toBeCloseTo(9.9)
  expect(quantile([1, 2, 3, 4, 5], 0.25)).toBe(2)
})

it("summarises a spread", () => {
  expect(summarize([0.9, 0.8, 0.85, 0.7, 1])).toEqual({ median: 0.85, quartiles: [0.8, 0.9], range: [0.7, 1] })
})

it("keeps three digits", () => {
  expect([rounded(0.84567), rounded(12_345), rounded(0)]).toEqual([0.846, 12_300, 0])
})

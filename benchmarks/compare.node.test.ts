import { expect, it } from "vitest"
import { type Arm, armMedian, summarizePairs } from "./compare.ts"

function arm(requestsPerSecond: number, cpuUs: number | null): Arm {
  return { requests: 1, seconds: 1, p50Ms: 1, p99Ms: 2, requestsPerSecond, cpuUs }
}

it("takes the median of the ratios, not the ratio of the medians", () => {
  const pairs = [
    { baseline: arm(1000, 100), candidate: arm(800, 110) },
    { baseline: arm(100, 100), candidate: arm(90, 120) },
    { baseline: arm(500, 100), candidate: arm(425, 130) },
  ]
  const { ratio, cpuRatio } = summarizePairs(pairs)
  expect(ratio.median).toBeCloseTo(0.85)
  expect(cpuRatio?.median).toBeCloseTo(1.2)
  expect(armMedian(pairs, "baseline", (each) => each.requestsPerSecond)).toBe(500)
})

it("has no CPU ratio where CPU cannot be read", () => {
  expect(summarizePairs([{ baseline: arm(1, null), candidate: arm(1, null) }]).cpuRatio).toBeNull()
})

import { describe, it } from "vitest"
import { percentile } from "./status.ts"
import type { ProbeRun } from "./store/probes.ts"

const runs = (...lags: (number | null)[]): ProbeRun[] =>
  lags.map((lagMs, at) => ({ atMs: at, lagMs, fault: lagMs === null ? "not-accepted" : null }))

describe("percentile of the lags", () => {
  it("is the smallest lag that the share does not exceed", ({ expect }) => {
    const hundred = runs(...Array.from({ length: 100 }, (_, index) => 100 - index))
    expect([percentile(hundred, 0.5), percentile(hundred, 0.99), percentile(hundred, 1)]).toEqual([50, 99, 100])
    expect(percentile(runs(7), 0.5)).toBe(7)
  })

  it("takes a failed probe for slower than all others, and says nothing where it falls on one", ({ expect }) => {
    expect(percentile(runs(1, 2, null), 0.5)).toBe(2)
    expect(percentile(runs(1, null, null), 0.5)).toBeNull()
    expect(percentile(runs(1, 2, null), 0.99)).toBeNull()
  })

  it("is nothing where nothing was measured", ({ expect }) => {
    expect(percentile([], 0.99)).toBeNull()
  })
})

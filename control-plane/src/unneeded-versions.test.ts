import { describe, expect, it } from "vitest"
import { HOLD_MS } from "./store/removals.ts"
import type { VersionState } from "./store/rows.ts"
import { type Standing, unneededVersions } from "./unneeded-versions.ts"

const NOW = Date.parse("2026-11-20T12:00:00.000Z")
const HOUR = 60 * 60_000

type Version = Standing["versions"][number]

/** Whole, and last used that many hours ago. */
function version(number: number, usedHoursAgo: number, change: Partial<Version> = {}): Version {
  const usedAtMs = NOW - usedHoursAgo * HOUR
  return { number, state: "verified", uploadSeq: number, usedAtMs, heldUntilMs: 0, removedAtMs: null, ...change }
}

function unneeded(
  versions: readonly Version[],
  { keep = 2, named = [], deletedAt = null }: { keep?: number; named?: number[]; deletedAt?: string | null } = {},
): number[] {
  const script = { deletedAt, settings: { keepPlacedVersions: keep } }
  return unneededVersions({ script, versions, named: new Set(named) }, NOW)
}

describe("of a script's versions", () => {
  const five = [version(1, 500), version(2, 400), version(3, 300), version(4, 200), version(5, 100)]

  it("as many as it keeps stay, the last used first, and the longest unused goes first", () => {
    expect(unneeded(five)).toEqual([1, 2, 3])
    expect(unneeded(five, { keep: 4 })).toEqual([1])
    expect(unneeded(five, { keep: 5 })).toEqual([])
    expect(unneeded(five, { keep: 100 })).toEqual([])
  })

  it("those stay that were used last, whatever their number", () => {
    expect(unneeded([version(1, 100), version(2, 400), version(3, 300), version(4, 200)])).toEqual([2, 3])
  })

  it("those uploaded last stay where all were used at the same time", () => {
    const seq = (number: number, uploadSeq: number) => version(number, 100, { uploadSeq })
    expect(unneeded([seq(1, 9), seq(2, 2), seq(3, 3), seq(4, 8)])).toEqual([2, 3])
  })

  it("one that a deployment or a route names stays, however long it is unused, and takes the place of none", () => {
    expect(unneeded(five, { named: [1] })).toEqual([2, 3])
    expect(unneeded(five, { named: [5] })).toEqual([1, 2, 3])
  })

  it("one stays for a day after it was used, to the millisecond", () => {
    const used = (usedAtMs: number) => [version(1, 0, { usedAtMs }), version(2, 1), version(3, 1)]
    expect(unneeded(used(NOW - HOLD_MS))).toEqual([1])
    expect(unneeded(used(NOW - HOLD_MS + 1))).toEqual([])
  })

  it("one that is held stays until then, to the millisecond", () => {
    const held = (heldUntilMs: number) => [version(1, 500, { heldUntilMs }), version(2, 1), version(3, 1)]
    expect(unneeded(held(NOW))).toEqual([1])
    expect(unneeded(held(NOW + 1))).toEqual([])
  })

  it.each<VersionState>(["recorded", "failed", "retired"])(
    "one that is %s goes after a day and counts for none that is kept",
    (state) => {
      const two = [version(1, 500), version(2, 400)]
      const broken = [3, 4, 5].map((number) => version(number, 100, { state }))
      expect(unneeded([...two, ...broken])).toEqual([3, 4, 5])
      expect(unneeded([...two, version(3, 23, { state })])).toEqual([])
      expect(unneeded([...two, version(3, 100, { state })], { named: [3] })).toEqual([])
    },
  )

  it("one that is placed counts like one that is verified", () => {
    expect(unneeded([version(1, 500), version(2, 400, { state: "placed" }), version(3, 300)])).toEqual([1])
  })
})

describe("of a deleted script", () => {
  const three = [version(1, 500), version(2, 400), version(3, 300)]
  const deleted = (ms: number) => ({ deletedAt: new Date(NOW - ms).toISOString() })

  it("none stays, a day after it was deleted, to the millisecond", () => {
    expect(unneeded(three, deleted(HOLD_MS))).toEqual([1, 2, 3])
    expect(unneeded(three, deleted(HOLD_MS - 1))).toEqual([])
  })

  it("what is held or was used since stays all the same", () => {
    const [one, two, three] = [version(1, 500, { heldUntilMs: NOW + 1 }), version(2, 23), version(3, 300)]
    expect(unneeded([one, two, three], deleted(HOLD_MS))).toEqual([3])
  })
})

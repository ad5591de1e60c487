import { describe, expect, it } from "vitest"
import type { ReleaseWeight } from "../../../contracts/dispatch-config.ts"
import { stickyKeyOf, weighVersions } from "./release.ts"

const COMPANIES = Array.from({ length: 20_000 }, (_, index) => `company:${1_000_000 + index * 7}`)

function weights(...pairs: [version: number, weightBps: number][]): ReleaseWeight[] {
  return pairs.map(([version, weightBps]) => ({ version, weightBps }))
}

function choose(list: ReleaseWeight[], script = "files"): Map<string, number> {
  return new Map(COMPANIES.map((key) => [key, weighVersions(script, list, key)]))
}

function shareOf(version: number, chosen: Map<string, number>): number {
  return [...chosen.values()].filter((each) => each === version).length / chosen.size
}

describe("weighVersions", () => {
  it.each([1, 10, 30, 50, 90, 99])("gives a canary of %i %% that share of companies, within one point", (percent) => {
    const chosen = choose(weights([12, 10_000 - percent * 100], [13, percent * 100]))
    expect(Math.abs(shareOf(13, chosen) - percent / 100)).toBeLessThan(0.01)
  })

  it("holds each of three shares within one point", () => {
    const chosen = choose(weights([1, 5_000], [2, 3_000], [3, 2_000]))
    expect(Math.abs(shareOf(1, chosen) - 0.5)).toBeLessThan(0.01)
    expect(Math.abs(shareOf(2, chosen) - 0.3)).toBeLessThan(0.01)
    expect(Math.abs(shareOf(3, chosen) - 0.2)).toBeLessThan(0.01)
  })

  it("moves nobody back when a canary's weight grows from 10 to 30 %", () => {
    const before = choose(weights([12, 9_000], [13, 1_000]))
    const after = choose(weights([12, 7_000], [13, 3_000]))
    const movedBack = COMPANIES.filter((key) => before.get(key) === 13 && after.get(key) !== 13)
    expect(movedBack).toEqual([])
  })

  it("moves callers only to the version whose weight grows, with three versions", () => {
    const before = choose(weights([1, 6_000], [2, 3_000], [3, 1_000]))
    const after = choose(weights([1, 4_000], [2, 2_000], [3, 4_000]))
    const moved = COMPANIES.filter((key) => before.get(key) !== after.get(key))
    expect(moved.length).toBeGreaterThan(0)
    expect(moved.every((key) => after.get(key) === 3)).toBe(true)
  })

  it("does not depend on the order in which versions are listed", () => {
    expect(choose(weights([12, 9_000], [13, 1_000]))).toEqual(choose(weights([13, 1_000], [12, 9_000])))
  })

  it("never chooses a version of weight 0", () => {
    expect(shareOf(13, choose(weights([12, 10_000], [13, 0])))).toBe(0)
  })

  it("puts other companies first in another script's canary", () => {
    const files = choose(weights([12, 9_000], [13, 1_000]), "files")
    const pages = choose(weights([12, 9_000], [13, 1_000]), "pages")
    const inBoth = COMPANIES.filter((key) => files.get(key) === 13 && pages.get(key) === 13).length / COMPANIES.length
    expect(inBoth).toBeGreaterThan(0.005)
    expect(inBoth).toBeLessThan(0.015)
  })
})

describe("stickyKeyOf", () => {
  const facts = { company: "42", subject: "example-idp|alice", requestId: "r1" }
  it("takes the company, then the subject, then the request", () => {
    expect(stickyKeyOf("company", facts)).toBe("company:42")
    expect(stickyKeyOf("company", { ...facts, company: null })).toBe("subject:example-idp|alice")
    expect(stickyKeyOf("company", { company: null, subject: null, requestId: "r1" })).toBe("request:r1")
  })
  it("begins where it is told to", () => {
    expect(stickyKeyOf("subject", facts)).toBe("subject:example-idp|alice")
    expect(stickyKeyOf("request", facts)).toBe("request:r1")
  })
})

import { describe, it } from "vitest"
import {
  chooseSide,
  isSampled,
  parseStrangleRules,
  ruleFor,
  type StrangleFacts,
  type StrangleRule,
} from "./strangle-rules.ts"

const parse = (...rules: object[]) => parseStrangleRules(JSON.stringify({ rules }))
function rule(fields: object): StrangleRule {
  const parsed = parse({ path: "/documents/*", mode: "split", ...fields })
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.faults))
  return parsed.value[0] as StrangleRule
}
const faultsOf = (...rules: object[]) => {
  const parsed = parse(...rules)
  return parsed.ok ? [] : parsed.faults.map(({ pointer }) => pointer)
}
const company = (id: number): StrangleFacts => ({ company: String(id), subject: null })

describe("parseStrangleRules", () => {
  it("fills what a rule leaves out", ({ expect }) => {
    expect(rule({})).toMatchObject({
      newBps: 0,
      stickyBy: "company",
      salt: "/documents/*",
      companies: new Set(),
      ignore: [],
      headers: ["content-type", "cache-control", "location"],
      compareBytesMost: 131_072,
      sampleBps: 10_000,
      round: 1,
      deprecationMs: null,
      sunsetMs: null,
    })
  })

  for (const [name, fields, pointer] of [
    ["an unknown mode", { mode: "canary" }, "/rules/0/mode"],
    ["a share above all", { newBps: 10_001 }, "/rules/0/newBps"],
    ["a share below none", { newBps: -1 }, "/rules/0/newBps"],
    ["a share in fractions", { newBps: 0.5 }, "/rules/0/newBps"],
    ["a share as text", { newBps: "100" }, "/rules/0/newBps"],
    ["a field that nobody knows", { newBp: 100 }, "/rules/0/newBp"],
    ["a path without a slash", { path: "documents" }, "/rules/0/path"],
    ["a star inside", { path: "/a/*/b" }, "/rules/0/path"],
    ["a star after text", { path: "/a*" }, "/rules/0/path"],
    ["an escape in the path", { path: "/a%2f" }, "/rules/0/path"],
    ["an empty segment", { path: "//a" }, "/rules/0/path"],
    ["a company id as number", { cohorts: { companies: [42] } }, "/rules/0/cohorts/companies/0"],
    ["a company that is no id", { cohorts: { companies: ["42x"] } }, "/rules/0/cohorts/companies/0"],
    ["a cap above the most", { compareBytesMost: 1_048_577 }, "/rules/0/compareBytesMost"],
    ["a header in upper case", { headers: ["ETag"] }, "/rules/0/headers/0"],
    ["a date without time", { sunset: "2026-07-01" }, "/rules/0/sunset"],
    [
      "a sunset before the deprecation",
      { deprecation: "2026-07-02T00:00:00Z", sunset: "2026-07-01T00:00:00Z" },
      "/rules/0/sunset",
    ],
  ] as const)
    it(`refuses ${name}, and says where`, ({ expect }) => {
      expect(faultsOf({ path: "/documents/*", mode: "split", ...fields })).toEqual([pointer])
    })

  it("refuses two rules for one path, a rule without path or mode, and what is no rule set", ({ expect }) => {
    expect(faultsOf({ path: "/a", mode: "new" }, { path: "/a", mode: "legacy" })).toEqual(["/rules/1/path"])
    expect(faultsOf({})).toEqual(["/rules/0/path", "/rules/0/mode"])
    for (const text of ["", "[]", "null", '{"rules":{}}', "{}", '{"rules":[],"more":1}'])
      expect(parseStrangleRules(text).ok).toBe(false)
  })

  it("accepts the bounds", ({ expect }) => {
    expect(faultsOf({ path: "/*", mode: "split", newBps: 10_000, sampleBps: 0, compareBytesMost: 1_048_576 })).toEqual(
      [],
    )
    const same = "2026-07-01T00:00:00Z"
    expect(faultsOf({ path: "/a", mode: "new", deprecation: same, sunset: same })).toEqual([])
  })
})

describe("ruleFor", () => {
  const parsed = parse(
    { path: "/*", mode: "legacy" },
    { path: "/documents/*", mode: "new" },
    { path: "/documents", mode: "shadow" },
    { path: "/documents/drafts/*", mode: "split" },
    { path: "/exact", mode: "split" },
  )
  const rules = parsed.ok ? parsed.value : []

  for (const [path, found] of [
    ["/documents", "/documents"],
    ["/documents/", "/documents/*"],
    ["/documents/1", "/documents/*"],
    ["/documents/drafts", "/documents/drafts/*"],
    ["/documents/drafts/1", "/documents/drafts/*"],
    ["/documents/draftsman", "/documents/*"],
    ["/documentstore", "/*"],
    ["/d%6Fcuments/1", "/documents/*"],
    ["/exact", "/exact"],
    ["/exact/below", "/*"],
    ["/", "/*"],
  ] as const)
    it(`takes ${found} for ${path}`, ({ expect }) => {
      expect(ruleFor(rules, path)?.path).toBe(found)
    })

  it("finds none for a path that cannot be decoded, or where none is", ({ expect }) => {
    expect(ruleFor(rules, "/documents/%zz")).toBeNull()
    expect(ruleFor([], "/documents")).toBeNull()
  })
})

describe("chooseSide", () => {
  it("moves nobody back while the share grows, and all at last", ({ expect }) => {
    const shares = [0, 1, 50, 100, 500, 1_000, 2_500, 5_000, 7_500, 9_999, 10_000]
    let before = new Set<number>()
    for (const newBps of shares) {
      const split = rule({ newBps })
      const now = new Set([...Array(5_000).keys()].filter((id) => chooseSide(split, company(id)) === "new"))
      expect([...before].filter((id) => !now.has(id))).toEqual([])
      // Within four standard deviations of the share.
      const expected = (5_000 * newBps) / 10_000
      expect(Math.abs(now.size - expected)).toBeLessThanOrEqual(4 * Math.sqrt(expected * (1 - newBps / 10_000)) + 1)
      before = now
    }
    expect(before.size).toBe(5_000)
  })

  it("moves back the last that came when the share shrinks, and nobody else", ({ expect }) => {
    const newAt = (newBps: number) => {
      const split = rule({ newBps })
      return new Set([...Array(2_000).keys()].filter((id) => chooseSide(split, company(id)) === "new"))
    }
    const [before, after] = [newAt(6_000), newAt(3_000)]
    expect(after.size).toBeLessThan(before.size)
    expect([...after].filter((id) => !before.has(id))).toEqual([])
  })

  it("chooses others on another path, and the same where two rules share a salt", ({ expect }) => {
    const chosen = (fields: object) => {
      const half = rule({ newBps: 5_000, ...fields })
      return [...Array(500).keys()].map((id) => chooseSide(half, company(id)))
    }
    expect(chosen({ path: "/a" })).not.toEqual(chosen({ path: "/b" }))
    expect(chosen({ path: "/a", salt: "docs" })).toEqual(chosen({ path: "/b", salt: "docs" }))
  })

  it("keeps a company together whoever calls for it, and a subject wherever it goes when told so", ({ expect }) => {
    const half = rule({ newBps: 5_000 })
    const subjects = [...Array(200).keys()].map((each) => ({ company: "7", subject: `idp|${each}` }))
    expect(new Set(subjects.map((each) => chooseSide(half, each))).size).toBe(1)
    const bySubject = rule({ newBps: 5_000, stickyBy: "subject" })
    const companies = [...Array(200).keys()].map((each) => ({ company: String(each), subject: "idp|alice" }))
    expect(new Set(companies.map((each) => chooseSide(bySubject, each))).size).toBe(1)
    expect(new Set(companies.map((each) => chooseSide(half, each))).size).toBe(2)
  })

  it("leaves who has neither company nor subject with legacy in a split, even at all but nobody's share", ({
    expect,
  }) => {
    const nobody = { company: null, subject: null }
    expect(chooseSide(rule({ newBps: 10_000 }), nobody)).toBe("legacy")
    expect(chooseSide(rule({ mode: "new" }), nobody)).toBe("new")
  })

  it("gives cohort companies the new service in every mode but legacy, and only those", ({ expect }) => {
    const cohorts = { companies: ["42"] }
    for (const mode of ["shadow", "split", "new"]) expect(chooseSide(rule({ mode, cohorts }), company(42))).toBe("new")
    expect(chooseSide(rule({ mode: "legacy", cohorts }), company(42))).toBe("legacy")
    for (const mode of ["shadow", "split"]) expect(chooseSide(rule({ mode, cohorts }), company(420))).toBe("legacy")
  })
})

describe("isSampled", () => {
  it("takes its share of shadowed requests, the same ones each time, and none in other modes", ({ expect }) => {
    const ids = [...Array(10_000).keys()].map((each) => `request-${each}`)
    const taken = (fields: object) => {
      const sampling = rule(fields)
      return ids.filter((id) => isSampled(sampling, id))
    }
    const tenth = taken({ mode: "shadow", sampleBps: 1_000 })
    expect(tenth.length).toBeGreaterThan(880)
    expect(tenth.length).toBeLessThan(1_120)
    expect(taken({ mode: "shadow", sampleBps: 1_000 })).toEqual(tenth)
    expect(taken({ mode: "shadow" })).toHaveLength(10_000)
    expect(taken({ mode: "shadow", sampleBps: 0 })).toEqual([])
    for (const mode of ["legacy", "split", "new"]) expect(taken({ mode })).toEqual([])
  })
})

import { describe, it } from "vitest"
import { chooseOrigin, type OriginWish, rankOrigins } from "./origin-pool.ts"

const ORIGINS = ["https://a.example", "https://b.example", "https://c.example"]
const KEYS = Array.from({ length: 3_000 }, (_, each) => String(562_949_953_421_312 + each))
const firstOf = (origins: readonly string[], key: string) => rankOrigins(origins, key)[0]

describe("rankOrigins", () => {
  it("gives the same order whatever order they are listed in", ({ expect }) => {
    for (const key of KEYS.slice(0, 100))
      expect(rankOrigins([...ORIGINS].reverse(), key)).toEqual(rankOrigins(ORIGINS, key))
  })

  it("spreads keys evenly", ({ expect }) => {
    for (const origin of ORIGINS) {
      const share = KEYS.filter((key) => firstOf(ORIGINS, key) === origin).length
      // Six standard deviations of a fair three-way split of 3 000.
      expect(Math.abs(share - 1_000)).toBeLessThan(155)
    }
  })

  it("moves only the keys of the origin that is taken away, and brings them back with it", ({ expect }) => {
    const [gone = "", ...left] = ORIGINS
    for (const key of KEYS) {
      const before = firstOf(ORIGINS, key)
      const after = firstOf(left, key)
      if (before === gone) expect(after).toBe(rankOrigins(ORIGINS, key)[1])
      else expect(after).toBe(before)
    }
  })

  it("spreads the keys of an origin that is gone over all the others", ({ expect }) => {
    const [gone = "", ...left] = ORIGINS
    const moved = KEYS.filter((key) => firstOf(ORIGINS, key) === gone).map((key) => firstOf(left, key))
    expect(new Set(moved).size).toBe(2)
  })

  it("counts an origin once that is listed twice", ({ expect }) => {
    expect(rankOrigins(["https://a.example", "https://a.example"], "1")).toEqual(["https://a.example"])
  })
})

describe("chooseOrigin", () => {
  const [first = "", second = "", third = ""] = rankOrigins(ORIGINS, "100")

  it("takes the first of the key's order while it is fit", ({ expect }) => {
    expect(choose({})).toBe(first)
  })

  it("goes down the key's order past those that are not", ({ expect }) => {
    expect(choose({ [first]: "open" })).toBe(second)
    expect(choose({ [first]: "open", [second]: "open" })).toBe(third)
  })

  it("says how long until one may be fit when none is", ({ expect }) => {
    expect(choose({ [first]: "open", [second]: "open", [third]: "open" })).toEqual({ retryAfterMs: 1_000 })
  })

  it("tries none again", ({ expect }) => {
    expect(choose({}, { tried: [first] })).toBe(second)
    expect(choose({}, { tried: ORIGINS })).toEqual({ retryAfterMs: Number.POSITIVE_INFINITY })
  })

  it("sends a request that may probe to an origin that may be fit again, and others elsewhere", ({ expect }) => {
    expect(choose({ [first]: "half-open" }, { mayProbe: true })).toBe(first)
    expect(choose({ [first]: "half-open" }, { mayProbe: false })).toBe(second)
  })

  it("sends others there too when there is no fit one", ({ expect }) => {
    const states = { [first]: "half-open", [second]: "open", [third]: "open" } as const
    expect(choose(states, { mayProbe: false })).toBe(first)
  })
})

type State = "closed" | "open" | "half-open"

function choose(states: Readonly<Record<string, State>>, wish: Partial<OriginWish> = {}) {
  const stateOf = (key: string) => states[key.replace(/^us01 /, "")] ?? "closed"
  const health = {
    stateOf,
    enter: (key: string) => (stateOf(key) === "open" ? { retryAfterMs: 1_000 } : { key }),
  }
  const choice = chooseOrigin({ zone: "us01", origins: ORIGINS, stickyKey: "100", mayProbe: true, ...wish }, health)
  return "origin" in choice ? choice.origin : choice
}

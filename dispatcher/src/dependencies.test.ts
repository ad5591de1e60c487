import { describe, expect, it } from "vitest"
import type { TripRecord } from "../../contracts/trip.ts"
import { refuse } from "../../kit/problem.ts"
import { growsFasterThan } from "../../kit/testing/growth.ts"
import { redact, tripLog } from "./dependencies.ts"

const TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLWl0"

describe("redact", () => {
  it.each([`got ${TOKEN} here`, `Bearer ${TOKEN}`, "bearer opaque-secret", `{"x-passport":"${TOKEN}"}`])(
    "takes the token out of %j",
    (text) => {
      expect(redact(text)).toContain("[token]")
      expect(redact(text)).not.toMatch(/eyJ|opaque-secret/)
    },
  )

  it.each(["Worker not found.", "a.b.c is not a function", "files--v12 failed at index.js:10:4"])(
    "leaves %j",
    (text) => {
      expect(redact(text)).toBe(text)
    },
  )

  it("keeps at most 500 characters", () => {
    expect(redact("a ".repeat(10_000))).toHaveLength(500)
  })

  it.each([
    ["four parts and more", `${TOKEN}.${"x".repeat(20)}.${"y".repeat(20)}`, "[token]"],
    ["a part too short to be one", "abcdefghijk.abc.abcdefghijk", "abcdefghijk.abc.abcdefghijk"],
    ["a word that goes on into it", `id-${TOKEN}`, "[token]"],
  ])("knows a token of %s", (_what, text, shown) => {
    expect(redact(text)).toBe(shown)
  })

  it("takes out the tokens at its end, also one that goes on behind what is looked at", () => {
    const [header = "", payload = ""] = TOKEN.split(".")
    for (let cut = 1; cut < TOKEN.length; cut++) {
      const tokens = `${"x".repeat(1_000)}.${"y".repeat(1_000)}.${"z".repeat(400)} `.repeat(2)
      const text = `${tokens}${" ".repeat(5_000 - cut - tokens.length)}${TOKEN} and more`
      const shown = redact(text.replace(/ {2,}/, (blank) => ` ${"w ".repeat(blank.length)}`.slice(0, blank.length)))
      expect(shown).not.toContain(header)
      expect(shown).not.toContain(payload)
    }
  })

  it.each([
    ["one long word", "A"],
    ["words that are nearly parts of a token", "AAAAAAAAAA.AAA."],
    ["Bearer without a token", "Bearer "],
    ["spaces behind one Bearer", " "],
  ])("takes time by the length of the text: %s", (_what, unit) => {
    const text = (length: number) => `Bearer${unit.repeat(length / unit.length)}`
    const twentyTimes = (size: number) => {
      for (let time = 0; time < 20; time++) redact(text(size))
    }
    expect(growsFasterThan(4_900, twentyTimes)).toBe(false)
  })
})

describe("tripLog", () => {
  const record = { event: "trip", requestId: "r-1" } as TripRecord
  const written = (cause?: unknown) => {
    const lines: unknown[] = []
    tripLog((logged) => lines.push(logged))(
      record,
      cause === undefined ? null : refuse("dispatch.worker-failed", { cause }),
    )
    return lines
  }

  it("writes the record as it is, and the cause of a failure without tokens", () => {
    expect(written()).toEqual([record])
    expect(written(new Error(`got ${TOKEN}`))).toEqual([{ ...record, cause: "got [token]" }])
    expect(written(`Bearer ${TOKEN}`)).toEqual([{ ...record, cause: "[token]" }])
  })
})

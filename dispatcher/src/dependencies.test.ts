import { describe, expect, it } from "vitest"
import { redact } from "./dependencies.ts"

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
})

import { describe, expect, it } from "vitest"
import { RateMeter, rateMeter } from "./rate-meter.ts"

describe("RateMeter", () => {
  it("allows the limit and says what is left, per token", () => {
    const meter = new RateMeter(2)
    expect(meter.take("a", 0)).toEqual({ allowed: true, limit: 2, remaining: 1, resetS: 300 })
    expect(meter.take("a", 1000)).toMatchObject({ allowed: true, remaining: 0 })
    expect(meter.take("a", 2000).allowed).toBe(false)
    expect(meter.take("b", 2000).allowed).toBe(true)
  })

  it("refuses everything for five minutes from the first request too many", () => {
    const meter = new RateMeter(1)
    meter.take("a", 0)
    expect(meter.take("a", 100_000)).toEqual({ allowed: false, limit: 1, retryAfterS: 300 })
    expect(meter.take("a", 399_999)).toEqual({ allowed: false, limit: 1, retryAfterS: 1 })
    expect(meter.take("a", 400_000).allowed).toBe(true)
  })

  it("starts anew after five minutes", () => {
    const meter = new RateMeter(1)
    meter.take("a", 0)
    expect(meter.take("a", 300_000).allowed).toBe(true)
  })

  it("is off, a number, or a mistake", () => {
    expect(rateMeter("off")).toBeNull()
    expect(rateMeter("1200")).toBeInstanceOf(RateMeter)
    for (const wrong of ["", "0", "-1", "1.5", "on"]) expect(() => rateMeter(wrong)).toThrow("RATE_LIMIT")
  })
})

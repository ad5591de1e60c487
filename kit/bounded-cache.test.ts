import { describe, it } from "vitest"
import { BoundedCache } from "./bounded-cache.ts"

describe("BoundedCache", () => {
  it("gives back what was set, the latest value of a key, and undefined for what never was", ({ expect }) => {
    const cache = new BoundedCache<number>(2)
    cache.set("a", 1)
    cache.set("a", 2)
    expect(cache.get("a")).toBe(2)
    expect(cache.get("b")).toBeUndefined()
  })

  it("evicts what was neither set nor read while two generations came after it", ({ expect }) => {
    const cache = new BoundedCache<number>(2)
    for (const key of ["a", "b", "c", "d"]) cache.set(key, 1)
    expect(cache.get("a")).toBe(1)
    for (const key of ["e", "f", "g", "h"]) cache.set(key, 1)
    expect(cache.get("b")).toBeUndefined()
  })

  it("keeps what is read again and again, however much passes by", ({ expect }) => {
    const cache = new BoundedCache<number>(2)
    cache.set("kept", 1)
    for (let each = 0; each < 100; each++) {
      cache.set(`passing-${each}`, 0)
      expect(cache.get("kept")).toBe(1)
    }
  })

  it("never holds more than two generations", ({ expect }) => {
    const cache = new BoundedCache<number>(5)
    for (let each = 0; each < 1000; each++) {
      cache.set(`k${each}`, each)
      cache.get(`k${each - 7}`)
    }
    const keys = Array.from({ length: 1000 }, (_, each) => `k${each}`)
    const held = keys.filter((key) => cache.get(key) !== undefined)
    expect(held.length).toBeLessThanOrEqual(10)
    expect(held).toContain("k999")
  })

  it("answers the newer value of a key whose older one is in the old generation", ({ expect }) => {
    const cache = new BoundedCache<number>(2)
    cache.set("a", 1)
    cache.set("b", 1)
    cache.set("c", 1)
    cache.set("a", 2)
    expect(cache.get("a")).toBe(2)
  })

  it("holds nothing after clear", ({ expect }) => {
    const cache = new BoundedCache<number>(1)
    cache.set("a", 1)
    cache.set("b", 1)
    cache.clear()
    expect([cache.get("a"), cache.get("b")]).toEqual([undefined, undefined])
  })
})

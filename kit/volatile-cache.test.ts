import { describe, it } from "vitest"
import { Refusal } from "./problem.ts"
import { VolatileCache, type VolatileCacheOptions } from "./volatile-cache.ts"

/** A cache whose time passes only where a test says so, and loads that a test ends by hand. */
function make(options: Partial<VolatileCacheOptions<string | null>> = {}) {
  const clock = { ms: 1_000_000, now: () => clock.ms }
  const cache = new VolatileCache<string | null>({ capacity: 10, ttlMs: 1000, giveUpMs: 50, clock, ...options })
  const loads: PromiseWithResolvers<string | null>[] = []
  const background: Promise<unknown>[] = []
  const load = () => {
    const each = Promise.withResolvers<string | null>()
    loads.push(each)
    return each.promise
  }
  const get = (key = "a") => cache.get(key, load, (work) => background.push(work))
  const filled = async (value: string | null, key = "a") => {
    const asked = get(key)
    loads.at(-1)?.resolve(value)
    return asked
  }
  const pass = (ms: number) => {
    clock.ms += ms
  }
  /** Ends the latest load and waits until the cache has taken it up. */
  const finish = async (value: string | null | Error) => {
    if (value instanceof Error) loads.at(-1)?.reject(value)
    else loads.at(-1)?.resolve(value)
    await background.at(-1)
  }
  return { cache, loads, get, filled, pass, finish }
}

const codeOf = (asked: Promise<unknown>) =>
  asked.then(
    () => "resolved",
    (thrown) => (thrown instanceof Refusal ? thrown.code : String(thrown)),
  )

describe("VolatileCache", () => {
  it("loads a key once for all who ask at the same time, and then answers from memory", async ({ expect }) => {
    const { cache, loads, get } = make()
    const asked = [get(), get(), get()]
    expect(loads).toHaveLength(1)
    loads[0]?.resolve("one")
    expect(await Promise.all(asked)).toEqual(["one", "one", "one"])
    expect(await get()).toBe("one")
    expect(loads).toHaveLength(1)
    expect(cache.stats()).toMatchObject({ hits: 1, misses: 3, joined: 2, loads: 1, failures: 0, hitRate: 0.25 })
  })

  it("tells keys apart", async ({ expect }) => {
    const { loads, get } = make()
    const asked = [get("a"), get("A"), get("a ")]
    expect(loads).toHaveLength(3)
    for (const [index, each] of loads.entries()) each.resolve(String(index))
    expect(await Promise.all(asked)).toEqual(["0", "1", "2"])
  })

  it("gives out a value up to its time and not beyond", async ({ expect }) => {
    const { loads, get, filled, pass } = make({ refreshAfterMs: 1000 })
    await filled("one")
    pass(999)
    expect(await get()).toBe("one")
    pass(1)
    const asked = get()
    loads[1]?.resolve("two")
    expect(await asked).toBe("two")
  })

  it("renews a value behind the request that finds it getting old, once", async ({ expect }) => {
    const { cache, loads, get, filled, pass, finish } = make({ refreshAfterMs: 600 })
    await filled("one")
    pass(599)
    await get()
    expect(loads).toHaveLength(1)
    pass(1)
    expect(await Promise.all([get(), get()])).toEqual(["one", "one"])
    expect(loads).toHaveLength(2)
    await finish("two")
    expect(await get()).toBe("two")
    expect(cache.stats()).toMatchObject({ hits: 4, misses: 1, loads: 2 })
  })

  it("keeps a value whose renewal failed until its time, and tries again after a pause", async ({ expect }) => {
    const { cache, loads, get, filled, pass, finish } = make({ ttlMs: 10_000, refreshAfterMs: 1_000 })
    await filled("one")
    pass(1_000)
    await get()
    await finish(new Error("down"))
    expect(await get()).toBe("one")
    expect(loads).toHaveLength(2)
    pass(1_000)
    expect(await get()).toBe("one")
    expect(loads).toHaveLength(3)
    expect(cache.stats().failures).toBe(1)
  })

  it("tells everyone who waited of a failure, and keeps nothing of it", async ({ expect }) => {
    const { loads, get } = make()
    const asked = [get(), get()].map(codeOf)
    loads[0]?.reject(new Error("down"))
    expect(await Promise.all(asked)).toEqual(["Error: down", "Error: down"])
    const again = get()
    loads[1]?.resolve("up")
    expect(await again).toBe("up")
  })

  it("fails for a load that throws before its first wait as for any other", async ({ expect }) => {
    const { cache } = make()
    const load = () => {
      throw new Error("at once")
    }
    expect(await codeOf(cache.get("a", load, () => {}))).toBe("Error: at once")
    expect(
      await cache.get(
        "a",
        async () => "fine",
        () => {},
      ),
    ).toBe("fine")
  })

  it("gives out an old value when its load fails, only within the time allowed for that", async ({ expect }) => {
    const { cache, loads, get, filled, pass, finish } = make({ staleIfErrorMs: 5_000 })
    await filled("one")
    pass(1_000)
    const asked = get()
    await finish(new Error("down"))
    expect(await asked).toBe("one")
    expect(await get()).toBe("one")
    expect(loads).toHaveLength(2)
    expect(cache.stats().stale).toBe(2)
    pass(5_000)
    const late = codeOf(get())
    await finish(new Error("still down"))
    expect(await late).toBe("Error: still down")
  })
})

describe("VolatileCache: loads that come to nothing", () => {
  it("are given up, and whoever waited is told so", async ({ expect }) => {
    const { cache, get } = make({ giveUpMs: 5 })
    expect(await codeOf(get())).toBe("dependency.timeout")
    expect(cache.stats()).toMatchObject({ givenUp: 1, failures: 0 })
  })

  it("leave an old value to be given out", async ({ expect }) => {
    const { loads, get, filled, pass } = make({ giveUpMs: 5, staleIfErrorMs: 5_000 })
    await filled("one")
    pass(1_000)
    expect(await get()).toBe("one")
    expect(await get()).toBe("one")
    expect(loads).toHaveLength(2)
  })

  it("are taken over by one of those who waited for another's", async ({ expect }) => {
    const { cache, loads, pass } = make({ giveUpMs: 20 })
    const never = () => new Promise<string>(() => {})
    const first = codeOf(cache.get("a", never, () => {}))
    const load = async () => {
      loads.push(Promise.withResolvers())
      return "taken over"
    }
    pass(10)
    const joined = [cache.get("a", load, () => {}), cache.get("a", load, () => {})]
    pass(10)
    expect(await Promise.all(joined)).toEqual(["taken over", "taken over"])
    expect(loads).toHaveLength(1)
    expect(await first).toBe("resolved")
    expect(cache.stats()).toMatchObject({ misses: 3, joined: 2, loads: 2, stale: 0 })
  })

  it("cannot bring an older value back when they end after all", async ({ expect }) => {
    const { loads, get, pass, finish } = make({ giveUpMs: 5 })
    const first = codeOf(get())
    expect(await first).toBe("dependency.timeout")
    pass(5)
    const second = get()
    await finish("new")
    expect(await second).toBe("new")
    loads[0]?.resolve("old")
    await loads[0]?.promise
    expect(await get()).toBe("new")
  })

  it("are not waited for by a request that comes when they are already too old", async ({ expect }) => {
    const { loads, get, pass, finish } = make({ giveUpMs: 1_000 })
    const lost = get()
    pass(1_000)
    const asked = get()
    expect(loads).toHaveLength(2)
    await finish("two")
    expect(await asked).toBe("two")
    loads[0]?.resolve("one")
    expect(await lost).toBe("one")
  })
})

describe("VolatileCache: what there is not", () => {
  it("is not kept, and takes away what there was", async ({ expect }) => {
    const { loads, get, filled, pass } = make({ staleIfErrorMs: 60_000 })
    await filled(null)
    await filled("one")
    pass(1_000)
    await filled(null)
    const asked = codeOf(get())
    loads.at(-1)?.reject(new Error("down"))
    expect(await asked).toBe("Error: down")
    expect(loads).toHaveLength(4)
  })

  it("is kept where that was asked for, for its own time", async ({ expect }) => {
    const { loads, get, filled, pass, finish } = make({ negativeTtlMs: 100, staleIfErrorMs: 60_000 })
    await filled(null)
    pass(99)
    expect(await get()).toBeNull()
    pass(1)
    const asked = get()
    expect(loads).toHaveLength(2)
    await finish("one")
    expect(await asked).toBe("one")
  })

  it("is what `isNegative` says", async ({ expect }) => {
    const { loads, filled } = make({ isNegative: (value) => value === "" })
    await filled("")
    await filled(null)
    await filled(null)
    expect(loads).toHaveLength(2)
  })
})

describe("VolatileCache: forget", () => {
  it("makes the next ask load anew", async ({ expect }) => {
    const { cache, loads, filled } = make({ staleIfErrorMs: 60_000 })
    await filled("one")
    cache.forget("a")
    expect(await filled("two")).toBe("two")
    expect(loads).toHaveLength(2)
  })

  it("lets no load under way bring the old value back", async ({ expect }) => {
    const { cache, loads, get } = make()
    const before = get()
    cache.forget("a")
    const after = get()
    loads[1]?.resolve("new")
    expect(await after).toBe("new")
    loads[0]?.resolve("old")
    expect(await before).toBe("old")
    expect(await get()).toBe("new")
  })
})

describe("VolatileCache: bounds", () => {
  it("holds at most twice its capacity", async ({ expect }) => {
    const { loads, filled, get } = make({ capacity: 2 })
    for (const key of ["a", "b", "c", "d", "e"]) await filled(key, key)
    expect(await filled("again", "a")).toBe("again")
    expect(loads).toHaveLength(6)
    await get("e")
    expect(loads).toHaveLength(6)
  })

  for (const [name, value] of Object.entries({
    capacity: 0,
    ttlMs: 0,
    refreshAfterMs: 1001,
    staleIfErrorMs: -1,
    giveUpMs: 0,
    negativeTtlMs: Number.NaN,
  }))
    it(`throws for ${name} ${value}`, ({ expect }) => {
      expect(() => make({ [name]: value })).toThrow(TypeError)
    })
})

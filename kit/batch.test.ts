import { describe, it } from "vitest"
import { type BatchOptions, batch } from "./batch.ts"

function make(options: Partial<BatchOptions<string, string>> = {}) {
  const calls: (readonly string[])[] = []
  const load = async (keys: readonly string[]): Promise<(string | Error)[]> => {
    calls.push(keys)
    return keys.map((key) => (key.startsWith("bad") ? new Error(`no ${key}`) : `value of ${key}`))
  }
  return { ask: batch({ maxSize: 10, maxWaitMs: 0, load, ...options }), calls }
}

describe("batch", () => {
  it("makes one call of all that is asked meanwhile, in the order asked", async ({ expect }) => {
    const { ask, calls } = make()
    const asked = [ask("b"), ask("a")]
    await Promise.resolve()
    asked.push(ask("c"))
    expect(await Promise.all(asked)).toEqual(["value of b", "value of a", "value of c"])
    expect(calls).toEqual([["b", "a", "c"]])
  })

  it("asks for a key once, also when it comes again after the answer", async ({ expect }) => {
    const { ask, calls } = make()
    expect(await Promise.all([ask("a"), ask("a"), ask("A")])).toEqual(["value of a", "value of a", "value of A"])
    await ask("a")
    expect(calls).toEqual([["a", "A"]])
  })

  it("sends a full batch at once and what is left after it", async ({ expect }) => {
    const { ask, calls } = make({ maxSize: 2, maxWaitMs: 0 })
    const asked = ["a", "b", "c", "d", "e"].map(ask)
    expect(calls).toEqual([
      ["a", "b"],
      ["c", "d"],
    ])
    await Promise.all(asked)
    expect(calls).toHaveLength(3)
    expect(calls[2]).toEqual(["e"])
  })

  it("starts no second call by the timer of a batch that was already sent", async ({ expect }) => {
    const { ask, calls } = make({ maxSize: 2, maxWaitMs: 5 })
    await Promise.all(["a", "b"].map(ask))
    await ask("c")
    expect(calls).toEqual([["a", "b"], ["c"]])
  })

  it("fails one key without the others, and asks for it again", async ({ expect }) => {
    const { ask, calls } = make()
    const settled = await Promise.allSettled([ask("a"), ask("bad"), ask("b")])
    expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"])
    await expect(ask("bad")).rejects.toThrow("no bad")
    expect(calls).toEqual([["a", "bad", "b"], ["bad"]])
  })

  it("fails every key of a call that rejects or throws, and of no other", async ({ expect }) => {
    for (const load of [
      () => Promise.reject(new Error("down")),
      () => {
        throw new Error("down")
      },
    ]) {
      let count = 0
      const first = load as unknown as BatchOptions<string, string>["load"]
      const { ask } = make({ maxSize: 2, load: (keys) => (count++ === 0 ? first(keys) : Promise.resolve([...keys])) })
      const settled = await Promise.allSettled(["a", "b", "c"].map(ask))
      expect(settled.map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled"])
    }
  })

  for (const [name, answer] of Object.entries({ "too few": ["one"], "too many": ["one", "two", "three"] }))
    it(`fails every key of a call that answers with ${name} values`, async ({ expect }) => {
      const { ask } = make({ load: async () => answer })
      const settled = await Promise.allSettled([ask("a"), ask("b")])
      expect(settled.map(({ status }) => status)).toEqual(["rejected", "rejected"])
    })

  it("keeps falsy values and tells numbers and texts apart", async ({ expect }) => {
    const ask = batch<string | number, unknown>({
      maxSize: 9,
      maxWaitMs: 0,
      load: async (keys) => keys.map(() => null),
    })
    expect(await Promise.all([ask(1), ask("1")])).toEqual([null, null])
    const zero = batch<number, number>({ maxSize: 9, maxWaitMs: 0, load: async (keys) => [...keys] })
    expect(await zero(0)).toBe(0)
  })

  it("shares nothing with another batch", async ({ expect }) => {
    const one = make()
    const other = make()
    await Promise.all([one.ask("a"), other.ask("a")])
    expect(one.calls).toEqual([["a"]])
    expect(other.calls).toEqual([["a"]])
  })

  for (const wrong of [{ maxSize: 0 }, { maxSize: 1.5 }, { maxWaitMs: -1 }, { maxWaitMs: Number.NaN }])
    it(`throws for ${JSON.stringify(wrong)}`, ({ expect }) => {
      expect(() => make(wrong)).toThrow(TypeError)
    })
})

import { afterEach, beforeEach, describe, it, vi } from "vitest"
import { awaitFor, within } from "./within.ts"

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe("within", () => {
  it("settles as the work does, also at the last moment, and leaves no timer behind", async ({ expect }) => {
    const { promise, resolve } = Promise.withResolvers<string>()
    const answered = within(100, promise)
    await vi.advanceTimersByTimeAsync(99)
    resolve("late")
    expect(await answered).toBe("late")
    await expect(within(100, Promise.reject(new TypeError("down")))).rejects.toThrow("down")
    expect(vi.getTimerCount()).toBe(0)
  })

  it("rejects when the time is over, whatever the work comes to after", async ({ expect }) => {
    const { promise, reject } = Promise.withResolvers<string>()
    const refused = expect(within(100, promise)).rejects.toThrow("no answer within 100 ms")
    await vi.advanceTimersByTimeAsync(100)
    await refused
    reject(new Error("after"))
  })
})

describe("awaitFor", () => {
  it("gives what the work comes to, also at the last moment, and leaves no timer behind", async ({ expect }) => {
    const { promise, resolve } = Promise.withResolvers<string>()
    const answered = awaitFor(100, promise)
    await vi.advanceTimersByTimeAsync(99)
    resolve("late")
    expect(await answered).toBe("late")
    await expect(awaitFor(100, Promise.reject(new TypeError("down")))).rejects.toThrow("down")
    expect(vi.getTimerCount()).toBe(0)
  })

  it("gives undefined when the time is over, whatever the work comes to after", async ({ expect }) => {
    const { promise, reject } = Promise.withResolvers<string>()
    const answered = awaitFor(100, promise)
    await vi.advanceTimersByTimeAsync(100)
    expect(await answered).toBeUndefined()
    reject(new Error("after"))
  })

  it("gives undefined at once when no time is left", async ({ expect }) => {
    for (const ms of [0, -1]) expect(await awaitFor(ms, new Promise(() => {}))).toBeUndefined()
    expect(vi.getTimerCount()).toBe(0)
  })
})

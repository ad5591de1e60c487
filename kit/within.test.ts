import { afterEach, beforeEach, describe, it, vi } from "vitest"
import { within } from "./within.ts"

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

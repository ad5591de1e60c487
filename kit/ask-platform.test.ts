import { afterEach, describe, it, vi } from "vitest"
import { askPlatform } from "./ask-platform.ts"

afterEach(() => void vi.useRealTimers())

describe("askPlatform", () => {
  it("hands out the answer", async ({ expect }) => {
    expect(await askPlatform(async () => 42)).toBe(42)
  })

  it("keeps the platform's refusal a refusal", async ({ expect }) => {
    await expect(askPlatform(() => Promise.reject(new Error("platform.not-granted")))).rejects.toMatchObject({
      code: "platform.not-granted",
      status: 403,
    })
  })

  for (const failure of [new Error("Network connection lost."), new Error("toString"), "text", undefined])
    it(`answers platform.unavailable for ${failure}`, async ({ expect }) => {
      await expect(askPlatform(() => Promise.reject(failure))).rejects.toMatchObject({ code: "platform.unavailable" })
    })

  it("waits for ten seconds and no longer, and says that there is no answer", async ({ expect }) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
    const asked = askPlatform(() => new Promise(() => {})).then(
      () => "answered",
      (thrown) => thrown.code,
    )
    await vi.advanceTimersByTimeAsync(9_999)
    expect(await Promise.race([asked, "waiting"])).toBe("waiting")
    await vi.advanceTimersByTimeAsync(1)
    expect(await Promise.race([asked, "waiting"])).toBe("platform.unavailable")
  })

  it("takes an answer that comes just in time, and leaves no timer behind", async ({ expect }) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
    const { promise, resolve } = Promise.withResolvers<number>()
    const asked = askPlatform(() => promise)
    await vi.advanceTimersByTimeAsync(9_999)
    resolve(42)
    expect(await asked).toBe(42)
    expect(vi.getTimerCount()).toBe(0)
  })
})

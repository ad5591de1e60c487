import { describe, it } from "vitest"
import { askPlatform } from "./ask-platform.ts"

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
})

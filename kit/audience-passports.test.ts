import { describe, it } from "vitest"
import type { AudiencePassport } from "../contracts/platform.ts"
import { AudiencePassports } from "./audience-passports.ts"

const WISH = { audience: "cell:us01", ownPassport: "own", revision: 1 }

describe("AudiencePassports", () => {
  it("asks once per own passport, audience and config revision while 30 seconds of life are left", async ({
    expect,
  }) => {
    const clock = { nowMs: 1_000_000, now: () => clock.nowMs }
    const { asks, accessTo } = counting(clock)
    await accessTo(WISH)
    clock.nowMs = 1_029_999
    await accessTo(WISH)
    expect(asks()).toBe(1)
    clock.nowMs = 1_030_000
    await accessTo(WISH)
    expect(asks()).toBe(2)
    for (const change of [{ ownPassport: "another's" }, { audience: "cell:us02" }, { revision: 2 }, { revision: null }])
      await accessTo({ ...WISH, ...change })
    expect(asks()).toBe(6)
  })

  for (const expiresS of [1_030, Number.NaN, undefined])
    it(`never reuses a passport of which it is told that it ends at ${expiresS}`, async ({ expect }) => {
      const { accessTo } = counting({ now: () => 1_000_000 }, { expiresS } as Partial<AudiencePassport>)
      await accessTo(WISH)
      expect((await accessTo(WISH)).token).toBe("opaque-2")
    })

  it("forgets those not used for long, and asks again", async ({ expect }) => {
    const { asks, accessTo } = counting({ now: () => 1_000_000 })
    for (let each = 0; each <= 2_000; each++) await accessTo({ ...WISH, ownPassport: `own-${each}` })
    await accessTo({ ...WISH, ownPassport: "own-2000" })
    expect(asks()).toBe(2_001)
    await accessTo({ ...WISH, ownPassport: "own-0" })
    expect(asks()).toBe(2_002)
  })

  it("refuses an audience without origins, and remembers no refusal", async ({ expect }) => {
    const { asks, accessTo } = counting({ now: () => 1_000_000 }, { origins: [] })
    for (let each = 0; each < 2; each++)
      await expect(accessTo(WISH)).rejects.toMatchObject({ code: "platform.audience-unknown" })
    expect(asks()).toBe(2)
  })
})

function counting(clock: { now(): number }, answer: Partial<AudiencePassport> = {}) {
  const passports = new AudiencePassports(clock)
  let asks = 0
  const ask = async () => {
    const token = `opaque-${++asks}`
    return { token, audience: "cell:us01", expiresS: 1_060, origins: ["https://us01.cell.example"], ...answer }
  }
  const accessTo = (wish: Parameters<AudiencePassports["accessTo"]>[0]) => passports.accessTo(wish, ask)
  return { asks: () => asks, accessTo }
}

import { describe, it } from "vitest"
import type { ExchangedPassport, PassportExchangeApi } from "../../contracts/platform.ts"
import { ExchangedPassports, type ExchangeWish } from "./exchanged-passports.ts"

const CALLER = { script: "gateway", team: "edge-routing", version: 1 }
const WISH: ExchangeWish = {
  own: { token: "own", expiresS: 1_060 },
  audience: "cell:us01",
  caller: CALLER,
  revision: 1,
}

describe("ExchangedPassports", () => {
  it("asks once per own passport, audience and caller while 30 seconds of life are left", async ({ expect }) => {
    const { asks, passportFor, clock } = counting()
    await passportFor(WISH)
    clock.nowMs = 1_029_999
    await passportFor(WISH)
    expect(asks()).toBe(1)
    clock.nowMs = 1_030_000
    await passportFor(WISH)
    expect(asks()).toBe(2)
    const others: Partial<ExchangeWish>[] = [
      { own: { token: "another's", expiresS: 1_060 } },
      { audience: "cell:us02" },
      { caller: { ...CALLER, script: "router" } },
      { caller: { ...CALLER, team: "web" } },
      { caller: { ...CALLER, version: 2 } },
    ]
    for (const change of others) await passportFor({ ...WISH, ...change })
    expect(asks()).toBe(7)
  })

  it("asks again for a call under a newer config revision, and not for one under an older", async ({ expect }) => {
    const { asks, passportFor } = counting()
    for (const [revision, asked] of [
      [3, 1],
      [3, 1],
      [2, 1],
      [4, 2],
      [3, 2],
    ] as const) {
      await passportFor({ ...WISH, revision })
      expect(asks()).toBe(asked)
    }
  })

  it("gives nothing from memory to a call that says no revision, and asks under none older than what it remembers", async ({
    expect,
  }) => {
    const { asked, passportFor } = counting()
    for (const revision of [null, null, 3, null, 2, 3, null]) await passportFor({ ...WISH, revision })
    expect(asked).toEqual([0, 0, 3, 3, 3])
  })

  it("gives nothing from memory that is from before a revision that it knows to be in force, whoever came with that", async ({
    expect,
  }) => {
    const { asked, passportFor } = counting()
    const other = { ...WISH, own: { token: "another's", expiresS: 1_060 } }
    await passportFor({ ...WISH, revision: 3 })
    await passportFor({ ...other, revision: 4 })
    await passportFor({ ...WISH, revision: 3 })
    await passportFor({ ...WISH, revision: 3 })
    await passportFor({ ...other, revision: 3 })
    expect(asked).toEqual([3, 4, 3, 3])
  })

  it("takes no revision for one in force because a call says so that the exchange refuses", async ({ expect }) => {
    const { asks, passportFor, passports } = counting()
    await passportFor({ ...WISH, revision: 3 })
    const refusing = async () => Promise.reject(new Error("config.unavailable"))
    const made = passports.passportFor({ ...WISH, revision: 999_999 }, refusing)
    await expect(made).rejects.toMatchObject({ code: "config.unavailable" })
    await passportFor({ ...WISH, revision: 3 })
    expect(asks()).toBe(1)
  })

  it("keeps the one of the newer revision when that of an older comes later", async ({ expect }) => {
    const { asked, passportFor, passports } = counting()
    let give: (passport: ExchangedPassport) => void = () => undefined
    const slow = new Promise<ExchangedPassport>((resolve) => {
      give = resolve
    })
    const older = passports.passportFor({ ...WISH, revision: 3 }, () => slow)
    const newer = await passportFor({ ...WISH, revision: 4 })
    give({ header: "x-passport", token: "late", expiresS: 1_060 })
    expect((await older).token).toBe("late")
    expect(await passportFor({ ...WISH, revision: 4 })).toEqual(newer)
    expect(asked).toEqual([4])
  })

  it("tells callers apart whatever their names and passports hold", async ({ expect }) => {
    const { asks, passportFor } = counting()
    await passportFor({ ...WISH, audience: 'a","b', own: { token: "c", expiresS: 1_060 } })
    await passportFor({ ...WISH, audience: "a", own: { token: 'b","c', expiresS: 1_060 } })
    expect(asks()).toBe(2)
  })

  it("gives nothing from memory for an own passport that has expired", async ({ expect }) => {
    const { asks, passportFor, clock } = counting({ expiresS: 1_060 })
    const old = { ...WISH, own: { token: "old", expiresS: 1_010 } }
    await passportFor(old)
    clock.nowMs = 1_014_999
    await passportFor(old)
    expect(asks()).toBe(1)
    clock.nowMs = 1_015_000
    await passportFor(old)
    expect(asks()).toBe(2)
  })

  it("never reuses one that is as good as over", async ({ expect }) => {
    const { asks, passportFor } = counting({ expiresS: 1_030 })
    await passportFor(WISH)
    await passportFor(WISH)
    expect(asks()).toBe(2)
  })

  for (const expiresS of [Number.NaN, Number.POSITIVE_INFINITY, undefined, "1060"])
    it(`takes no passport of which it is told that it ends at ${expiresS}`, async ({ expect }) => {
      const { passportFor } = counting({ expiresS } as Partial<ExchangedPassport>)
      await expect(passportFor(WISH)).rejects.toMatchObject({ code: "egress.passport-exchange-failed" })
    })

  it("forgets those not used for long, and remembers none that is too long", async ({ expect }) => {
    const { asks, passportFor } = counting()
    for (let each = 0; each <= 4_000; each++) await passportFor({ ...WISH, own: { token: `${each}`, expiresS: 1_060 } })
    await passportFor({ ...WISH, own: { token: "4000", expiresS: 1_060 } })
    expect(asks()).toBe(4_001)
    await passportFor({ ...WISH, own: { token: "0", expiresS: 1_060 } })
    expect(asks()).toBe(4_002)
    const long = { ...WISH, own: { token: "a".repeat(4_001), expiresS: 1_060 } }
    await passportFor(long)
    await passportFor(long)
    expect(asks()).toBe(4_004)
  })

  it("remembers no refusal", async ({ expect }) => {
    const passports = new ExchangedPassports({ now: () => 1_000_000 })
    const refusing = async () => Promise.reject(new Error("auth.revoked"))
    await expect(passports.passportFor(WISH, refusing)).rejects.toMatchObject({ code: "auth.revoked" })
    const made = { header: "x-passport", token: "made", expiresS: 1_060 }
    expect(await passports.passportFor(WISH, async () => made)).toEqual(made)
  })
})

function counting(answer: Partial<ExchangedPassport> = {}) {
  const clock = { nowMs: 1_000_000, now: () => clock.nowMs }
  const passports = new ExchangedPassports(clock)
  /** The revision under which each was asked for. */
  const asked: unknown[] = []
  const exchange: PassportExchangeApi["exchange"] = async (_own, _audience, _caller, atLeast) => {
    asked.push(atLeast)
    return { header: "x-passport", token: `opaque-${asked.length}`, expiresS: 1_060, ...answer }
  }
  const passportFor = (wish: ExchangeWish) => passports.passportFor(wish, exchange)
  return { asks: () => asked.length, asked, clock, passports, passportFor }
}

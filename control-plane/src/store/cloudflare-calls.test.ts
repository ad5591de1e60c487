/** The count of calls to Cloudflare, on real D1: what has room is let through, to the last one, and never twice. */
import { beforeEach, describe, it } from "vitest"
import { startControlPlane } from "../../test/harness.ts"
import { COUNTED_SLOTS, leavesAtMs, SLOT_MS, slotAt, WINDOW_MS } from "../call-window.ts"
import { type CallStore, callStore, type WantedCalls } from "./cloudflare-calls.ts"

/** The begin of a slot. */
const NOW = slotAt(Date.parse("2026-11-20T12:00:00.000Z")) * SLOT_MS

let store: CallStore
let db: D1Database
beforeEach(async () => {
  db = (await startControlPlane()).deps.db
  store = callStore(db)
})

const wanted = (calls: number, fields: Partial<WantedCalls> = {}): WantedCalls => ({
  ...{ team: "web", calls, mostOfAll: 80, mostOfTeam: 40, despiteRefusal: false },
  ...fields,
})
const spentOf = async (nowMs = NOW) => (await store.usage(nowMs)).spent.reduce((sum, each) => sum + each.calls, 0)
const rows = async () => (await db.prepare("SELECT count(*) AS n FROM cloudflare_calls").first<number>("n")) ?? 0

describe("the calls that are spent", () => {
  it("may be as many as a team has, and not one more", async ({ expect }) => {
    expect(await store.reserve(NOW, wanted(39))).toBe(true)
    expect(await store.reserve(NOW, wanted(2))).toBe(false)
    expect(await store.reserve(NOW, wanted(1))).toBe(true)
    expect(await store.reserve(NOW, wanted(1))).toBe(false)
    expect(await spentOf()).toBe(40)
  })

  it("may be as many as all have, of whatever teams, and not one more", async ({ expect }) => {
    expect(await store.reserve(NOW, wanted(40))).toBe(true)
    expect(await store.reserve(NOW, wanted(39, { team: "shop" }))).toBe(true)
    expect(await store.reserve(NOW, wanted(2, { team: "docs" }))).toBe(false)
    expect(await store.reserve(NOW, wanted(1, { team: "docs" }))).toBe(true)
    expect(await store.reserve(NOW, wanted(1, { team: null, mostOfTeam: null }))).toBe(false)
    expect(await store.reserve(NOW, wanted(20, { team: null, mostOfTeam: null, mostOfAll: 100 }))).toBe(true)
    expect(await store.reserve(NOW, wanted(1, { team: null, mostOfTeam: null, mostOfAll: 100 }))).toBe(false)
  })

  it("are one team's when they are its own, and nobody's of a name that is alike", async ({ expect }) => {
    await store.reserve(NOW, wanted(40))
    for (const team of ["web-2", "we", "Web", null])
      expect(await store.reserve(NOW, wanted(1, { team })), String(team)).toBe(true)
  })

  it("count in every slot of the window and leave it with their own", async ({ expect }) => {
    await store.reserve(NOW + SLOT_MS - 1, wanted(30))
    await store.reserve(NOW + SLOT_MS, wanted(10))
    const leavesMs = leavesAtMs(slotAt(NOW))
    expect(await store.reserve(leavesMs - 1, wanted(1))).toBe(false)
    expect(await store.reserve(leavesMs, wanted(31))).toBe(false)
    expect(await store.reserve(leavesMs, wanted(30))).toBe(true)
    expect(await spentOf(leavesMs)).toBe(40)
  })

  it("are set aside once when many ask for the last of them at the same time", async ({ expect }) => {
    const asked = Array.from({ length: 30 }, (_, index) => {
      const other = callStore(db)
      return other.reserve(NOW, wanted(3, { team: `team-${index % 10}` }))
    })
    const granted = (await Promise.all(asked)).filter((each) => each)
    expect(granted).toHaveLength(26)
    expect(await spentOf()).toBe(78)
  })

  it("that were given back are there for others, and no more of them than were spent", async ({ expect }) => {
    await store.reserve(NOW, wanted(40))
    await store.giveBack(slotAt(NOW), "web", 3)
    await store.giveBack(slotAt(NOW) - 1, "web", 30)
    await store.giveBack(slotAt(NOW), "shop", 30)
    expect(await store.reserve(NOW, wanted(4))).toBe(false)
    expect(await store.reserve(NOW, wanted(3))).toBe(true)
    await store.giveBack(slotAt(NOW), "web", 1_000)
    expect(await spentOf()).toBe(0)
  })

  it("make room for those that are set aside in their place, in the same go, whether these get it or not", async ({
    expect,
  }) => {
    await store.reserve(NOW, wanted(40))
    const [slot, later] = [slotAt(NOW), NOW + SLOT_MS]
    expect(await store.reserve(later, wanted(4), { slot, calls: 3 })).toBe(false)
    expect(await spentOf()).toBe(37)
    expect(await store.reserve(later, wanted(5), { slot, calls: 2 })).toBe(true)
    expect((await store.usage(later)).spent).toEqual([
      { slot, team: "web", calls: 35 },
      { slot: slot + 1, team: "web", calls: 5 },
    ])
    // Of nobody else.
    await store.reserve(later, wanted(1, { team: "shop" }), { slot, calls: 30 })
    expect(await spentOf()).toBe(41)
  })

  it("of a clock that is ahead count as well, unless it is ahead by more than a window", async ({ expect }) => {
    await store.reserve(NOW + 60_000, wanted(40))
    expect(await store.reserve(NOW, wanted(1))).toBe(false)
    await store.reserve(NOW + 86_400_000, wanted(40, { team: "shop" }))
    expect(await store.reserve(NOW, wanted(40, { team: "shop" }))).toBe(true)
  })

  it("take no more room however long it goes on", async ({ expect }) => {
    for (let slot = 0; slot < 100; slot++)
      for (const team of ["web", "shop"]) await store.reserve(NOW + slot * SLOT_MS, wanted(1, { team }))
    expect(await rows()).toBe(2 * (2 * COUNTED_SLOTS + 1))
    await store.reserve(NOW + 86_400_000, wanted(1))
    expect(await rows()).toBe(1)
  })
})

describe("while Cloudflare takes no calls", () => {
  it("none is set aside but for what must try, until then and no longer", async ({ expect }) => {
    await store.noteRefusal(NOW, NOW + 60_000)
    expect(await store.reserve(NOW + 59_999, wanted(1))).toBe(false)
    expect(await store.reserve(NOW + 59_999, wanted(1, { despiteRefusal: true }))).toBe(true)
    expect((await store.usage(NOW + 59_999)).refusedUntilMs).toBe(NOW + 60_000)
    expect(await store.reserve(NOW + 60_000, wanted(1))).toBe(true)
    expect((await store.usage(NOW + 60_000)).refusedUntilMs).toBeNull()
  })

  it("the longest that it said is in force: what it says later without a time shortens nothing", async ({ expect }) => {
    await store.noteRefusal(NOW, NOW + 200_000)
    await store.noteRefusal(NOW, NOW + 10_000)
    expect(await store.reserve(NOW + 199_999, wanted(1))).toBe(false)
    await store.noteRefusal(NOW + 199_999, NOW + 210_000)
    expect(await store.reserve(NOW + 209_999, wanted(1))).toBe(false)
    expect(await store.reserve(NOW + 210_000, wanted(1))).toBe(true)
    // What is over lengthens nothing.
    await store.noteRefusal(NOW + 300_000, NOW + 301_000)
    expect(await store.reserve(NOW + 301_000, wanted(1))).toBe(true)
  })

  it("what a clock noted that is ahead keeps nothing from being remembered", async ({ expect }) => {
    await store.noteRefusal(NOW + 86_400_000, NOW + 86_400_000 + WINDOW_MS)
    await store.noteRefusal(NOW, NOW + 10_000)
    expect(await store.reserve(NOW + 9_999, wanted(1))).toBe(false)
    expect(await store.reserve(NOW + 10_000, wanted(1))).toBe(true)
  })

  it("nothing is in force of a clock that is ahead", async ({ expect }) => {
    await store.noteRefusal(NOW, NOW + WINDOW_MS + 1)
    expect(await store.reserve(NOW, wanted(1))).toBe(true)
    expect(await store.reserve(NOW + 1, wanted(1))).toBe(false)
  })
})

import { evictDurableObject, reset } from "cloudflare:test"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { type FeedPage, targetHash } from "../../contracts/revocation.ts"
import { door, entriesOf, NOON, outcomeOf, relay, sessions, sessionTarget } from "../test/harness.ts"
import { RevocationLog } from "./log.ts"

/** Questions that relays sent to the log; a test says what comes of them. */
const asked = vi.spyOn(RevocationLog.prototype, "since")

beforeEach(async () => {
  vi.useFakeTimers({ now: NOON, toFake: ["Date"] })
  await reset()
})
afterEach(() => {
  asked.mockReset()
  vi.useRealTimers()
})

const silence = () => new Promise<FeedPage>(() => undefined)
const pass = (ms: number) => vi.setSystemTime(Date.now() + ms)
const count = async (name?: string) => entriesOf((await relay(name).since(0)).entries).length

describe("a relay", () => {
  it("gives what the log holds, with the log's numbers", async () => {
    const first = await door.append(sessions(0, 3), "ops")
    expect(await relay().since(0)).toMatchObject({ upTo: first.seq, head: first.seq, ageMs: 0 })
    expect(await count()).toBe(3)
    const second = await door.append(sessions(3, 1), "ops")
    pass(1_000)
    const page = await relay().since(first.seq)
    expect(entriesOf(page.entries)).toHaveLength(1)
    expect(page).toMatchObject({ upTo: second.seq, head: second.seq, ageMs: 0 })
  })

  it("asks the log about once a second, however many ask it", async () => {
    await Promise.all(
      Array.from({ length: 20 }, () =>
        relay()
          .since(0)
          .catch(() => null),
      ),
    )
    pass(899)
    await Promise.all(
      Array.from({ length: 20 }, () =>
        relay()
          .since(0)
          .catch(() => null),
      ),
    )
    expect(asked).toHaveBeenCalledTimes(1)
    pass(1)
    await Promise.all(
      Array.from({ length: 20 }, () =>
        relay()
          .since(0)
          .catch(() => null),
      ),
    )
    expect(asked).toHaveBeenCalledTimes(2)
  })

  it("says how old what it knows is", async () => {
    await door.append(sessions(0, 1), "ops")
    await relay().since(0)
    pass(600)
    expect((await relay().since(0)).ageMs).toBe(600)
  })

  it("answers for an empty log", async () => {
    expect(await relay().since(0)).toMatchObject({ upTo: 0, head: 0, ageMs: 0 })
  })

  it("pages through a log of any size before it answers for it", async () => {
    for (let call = 0; call < 11; call += 1) await door.append(sessions(call * 5_000, 5_000), "ops")
    let entries = 0
    let seq = 0
    for (let page = await relay().since(0); ; page = await relay().since(seq)) {
      entries += page.entries.byteLength / 20
      seq = page.upTo
      if (page.upTo >= page.head) break
    }
    expect(asked).toHaveBeenCalledTimes(3)
    expect(entries).toBe(55_000)
  })

  it("is counted by the log, by its name", async () => {
    await Promise.all([relay("AMS").since(0), relay("CDG").since(0)])
    expect(await door.status()).toMatchObject({ relays: 2 })
    pass(61_000)
    expect(await door.status()).toMatchObject({ relays: 0 })
  })

  it("goes on from its own storage after a restart", async () => {
    const { seq } = await door.append(sessions(0, 3), "ops")
    await relay().since(0)
    await evictDurableObject(relay())
    pass(1_000)
    expect(await count()).toBe(3)
    expect(asked.mock.lastCall?.[0]).toBe(seq)
  })

  it("goes on asking when its clock was put back, and does not call recent what was heard by the old one", async () => {
    await relay().since(0)
    await door.append(sessions(0, 1), "ops")
    pass(-3_600_000)
    expect(await count()).toBe(1)
    asked.mockImplementation(silence)
    pass(-3_600_000)
    expect(await outcomeOf(relay().since(0))).toBe("revocation.log-unheard")
  })

  it("keeps what it has when the log was lost, and takes in what comes then", async () => {
    await door.append(sessions(0, 3), "ops")
    await relay().since(0)
    asked.mockImplementationOnce(async (seq) => ({ entries: new Uint8Array(), upTo: seq, head: 0, ageMs: 0 }))
    pass(1_000)
    expect(await relay().since(0)).toMatchObject({ ageMs: 0 })
    await door.append(sessions(3, 1), "ops")
    pass(1_000)
    expect(await count()).toBe(4)
  })
})

describe.each<[string, () => Promise<FeedPage>]>([
  ["fails", () => Promise.reject(new Error("gone"))],
  ["says nothing", silence],
])("while the log %s", (_what, answer) => {
  it("a relay that knows something waits 200 ms for it at the most, gives that and says how old it is", async () => {
    await door.append(sessions(0, 3), "ops")
    await relay().since(0)
    asked.mockImplementation(answer)
    pass(7_000)
    const waits = vi.spyOn(scheduler, "wait")
    expect((await relay().since(0)).ageMs).toBe(7_000)
    expect(waits.mock.calls.map(([ms]) => ms).filter((ms) => ms > 0)).toEqual([200])
    waits.mockRestore()
    expect(await count()).toBe(3)
  })

  it("a relay that knows nothing says so", async () => {
    asked.mockImplementation(answer)
    expect(await outcomeOf(relay().since(0))).toBe("revocation.log-unheard")
  })

  it("a relay that has just begun gives what is in its storage, as old as the last of it", async () => {
    await door.append(sessions(0, 3), "ops")
    await relay().since(0)
    await evictDurableObject(relay())
    asked.mockImplementation(answer)
    pass(7_000)
    expect((await relay().since(0)).ageMs).toBe(7_000)
    expect(await outcomeOf(relay().revokes(await targetHash(sessionTarget(0)), 0))).toBe("revocation.log-unheard")
  })

  it("it is asked again, about once a second at the most, and believed again once it answers", async () => {
    await door.append(sessions(0, 3), "ops")
    asked.mockImplementation(answer)
    for (let ms = 0; ms < 5_000; ms += 250) {
      await outcomeOf(relay().since(0))
      pass(250)
    }
    expect(asked.mock.calls.length).toBeLessThanOrEqual(6)
    expect(asked.mock.calls.length).toBeGreaterThanOrEqual(2)
    asked.mockReset()
    pass(2_000)
    expect(await count()).toBe(3)
  })
})

describe("revokes", () => {
  it("tells whether an entry for a hash holds for that time", async () => {
    await door.append([{ target: { kind: "company", company: "42" }, beforeMs: NOON, reason: "test" }], "ops")
    const hash = await targetHash({ kind: "company", company: "42" })
    expect(await relay().revokes(hash, NOON)).toBe(true)
    expect(await relay().revokes(hash, NOON + 1)).toBe(false)
    expect(await relay().revokes(hash, Number.NaN)).toBe(true)
  })

  it("looks for each of several, in every page", async () => {
    for (let n = 0; n < 5; n += 1) await door.append(sessions(n, 1), "ops")
    const hashes = new Uint8Array(16)
    hashes.set(await targetHash(sessionTarget(99)), 0)
    expect(await relay().revokes(hashes, NOON)).toBe(false)
    hashes.set(await targetHash(sessionTarget(4)), 8)
    expect(await relay().revokes(hashes, NOON)).toBe(true)
  })

  it.each([new Uint8Array(7), new Uint8Array(8 * 301), "hash", null])("refuses %j", async (hashes) => {
    expect(await outcomeOf(relay().revokes(hashes as never, NOON))).toBe("revocation.invalid")
  })
})

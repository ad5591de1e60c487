import { describe, expect, it, vi } from "vitest"
import { type SessionSeal, seenKey, sessionKey } from "../../../contracts/session.ts"
import { sealSession } from "../../../kit/session-cookie.ts"
import { SESSION_KEYS } from "../test-dependencies.ts"
import { sessionOf, TestSessions } from "../test-stores.ts"
import { SessionReader } from "./session-reader.ts"

const NOW_MS = 1_800_000_000_000
const MINUTE_MS = 60_000
const GRACE_S = 3_600
/** For how long an isolate here waits for its store. */
const LIMIT_MS = 10
/** Long after the store can lag behind the beginning of a session. */
const OLD = { createdAtMs: NOW_MS - 10 * MINUTE_MS }

/** An isolate with a clock of its own, over a store that several may share. */
function isolate(store = new TestSessions(), keys = SESSION_KEYS) {
  const time = { nowMs: NOW_MS }
  const reader = new SessionReader({ store, keys, clock: { now: () => time.nowMs }, limitMs: LIMIT_MS })
  const behind: Promise<unknown>[] = []
  const waitUntil = (work: Promise<unknown>) => void behind.push(work)
  return {
    store,
    time,
    /** `ok`, `unconfirmed`, or the fault; what goes on behind is over when it comes back. */
    async read(cookie: string, graceS = GRACE_S): Promise<string> {
      const reading = await reader.read(cookie, graceS, waitUntil)
      await Promise.all(behind.splice(0))
      if (!reading.ok) return reading.fault
      return reading.isConfirmed ? "ok" : "unconfirmed"
    },
    reader,
    waitUntil,
  }
}

/** With another last character, one that leaves no bits over either. */
const altered = (cookie: string) => cookie.slice(0, -1) + (cookie.endsWith("A") ? "E" : "A")

/** A cookie, and its session in `store` unless it `isAbsent`. */
async function begun(store: TestSessions, changes: Partial<SessionSeal> = OLD, isAbsent = false) {
  const seal = { ...sessionOf(NOW_MS), ...changes }
  const { cookieValue, handle } = await sealSession(seal, SESSION_KEYS)
  if (!isAbsent) {
    store.texts.set(sessionKey(handle), "{}")
    store.texts.set(seenKey(handle), String(NOW_MS))
  }
  return { cookie: cookieValue, handle }
}

describe("a session that the isolate meets", () => {
  it("is looked up once, record and last use at the same time", async () => {
    const { store, read } = isolate()
    const { cookie, handle } = await begun(store)
    expect(await read(cookie)).toBe("ok")
    expect(store.calls).toEqual([`get session/${handle}`, `get seen/${handle}`])
  })

  it("is known at once from then on, and nothing is asked", async () => {
    const { store, read, reader } = isolate()
    const { cookie } = await begun(store)
    await read(cookie)
    store.calls.length = 0
    for (let request = 0; request < 1_000; request++)
      expect(reader.read(cookie, GRACE_S, null)).toMatchObject({ ok: true, isConfirmed: true })
    expect(store.calls).toEqual([])
  })

  it.each<[string, boolean, object]>([
    ["goes on", false, { ok: true, isConfirmed: true }],
    ["is over", true, { ok: false, fault: "ended" }],
  ])("is known to no other request before the store has answered, when it %s", async (_what, isAbsent, expected) => {
    const { store } = isolate()
    const { cookie } = await begun(store, OLD, isAbsent)
    const asked = Promise.withResolvers<void>()
    const answer = Promise.withResolvers<void>()
    const slow = {
      put: store.put.bind(store),
      async get(key: string) {
        asked.resolve()
        await answer.promise
        return store.get(key)
      },
    }
    const reader = new SessionReader({ store: slow, keys: SESSION_KEYS, clock: { now: () => NOW_MS }, limitMs: 60_000 })
    const first = reader.read(cookie, GRACE_S, null)
    await asked.promise
    const second = reader.read(cookie, GRACE_S, null)
    answer.resolve()
    expect(await Promise.all([first, second])).toMatchObject([expected, expected])
    expect(reader.read(cookie, GRACE_S, null)).toMatchObject(expected)
  })

  it("costs the store nothing when its cookie is made up", async () => {
    const { store, read } = isolate()
    const { cookie } = await begun(store)
    for (const made of ["a.b.c", altered(cookie), cookie.slice(1), `${cookie}${cookie}`])
      expect(await read(made)).toBe("malformed")
    expect(store.calls).toEqual([])
  })

  it("is not accepted where no keys are set, and bad keys are found when the isolate begins", async () => {
    const { store, read } = isolate(new TestSessions(), "")
    expect(await read((await begun(store)).cookie)).toBe("keys-missing")
    expect(() => isolate(store, "short")).toThrow(TypeError)
  })

  it("is over when its record is gone", async () => {
    const { store, read } = isolate()
    const { cookie } = await begun(store, OLD, true)
    expect(await read(cookie)).toBe("ended")
  })

  it("may have no record yet in its first two minutes, and then must have one", async () => {
    const { store, read, time } = isolate()
    const { cookie } = await begun(store, {}, true)
    expect(await read(cookie)).toBe("ok")
    time.nowMs = NOW_MS + 120_000 - 1
    expect(await read(cookie)).toBe("ok")
    time.nowMs = NOW_MS + 120_000
    expect(await read(cookie)).toBe("ended")
  })

  it("goes on after two minutes when its record has arrived meanwhile", async () => {
    const { store, read, time } = isolate()
    const { cookie, handle } = await begun(store, {}, true)
    expect(await read(cookie)).toBe("ok")
    store.texts.set(sessionKey(handle), "{}")
    time.nowMs = NOW_MS + 120_000
    expect(await read(cookie)).toBe("ok")
  })

  it("is asked for anew each time where its cookie is too long to be remembered", async () => {
    const { store, read } = isolate()
    const scopes = Array.from({ length: 30 }, (_, index) => `${index}`.padStart(64, "x"))
    const { cookie } = await begun(store, { ...OLD, scopes })
    expect(cookie.length).toBeGreaterThan(2_000)
    await read(cookie)
    await read(cookie)
    expect(store.calls).toHaveLength(4)
  })
})

describe("a session that the isolate knows", () => {
  it("is looked at again behind a request, once a minute at most", async () => {
    const { store, read, time } = isolate()
    const { cookie } = await begun(store)
    await read(cookie)
    store.calls.length = 0
    time.nowMs += MINUTE_MS - 1
    await read(cookie)
    expect(store.calls).toEqual([])
    time.nowMs += 1
    await read(cookie)
    await read(cookie)
    expect(store.calls.filter((call) => call.startsWith("get session/"))).toHaveLength(1)
  })

  it("is over at the request after the look that found no record", async () => {
    const { store, read, time } = isolate()
    const { cookie, handle } = await begun(store)
    await read(cookie)
    store.texts.delete(sessionKey(handle))
    time.nowMs += MINUTE_MS
    expect(await read(cookie)).toBe("ok")
    expect(await read(cookie)).toBe("ended")
  })

  it("never begins again once it was found over, whatever the store says later", async () => {
    const { store, read, time } = isolate()
    const { cookie, handle } = await begun(store)
    store.texts.delete(sessionKey(handle))
    expect(await read(cookie)).toBe("ended")
    store.texts.set(sessionKey(handle), "{}")
    for (let minute = 0; minute < 5; minute++) {
      time.nowMs += MINUTE_MS
      expect(await read(cookie)).toBe("ended")
    }
  })

  it("ends at its end without a look", async () => {
    const { store, read, time } = isolate()
    const { cookie } = await begun(store, { ...OLD, expiresAtMs: NOW_MS + MINUTE_MS })
    await read(cookie)
    store.calls.length = 0
    time.nowMs = NOW_MS + MINUTE_MS - 1
    expect(await read(cookie)).toBe("ok")
    time.nowMs += 1
    expect(await read(cookie)).toBe("expired")
    expect(store.calls).toEqual([])
  })
})

describe("the last use", () => {
  it("ends a session that nobody used for so long, exactly", async () => {
    const store = new TestSessions()
    const { cookie, handle } = await begun(store, { ...OLD, idleS: 600 })
    for (const [atMs, expected] of [
      [NOW_MS + 600_000 - 1, "ok"],
      [NOW_MS + 600_000, "idle"],
    ] as const) {
      const { read, time } = isolate(store)
      time.nowMs = atMs
      expect(await read(cookie)).toBe(expected)
      store.texts.set(seenKey(handle), String(NOW_MS))
    }
  })

  it("that has vanished from the store ends the session", async () => {
    const { store, read } = isolate()
    const { cookie, handle } = await begun(store, { createdAtMs: NOW_MS - 31 * MINUTE_MS })
    store.texts.delete(seenKey(handle))
    expect(await read(cookie)).toBe("idle")
  })

  it.each(["", "soon", "-1", "1e99", "9".repeat(16), " 1800000000000"])(
    "that is no time, such as %j, counts as none",
    async (text) => {
      const { store, read } = isolate()
      const { cookie, handle } = await begun(store, { createdAtMs: NOW_MS - 31 * MINUTE_MS })
      store.texts.set(seenKey(handle), text)
      expect(await read(cookie)).toBe("idle")
    },
  )

  it("is what another isolate noted, where this one has not seen the session for long", async () => {
    const { store, read, time } = isolate()
    const { cookie, handle } = await begun(store)
    await read(cookie)
    time.nowMs += 31 * MINUTE_MS
    store.texts.set(seenKey(handle), String(time.nowMs - MINUTE_MS))
    expect(await read(cookie)).toBe("ok")
    time.nowMs += 31 * MINUTE_MS
    store.texts.delete(seenKey(handle))
    expect(await read(cookie)).toBe("idle")
  })

  it("is noted when a quarter of the time has passed, for as long as it may be idle", async () => {
    const { store, read, time } = isolate()
    const { cookie, handle } = await begun(store)
    const puts = () => store.calls.filter((call) => call.startsWith("put "))
    await read(cookie)
    time.nowMs = NOW_MS + 450_000 - 1
    await read(cookie)
    expect(puts()).toEqual([])
    time.nowMs += 1
    await read(cookie)
    await read(cookie)
    expect(puts()).toEqual([`put seen/${handle} for 1800`])
    expect(store.texts.get(seenKey(handle))).toBe(String(time.nowMs))
  })

  it("is noted by an isolate that meets the session too: it may be the only request that comes here", async () => {
    const { store, read, time } = isolate()
    const { cookie, handle } = await begun(store)
    time.nowMs = NOW_MS + 10 * MINUTE_MS
    await read(cookie)
    expect(store.calls).toContain(`put seen/${handle} for 1800`)
  })

  it("is noted once a minute at most, however short a session may be idle", async () => {
    const { store, read, time } = isolate()
    const { cookie } = await begun(store, { ...OLD, idleS: 60 })
    for (let second = 0; second < 180; second++) {
      expect(await read(cookie)).toBe("ok")
      time.nowMs += 1_000
    }
    expect(store.calls.filter((call) => call.startsWith("put "))).toHaveLength(3)
  })

  it("brings no record back: noted after the end, it leaves the session over", async () => {
    const { store, read, time } = isolate()
    const { cookie, handle } = await begun(store)
    await read(cookie)
    store.texts.clear()
    time.nowMs += 10 * MINUTE_MS
    await read(cookie)
    expect(store.texts.has(sessionKey(handle))).toBe(false)
    expect(await isolate(store).read(cookie)).toBe("ended")
  })

  it("is tried again a minute after it could not be noted, and disturbs nobody", async () => {
    const { store, read, time } = isolate()
    const { cookie } = await begun(store)
    await read(cookie)
    time.nowMs += 10 * MINUTE_MS
    store.state = "down"
    expect(await read(cookie)).toBe("ok")
    store.state = "up"
    const puts = () => store.calls.filter((call) => call.startsWith("put ")).length
    const before = puts()
    await read(cookie)
    expect(puts()).toBe(before)
    time.nowMs += MINUTE_MS
    await read(cookie)
    await read(cookie)
    expect(puts()).toBe(before + 1)
  })

  it("that is long past is asked of the store every five seconds, however often its cookie is sent", async () => {
    const { store, read, time } = isolate()
    const { cookie, handle } = await begun(store, { createdAtMs: NOW_MS - 31 * MINUTE_MS })
    store.texts.delete(seenKey(handle))
    for (let request = 0; request < 100; request++) {
      expect(await read(cookie)).toBe("idle")
      time.nowMs += 99
    }
    expect(store.calls.filter((call) => call.startsWith("get session/"))).toHaveLength(2)
    store.texts.set(seenKey(handle), String(time.nowMs - MINUTE_MS))
    time.nowMs += 5_000
    expect(await read(cookie)).toBe("ok")
  })

  it("is not one that the store's silence alone allowed: a slow answer brings no idle session back", async () => {
    const { store, read, time } = isolate()
    const { cookie, handle } = await begun(store, { createdAtMs: NOW_MS - 31 * MINUTE_MS })
    store.texts.delete(seenKey(handle))
    store.state = "hanging"
    expect(await read(cookie)).toBe("unconfirmed")
    store.state = "up"
    time.nowMs += 5_000
    await read(cookie)
    expect(await read(cookie)).toBe("idle")
    expect(store.texts.has(seenKey(handle))).toBe(false)
  })

  it("is not noted either while it is not sure to be one, as where another session's look has failed", async () => {
    const { store, read, time } = isolate()
    const [idle, other] = [await begun(store), await begun(store)]
    await read(idle.cookie)
    time.nowMs += 31 * MINUTE_MS
    store.state = "hanging"
    await read(other.cookie)
    store.state = "up"
    expect(await read(idle.cookie)).toBe("unconfirmed")
    time.nowMs += 5_000
    expect(await read(idle.cookie)).toBe("idle")
    expect(store.calls.filter((call) => call.startsWith(`put seen/${idle.handle}`))).toEqual([])
  })

  it("is one during an outage too, where the session was not idle by then", async () => {
    const { store, read, time } = isolate()
    const { cookie, handle } = await begun(store, { createdAtMs: NOW_MS - 60 * MINUTE_MS })
    store.texts.set(seenKey(handle), String(NOW_MS - 29 * MINUTE_MS))
    store.state = "down"
    for (let minute = 0; minute < 45; minute++) {
      expect(await read(cookie)).toBe("unconfirmed")
      time.nowMs += MINUTE_MS
    }
    store.state = "up"
    await read(cookie)
    expect(await read(cookie)).toBe("ok")
  })

  it("during an outage is none that comes when the session has been idle since the one before", async () => {
    const { store, read, time } = isolate()
    const { cookie, handle } = await begun(store, { createdAtMs: NOW_MS - 60 * MINUTE_MS })
    store.texts.set(seenKey(handle), String(NOW_MS - MINUTE_MS))
    store.state = "down"
    expect(await read(cookie)).toBe("unconfirmed")
    time.nowMs += 30 * MINUTE_MS
    expect(await read(cookie)).toBe("unconfirmed")
    store.state = "up"
    time.nowMs += 5_000
    await read(cookie)
    expect(await read(cookie)).toBe("idle")
  })

  it("is noted again once the store has confirmed those of the outage", async () => {
    const { store, read, time } = isolate()
    const { cookie, handle } = await begun(store, { createdAtMs: NOW_MS - 60 * MINUTE_MS })
    store.texts.set(seenKey(handle), String(NOW_MS - MINUTE_MS))
    store.state = "down"
    expect(await read(cookie)).toBe("unconfirmed")
    store.state = "up"
    time.nowMs += 8 * MINUTE_MS
    await read(cookie)
    expect(await read(cookie)).toBe("ok")
    expect(store.texts.get(seenKey(handle))).toBe(String(time.nowMs))
  })

  it("is nobody's who only wants to know", async () => {
    const { store, read, reader, time } = isolate()
    const { cookie } = await begun(store)
    await read(cookie)
    time.nowMs += 29 * MINUTE_MS
    expect(await reader.read(cookie, GRACE_S, null)).toMatchObject({ ok: true })
    time.nowMs += MINUTE_MS
    expect(await read(cookie)).toBe("idle")
  })

  it("is left alone by whoever only wants to know", async () => {
    const { store, reader, time } = isolate()
    const { cookie } = await begun(store)
    time.nowMs += 10 * MINUTE_MS
    await reader.read(cookie, GRACE_S, null)
    time.nowMs += 10 * MINUTE_MS
    await reader.read(cookie, GRACE_S, null)
    expect(store.calls.filter((call) => call.startsWith("put "))).toEqual([])
  })
})

describe("while the store cannot be reached", () => {
  for (const state of ["down", "hanging"] as const) {
    it(`and is ${state}, an isolate that begins goes by the seal alone, within the limit`, async () => {
      const { store, read } = isolate()
      const { cookie } = await begun(store)
      store.state = state
      const waits = vi.spyOn(globalThis, "setTimeout")
      expect(await read(cookie)).toBe("unconfirmed")
      expect(waits.mock.calls.map(([, ms]) => ms)).toEqual([LIMIT_MS])
      waits.mockRestore()
    })
  }

  it("takes no made-up, altered or expired cookie", async () => {
    const { store, read, time } = isolate()
    const { cookie } = await begun(store)
    store.state = "down"
    expect(await read(altered(cookie))).toBe("malformed")
    time.nowMs = sessionOf(NOW_MS).expiresAtMs
    expect(await read(cookie)).toBe("expired")
  })

  it("lets every session that it knew pass for the grace, and not a millisecond longer", async () => {
    const { store, read, time } = isolate()
    const known = await Promise.all(Array.from({ length: 20 }, () => begun(store)))
    for (const { cookie } of known) await read(cookie)
    store.state = "down"
    time.nowMs += MINUTE_MS
    const outageAt = time.nowMs
    let requests = 0
    for (; time.nowMs < outageAt + GRACE_S * 1000; time.nowMs += 30_000)
      for (const { cookie } of known) {
        expect(await read(cookie)).toMatch(/^(ok|unconfirmed)$/)
        requests += 1
      }
    expect(requests).toBe(2_400)
    time.nowMs = outageAt + GRACE_S * 1000 - 1
    expect(await read(known[0]?.cookie ?? "")).toBe("unconfirmed")
    time.nowMs += 1
    expect(await read(known[0]?.cookie ?? "")).toBe("store-silent")
  })

  it("begins the grace with the outage, not with the last time there was something to ask", async () => {
    const { store, read, time } = isolate()
    const { cookie } = await begun(store, { ...OLD, expiresAtMs: NOW_MS + 24 * 3_600_000, idleS: 86_400 })
    await read(cookie)
    time.nowMs += 5 * 3_600_000
    store.state = "down"
    expect(await read(cookie)).toBe("ok")
    expect(await read(cookie)).toBe("unconfirmed")
  })

  it("has no patience where the grace is none", async () => {
    const { store, read } = isolate()
    const { cookie } = await begun(store)
    store.state = "down"
    expect(await read(cookie, 0)).toBe("store-silent")
  })

  it("ends no session for not being used, since others may know of a use", async () => {
    const { store, read, time } = isolate()
    const { cookie } = await begun(store)
    await read(cookie)
    store.state = "down"
    time.nowMs += 40 * MINUTE_MS
    expect(await read(cookie)).toBe("unconfirmed")
  })

  it("ends no session for a request that does not wait for the look of another beside it", async () => {
    const { store, read, reader, time } = isolate()
    const [one, two] = [await begun(store), await begun(store)]
    await read(one.cookie)
    store.state = "down"
    await read(two.cookie)
    time.nowMs += 31 * MINUTE_MS
    const beside = [1, 2, 3].map(() => reader.read(one.cookie, GRACE_S, null))
    for (const reading of await Promise.all(beside)) expect(reading).toMatchObject({ ok: true, isConfirmed: false })
  })

  it("keeps what was over, over", async () => {
    const { store, read } = isolate()
    const { cookie, handle } = await begun(store)
    store.texts.delete(sessionKey(handle))
    expect(await read(cookie)).toBe("ended")
    store.state = "down"
    expect(await read(cookie)).toBe("ended")
  })

  it("asks again behind the requests every five seconds, and confirms when there is an answer", async () => {
    const { store, read, time } = isolate()
    const { cookie } = await begun(store)
    store.state = "down"
    expect(await read(cookie)).toBe("unconfirmed")
    const asked = () => store.calls.filter((call) => call.startsWith("get session/")).length
    expect(await read(cookie)).toBe("unconfirmed")
    expect(asked()).toBe(1)
    store.state = "up"
    time.nowMs += 5_000
    expect(await read(cookie)).toBe("unconfirmed")
    expect(asked()).toBe(2)
    expect(await read(cookie)).toBe("ok")
  })

  it("asks it for one session in five seconds, however many there are, before and after the grace", async () => {
    const { store, read, time } = isolate()
    const known = await Promise.all(Array.from({ length: 50 }, () => begun(store, { ...OLD, idleS: 86_400 })))
    for (const { cookie } of known) await read(cookie)
    store.state = "down"
    store.calls.length = 0
    for (let second = 60; second < 60 + 2 * GRACE_S; second += 1) {
      time.nowMs = NOW_MS + second * 1000
      for (const { cookie } of known.slice(second % 10, (second % 10) + 5)) await read(cookie)
    }
    const asked = store.calls.filter((call) => call.startsWith("get session/")).length
    expect(asked).toBeLessThanOrEqual((2 * GRACE_S) / 5 + 1)
    expect(await read(known[0]?.cookie ?? "")).toBe("store-silent")
    store.state = "up"
    time.nowMs += 5_000
    for (const { cookie } of known) expect(await read(cookie)).toMatch(/^(ok|unconfirmed)$/)
    for (const { cookie } of known) expect(await read(cookie)).toBe("ok")
  })

  it("forgets the outage when the store answers once, for whichever session", async () => {
    const { store, read, time } = isolate()
    const tireless = { ...OLD, idleS: 86_400 }
    const [one, two] = [await begun(store, tireless), await begun(store, tireless)]
    store.state = "down"
    await read(one.cookie)
    time.nowMs += GRACE_S * 1000
    store.state = "up"
    expect(await read(two.cookie)).toBe("ok")
    store.state = "down"
    expect(await read(one.cookie)).toBe("unconfirmed")
  })
})

it("remembers a bounded number of sessions", async () => {
  const { store, read } = isolate()
  const { cookie: first } = await begun(store)
  await read(first)
  for (let count = 0; count < 2_500; count++) await read((await begun(store)).cookie)
  store.calls.length = 0
  await read(first)
  expect(store.calls).toHaveLength(2)
})

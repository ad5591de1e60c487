import { evictDurableObject, reset, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import {
  FEED_PAGE_ENTRIES,
  MAX_CREDENTIAL_LIFETIME_S,
  MAX_LIVE_REVOCATIONS,
  MAX_REVOCATIONS_PER_CALL,
  MAX_SERVICE_KEY_LIFETIME_S,
  type RevocationTarget,
  targetHash,
} from "../../contracts/revocation.ts"
import { door, entriesOf, hex, log, NOON, outcomeOf, sessions, sessionTarget } from "../test/harness.ts"

beforeEach(async () => {
  vi.useFakeTimers({ now: NOON, toFake: ["Date"] })
  await reset()
})
afterEach(() => vi.useRealTimers())

const LIFETIME_MS = MAX_CREDENTIAL_LIFETIME_S * 1000
/** Companies and accounts are revoked for the longest-lived credential they may have. */
const SERVICE_KEY_MS = MAX_SERVICE_KEY_LIFETIME_S * 1000
const robot = { kind: "subject", idp: "service-accounts", subject: "robot" } as const
const HOUR_MS = 3_600_000
const reason = "found on a lost laptop"
const alice: RevocationTarget = { kind: "subject", idp: "example-idp", subject: "alice" }

describe("append", () => {
  it("gives growing numbers, and the log has all of it in order", async () => {
    const first = await door.append([{ target: sessionTarget(1), reason }], "ops:alice")
    const second = await door.append(sessions(2, 3), "script:login")
    expect(second.seq).toBeGreaterThan(first.seq)
    const listed = await door.list({})
    expect(listed.map(({ target }) => target)).toEqual([1, 2, 3, 4].map(sessionTarget))
    expect(listed[0]).toEqual({
      seq: first.seq,
      atMs: NOON,
      target: sessionTarget(1),
      beforeMs: null,
      keptUntilMs: NOON + LIFETIME_MS + 600_000,
      reason,
      actor: "ops:alice",
    })
    expect(listed.at(-1)?.seq).toBe(second.seq)
    expect(await door.status()).toMatchObject({ head: second.seq, live: 4 })
  })

  it.each<[string, RevocationTarget, number | undefined, number, number]>([
    ["a session", sessionTarget(1), undefined, Number.POSITIVE_INFINITY, NOON + LIFETIME_MS + 600_000],
    ["a subject, until now", alice, undefined, NOON, NOON + LIFETIME_MS + 600_000],
    ["a subject, until then", alice, NOON - 5, NOON - 5, NOON + LIFETIME_MS + 600_000],
    ["a company", { kind: "company", company: "42" }, NOON + 60_000, NOON + 60_000, NOON + SERVICE_KEY_MS + 660_000],
    ["a service account", robot, undefined, NOON, NOON + SERVICE_KEY_MS + 600_000],
    ["everything", { kind: "everything" }, 0, 0, NOON + SERVICE_KEY_MS + 600_000],
    [
      "a key, for ever",
      { kind: "key", idp: "passports", kid: "k1" },
      undefined,
      Number.POSITIVE_INFINITY,
      0xffff_ffff * 1000,
    ],
  ])("enters %s as the isolates read it", async (_what, target, beforeMs, entered, keptUntilMs) => {
    await door.append([beforeMs === undefined ? { target, reason } : { target, beforeMs, reason }], "ops:alice")
    const { entries } = await log().since(0)
    expect(entriesOf(entries)).toEqual([
      { hash: hex(await targetHash(target)), beforeMs: entered, keptUntilS: Math.ceil(keptUntilMs / 1000) },
    ])
  })

  it.each([
    ["until it would have ended", NOON + HOUR_MS, NOON + HOUR_MS + 600_000],
    ["a while when it has ended already", NOON - HOUR_MS, NOON + 600_000],
    ["no longer than any session may live", NOON + 2 * LIFETIME_MS, NOON + LIFETIME_MS + 600_000],
  ])("keeps a session's %s", async (_what, sessionExpiresAtMs, keptUntilMs) => {
    await door.append([{ target: sessionTarget(1), reason, sessionExpiresAtMs }], "script:login")
    expect((await door.list({}))[0]?.keptUntilMs).toBe(keptUntilMs)
  })

  const good = { target: sessionTarget(1), reason }
  it.each<[string, unknown, unknown]>([
    ["nothing", [], "ops"],
    ["more than one call may have", sessions(0, MAX_REVOCATIONS_PER_CALL + 1), "ops"],
    ["no list", good, "ops"],
    ["a kind that is none", [{ target: { kind: "device", device: "x" }, reason }], "ops"],
    ["a handle that is none", [{ target: { kind: "session", session: "short" }, reason }], "ops"],
    ["a company that is a number", [{ target: { kind: "company", company: 42 }, reason }], "ops"],
    ["a subject without a provider", [{ target: { kind: "subject", subject: "alice" }, reason }], "ops"],
    ["an empty subject", [{ target: { kind: "subject", idp: "example-idp", subject: "" }, reason }], "ops"],
    ["no reason", [{ target: sessionTarget(1) }], "ops"],
    ["an empty reason", [{ target: sessionTarget(1), reason: "" }], "ops"],
    ["a member that nobody knows", [{ ...good, undo: true }], "ops"],
    ["a time for a session", [{ ...good, beforeMs: NOON }], "ops"],
    ["a time for a key", [{ target: { kind: "key", idp: "x", kid: "k" }, beforeMs: NOON, reason }], "ops"],
    ["a time beyond a minute ahead", [{ target: alice, beforeMs: NOON + 60_001, reason }], "ops"],
    ["a time that is no number", [{ target: alice, beforeMs: "now", reason }], "ops"],
    ["the end of what is no session", [{ target: alice, sessionExpiresAtMs: NOON, reason }], "ops"],
    ["one that is wrong among good ones", [good, good, { target: { kind: "everything" } }], "ops"],
    ["nobody who asks", [good], ""],
    ["somebody of another type", [good], { name: "ops" }],
  ])("refuses %s, and takes nothing of the call", async (_what, revocations, actor) => {
    expect(await outcomeOf(door.append(revocations as never, actor as never))).toBe("revocation.invalid")
    expect(await door.status()).toMatchObject({ head: 0, live: 0 })
  })

  it("takes as many as one call may have", async () => {
    const { seq } = await door.append(sessions(0, MAX_REVOCATIONS_PER_CALL), "ops")
    expect(await door.status()).toMatchObject({ head: seq, live: MAX_REVOCATIONS_PER_CALL })
    expect((await door.list({})).length).toBe(100)
    expect((await door.list({})).at(-1)?.target).toEqual(sessionTarget(MAX_REVOCATIONS_PER_CALL - 1))
  })

  it("takes names of any characters and of the greatest length, and says them again", async () => {
    const odd = Array.from({ length: 600 }, (_, n) => ({
      target: {
        kind: "subject",
        idp: "example-idp",
        subject: `${"\u0001".repeat(496)}${String(n).padStart(4, "0")}`,
      } as const,
      reason: "\u{1F511}".repeat(100),
    }))
    await door.append(odd, "'; DROP TABLE entries; --")
    const listed = await door.list({ limit: 1 })
    expect(listed[0]).toMatchObject({ ...odd.at(-1), actor: "'; DROP TABLE entries; --" })
    expect(await door.status()).toMatchObject({ live: 600 })
  })

  it("keeps what was said before beside what is said now: it only ever adds", async () => {
    await door.append([{ target: alice, beforeMs: NOON, reason }], "ops")
    await door.append([{ target: alice, beforeMs: 1, reason: "a mistake" }], "ops")
    expect((await door.list({})).map(({ beforeMs }) => beforeMs)).toEqual([NOON, 1])
    expect(entriesOf((await log().since(0)).entries)).toHaveLength(2)
  })

  it("gives numbers above all earlier ones even when its storage was lost", async () => {
    const before = await door.append(sessions(0, 5), "ops")
    await reset()
    vi.setSystemTime(NOON + 1_000)
    const after = await door.append(sessions(5, 1), "ops")
    expect(after.seq).toBeGreaterThan(before.seq)
    expect(entriesOf((await log().since(before.seq)).entries)).toHaveLength(1)
  })

  it("gives growing numbers when the clock goes back", async () => {
    const before = await door.append(sessions(0, 1), "ops")
    vi.setSystemTime(NOON - HOUR_MS)
    const after = await door.append(sessions(1, 1), "ops")
    expect(after.seq).toBe(before.seq + 1)
  })

  it("has everything after a restart", async () => {
    const { seq } = await door.append(sessions(0, 5), "ops")
    await evictDurableObject(log())
    expect(await door.status()).toMatchObject({ head: seq, live: 5 })
    expect((await log().since(0)).entries.byteLength).toBe(5 * 20)
  })
})

describe("list", () => {
  it("goes on after a number, oldest first, and gives no more than is asked", async () => {
    await door.append(sessions(0, 10), "ops")
    const first = await door.list({ after: 0, limit: 3 })
    const second = await door.list({ after: first.at(-1)?.seq ?? 0, limit: 3 })
    expect([...first, ...second].map(({ target }) => target)).toEqual([0, 1, 2, 3, 4, 5].map(sessionTarget))
  })

  it("without a number gives the newest", async () => {
    await door.append(sessions(0, 10), "ops")
    expect((await door.list({ limit: 2 })).map(({ target }) => target)).toEqual([8, 9].map(sessionTarget))
  })
})

describe("since", () => {
  it("gives what follows, and nothing when nothing does", async () => {
    const first = await door.append(sessions(0, 3), "ops")
    const second = await door.append(sessions(3, 2), "ops")
    const page = await log().since(first.seq)
    expect(entriesOf(page.entries)).toHaveLength(2)
    expect(page).toMatchObject({ upTo: second.seq, head: second.seq, ageMs: 0 })
    expect(await log().since(second.seq)).toMatchObject({ upTo: second.seq, head: second.seq })
    expect((await log().since(second.seq)).entries.byteLength).toBe(0)
  })

  it("gives a number beyond its own back: whoever is ahead loses nothing", async () => {
    const { seq } = await door.append(sessions(0, 1), "ops")
    expect(await log().since(seq + 100)).toMatchObject({ upTo: seq + 100, head: seq })
  })

  it("gives a large backlog in pages that leave nothing out", async () => {
    for (let call = 0; call < 11; call += 1)
      await door.append(sessions(call * MAX_REVOCATIONS_PER_CALL, MAX_REVOCATIONS_PER_CALL), "ops")
    const hashes = new Set<string>()
    let seq = 0
    let pages = 0
    for (;;) {
      const page = await log().since(seq)
      expect(page.entries.byteLength / 20).toBeLessThanOrEqual(FEED_PAGE_ENTRIES)
      for (const { hash } of entriesOf(page.entries)) hashes.add(hash)
      seq = page.upTo
      pages += 1
      if (page.upTo >= page.head) break
    }
    expect({ hashes: hashes.size, pages }).toEqual({ hashes: 11 * MAX_REVOCATIONS_PER_CALL, pages: 3 })
  })

  it("gives a page that is longer than one is today, and goes on behind it", async () => {
    await door.append(sessions(0, 1), "ops")
    await runInDurableObject(log(), (_log, { storage }) => {
      storage.sql.exec("INSERT INTO pages VALUES (5, ?)", new Uint8Array((FEED_PAGE_ENTRIES + 1) * 20))
    })
    const long = await log().since(0)
    expect([long.entries.byteLength / 20, long.upTo]).toEqual([FEED_PAGE_ENTRIES + 1, 5])
    const rest = await log().since(5)
    expect([rest.entries.byteLength / 20, rest.upTo]).toEqual([1, rest.head])
  })

  it.each([-1, 0.5, Number.NaN, "0", null])("refuses %j", async (seq) => {
    expect(await outcomeOf(log().since(seq as never))).toBe("revocation.invalid")
  })
})

describe("the hourly clearing", () => {
  it("drops what outlived what it names, a second after and not before, and keeps the rest", async () => {
    await door.append([{ target: sessionTarget(1), reason, sessionExpiresAtMs: NOON + HOUR_MS }], "ops")
    await door.append(sessions(2, 1), "ops")
    const { seq } = await door.append([{ target: { kind: "key", idp: "x", kid: "k" }, reason }], "ops")
    vi.setSystemTime(NOON + HOUR_MS + 600_000)
    await runDurableObjectAlarm(log())
    expect(await door.status()).toMatchObject({ head: seq, live: 3 })
    vi.setSystemTime(NOON + HOUR_MS + 601_000)
    await runDurableObjectAlarm(log())
    expect(await door.status()).toMatchObject({ head: seq, live: 2 })
    expect((await door.list({})).map(({ target }) => target.kind)).toEqual(["session", "key"])
    vi.setSystemTime(NOON + 400 * 86_400_000)
    await runDurableObjectAlarm(log())
    expect((await door.list({})).map(({ target }) => target.kind)).toEqual(["key"])
    expect(await log().since(0)).toMatchObject({ upTo: seq, head: seq })
  })

  it("lets others in between while it drops very many", async () => {
    for (let call = 0; call < 6; call += 1)
      await door.append(sessions(call * MAX_REVOCATIONS_PER_CALL, MAX_REVOCATIONS_PER_CALL), "ops")
    vi.setSystemTime(NOON + 400 * 86_400_000)
    const left: number[] = []
    await runInDurableObject(log(), async (object, { storage }) => {
      const count = () => Number(storage.sql.exec("SELECT COUNT(*) AS rows FROM entries").one().rows)
      const clearing = object.alarm().then(() => left.push(0))
      while (left.at(-1) !== 0) {
        left.push(count())
        await scheduler.wait(0)
      }
      await clearing
    })
    expect(left.filter((rows) => rows > 0 && rows < 30_000)).not.toEqual([])
  })

  it("joins pages that have settled, so that a backlog is few of them", async () => {
    for (let n = 0; n < 30; n += 1) await door.append(sessions(n, 1), "ops")
    vi.setSystemTime(NOON + 600_001)
    await door.append(sessions(30, 1), "ops")
    await runDurableObjectAlarm(log())
    const pages = await runInDurableObject(log(), (_log, { storage }) =>
      storage.sql.exec("SELECT LENGTH(entries) / 20 AS entries FROM pages").toArray(),
    )
    expect(pages).toEqual([{ entries: 30 }, { entries: 1 }])
    expect(entriesOf((await log().since(0)).entries)).toHaveLength(31)
  })

  it("comes back every hour", async () => {
    await door.append(sessions(0, 1), "ops")
    expect(await runDurableObjectAlarm(log())).toBe(true)
    expect(await runDurableObjectAlarm(log())).toBe(true)
  })
})

describe("a log that is full", () => {
  const fill = async (keptUntilS: number) => {
    await door.status()
    await runInDurableObject(log(), (_log, { storage }) => {
      const entries = new Uint8Array(FEED_PAGE_ENTRIES * 20)
      const view = new DataView(entries.buffer)
      for (let at = 0; at < entries.byteLength; at += 20) view.setUint32(at + 16, keptUntilS, true)
      for (let page = 1; page <= MAX_LIVE_REVOCATIONS / FEED_PAGE_ENTRIES; page += 1)
        storage.sql.exec("INSERT INTO pages VALUES (?, ?)", page, entries)
    })
    await evictDurableObject(log())
  }

  it("refuses what names one credential or subject, aloud, and takes what stands for many", async () => {
    await fill(NOON / 1000 + 60)
    expect(await outcomeOf(door.append(sessions(0, 1), "ops"))).toBe("revocation.log-full")
    expect(await outcomeOf(door.append([{ target: alice, reason }], "ops"))).toBe("revocation.log-full")
    const sweeping = [
      { target: { kind: "company", company: "42" } as const, reason },
      { target: { kind: "everything" } as const, reason },
      { target: { kind: "key", idp: "x", kid: "k" } as const, reason },
    ]
    expect(await outcomeOf(door.append(sweeping, "ops"))).toBe("done")
    expect(await outcomeOf(door.append([...sweeping, ...sessions(0, 1)], "ops"))).toBe("revocation.log-full")
  })

  it("first looks for what it may drop", async () => {
    await fill(NOON / 1000 - 1)
    expect(await outcomeOf(door.append(sessions(0, 1), "ops"))).toBe("done")
    expect(await door.status()).toMatchObject({ live: 1 })
  })
})

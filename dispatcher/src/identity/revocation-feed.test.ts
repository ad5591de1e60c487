import { afterEach, describe, expect, it, vi } from "vitest"
import {
  ENTRY_BYTES,
  FEED_PAGE_ENTRIES,
  type FeedPage,
  type RelayApi,
  type RevocationTarget,
  targetHash,
} from "../../../contracts/revocation.ts"
import type { Finding } from "../../../contracts/trip.ts"
import { type Revocable, RevocationFeed, type RevocationFeedEvent, revocableOf } from "./revocation-feed.ts"
import { RevocationTable } from "./revocation-table.ts"

const NOW_MS = 1_800_000_000_000
const MAX_AGE_MS = 5_000
const HANDLE = "h".repeat(43)
const ALICE = { idp: "example-idp", subject: "alice", companies: [], madeAtMs: NOW_MS }

/** For tests of how long is waited: timers end when the test says so, and what waits for one more hangs. */
const holdTimers = () => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
afterEach(() => void vi.useRealTimers())

interface Revoked {
  readonly target: RevocationTarget
  readonly beforeMs?: number
}

async function pageOf(revoked: readonly Revoked[], changes: Partial<FeedPage> = {}): Promise<FeedPage> {
  const entries = new Uint8Array(revoked.length * ENTRY_BYTES)
  const view = new DataView(entries.buffer)
  for (const [index, { target, beforeMs = Number.POSITIVE_INFINITY }] of revoked.entries()) {
    entries.set(await targetHash(target), index * ENTRY_BYTES)
    view.setFloat64(index * ENTRY_BYTES + 8, beforeMs, true)
    view.setUint32(index * ENTRY_BYTES + 16, NOW_MS / 1000 + 3600, true)
  }
  return { entries, upTo: 10, head: 10, ageMs: 0, ...changes }
}

type Answer = (seq: number) => Promise<FeedPage>
const silence: Answer = () => new Promise(() => undefined)
const failure: Answer = () => Promise.reject(new Error("the relay is gone"))
const nothing: Answer = async (seq) => ({ entries: new Uint8Array(), upTo: seq, head: seq, ageMs: 0 })

/** A feed whose relay the test speaks for, with a clock that the test moves. */
function bench(first: Answer = nothing, table?: RevocationTable) {
  const relay = { since: first, revokes: vi.fn<RelayApi["revokes"]>(async () => false) }
  const asked: { location: string; seq: number }[] = []
  const background: Promise<unknown>[] = []
  const logged: RevocationFeedEvent[] = []
  const findings: Finding[] = []
  const now = { ms: NOW_MS }
  const feed = new RevocationFeed({
    relay: (location) => ({
      since: (seq) => {
        asked.push({ location, seq })
        return relay.since(seq)
      },
      revokes: relay.revokes,
    }),
    clock: { now: () => now.ms },
    log: (event) => logged.push(event),
    ...(table === undefined ? {} : { table }),
  })
  const check = (revocable: Revocable | null, isSensitive = false) =>
    feed.refuseRevoked(
      revocable,
      isSensitive,
      MAX_AGE_MS,
      (finding) => findings.push(finding),
      (work) => background.push(work),
    )
  /** `passed`, or the code of the refusal; `synchronous` when there was no promise. */
  const outcome = async (revocable: Revocable | null, isSensitive = false): Promise<string> => {
    try {
      await check(revocable, isSensitive)
      return "passed"
    } catch (thrown) {
      return (thrown as { code?: string }).code ?? String(thrown)
    }
  }
  /** Lets a second pass, and the poll of that second end. */
  const poll = async (answer: Answer = relay.since) => {
    relay.since = answer
    now.ms += 1_000
    void check(null)
    await background.at(-1)
  }
  return { feed, relay, asked, background, logged, findings, now, check, outcome, poll }
}

async function warm(answer: Answer = nothing) {
  const made = bench(answer)
  await made.outcome(await revocableOf({ ...ALICE, subject: "nobody" }))
  return made
}

const targets: [string, RevocationTarget, number | undefined][] = [
  ["its session", { kind: "session", session: HANDLE }, undefined],
  ["its subject", { kind: "subject", idp: "example-idp", subject: "alice" }, NOW_MS],
  ["its company", { kind: "company", company: "42" }, NOW_MS],
  ["everything", { kind: "everything" }, NOW_MS],
  ["the key that signed it", { kind: "key", idp: "example-idp", kid: "k1" }, undefined],
]
const credential = () => revocableOf({ ...ALICE, session: HANDLE, companies: ["41", "42"], kid: "k1" })

describe("a credential", () => {
  it.each(targets)("is refused once %s was revoked", async (_what, target, beforeMs) => {
    const page = await pageOf([beforeMs === undefined ? { target } : { target, beforeMs }])
    const { outcome } = await warm(async () => page)
    expect(await outcome(await credential())).toBe("auth.revoked")
  })

  it.each<[string, RevocationTarget]>([
    ["the session next to its own", { kind: "session", session: `${"h".repeat(42)}i` }],
    ["the same subject of another provider", { kind: "subject", idp: "other-idp", subject: "alice" }],
    ["another subject", { kind: "subject", idp: "example-idp", subject: "alic" }],
    ["a subject that is spelled as its session", { kind: "subject", idp: "example-idp", subject: HANDLE }],
    ["another company", { kind: "company", company: "4" }],
    ["a key of the same name of another provider", { kind: "key", idp: "other-idp", kid: "k1" }],
  ])("passes when %s was revoked", async (_what, target) => {
    const page = await pageOf([{ target }])
    const { outcome } = await warm(async () => page)
    expect(await outcome(await credential())).toBe("passed")
  })

  it.each([
    [NOW_MS - 1, "passed"],
    [NOW_MS, "auth.revoked"],
    [NOW_MS + 1, "auth.revoked"],
  ])("made at 1800000000000 has %s of a revocation until %d", async (beforeMs, expected) => {
    const page = await pageOf([{ target: { kind: "everything" }, beforeMs }])
    const { outcome } = await warm(async () => page)
    expect(await outcome(await credential())).toBe(expected)
  })

  it("without a subject is not asked about", async () => {
    const { outcome } = await warm(failure)
    expect(await outcome(null, true)).toBe("passed")
  })
})

describe("in steady state", () => {
  it("decides without a promise, asks nobody and allocates no poll", async () => {
    const { check, asked, background, now } = await warm()
    now.ms += 999
    const before = { asked: asked.length, background: background.length }
    expect(check(await credential(), true)).toBeUndefined()
    expect({ asked: asked.length, background: background.length }).toEqual(before)
  })

  it("throws at once for what was revoked", async () => {
    const page = await pageOf([{ target: { kind: "everything" }, beforeMs: NOW_MS }])
    const { check } = await warm(async () => page)
    const revocable = await credential()
    expect(() => check(revocable)).toThrow("auth.revoked")
  })

  it("asks the relay once a second, behind a request and from where it left off", async () => {
    const page = await pageOf([], { upTo: 10, head: 10 })
    const { check, asked, now } = await warm(async (seq) => (seq === 0 ? page : nothing(seq)))
    now.ms += 1_000
    const revocable = await credential()
    for (let request = 0; request < 5; request += 1) expect(check(revocable)).toBeUndefined()
    expect(asked.map(({ seq }) => seq)).toEqual([0, 10])
  })

  it("does not take an older answer for newer, and keeps what it had when the log begins anew", async () => {
    const page = await pageOf([{ target: { kind: "everything" }, beforeMs: NOW_MS }], { upTo: 1_000, head: 1_000 })
    const { poll, outcome, feed, asked } = await warm(async () => page)
    await poll(async (seq) => ({ entries: new Uint8Array(), upTo: seq, head: 3, ageMs: 0 }))
    expect(await outcome(await credential())).toBe("auth.revoked")
    expect(feed.status()).toMatchObject({ seq: 1_000, ageMs: 0 })
    await poll(nothing)
    expect(asked.at(-1)?.seq).toBe(1_000)
  })
})

describe("at a cold start", () => {
  it("waits for the first answer and goes by it", async () => {
    const page = await pageOf([{ target: { kind: "everything" }, beforeMs: NOW_MS }])
    const { outcome, asked } = bench(async () => page)
    const revocable = await credential()
    expect(await Promise.all([outcome(revocable), outcome(revocable, true)])).toEqual(["auth.revoked", "auth.revoked"])
    expect(asked).toHaveLength(1)
  })

  it("pages through a large backlog before it counts as known", async () => {
    const first = await pageOf([{ target: { kind: "company", company: "1" } }], { upTo: 50_000, head: 100_001 })
    const second = await pageOf([{ target: { kind: "company", company: "2" } }], { upTo: 100_000, head: 100_001 })
    const third = await pageOf([{ target: { kind: "company", company: "42" } }], { upTo: 100_001, head: 100_001 })
    const pages = new Map([
      [0, first],
      [50_000, second],
      [100_000, third],
    ])
    const { outcome, feed, asked } = bench(async (seq) => pages.get(seq) ?? nothing(seq))
    expect(await outcome(await credential(), true)).toBe("auth.revoked")
    expect(asked.map(({ seq }) => seq)).toEqual([0, 50_000, 100_000])
    expect(feed.status()).toMatchObject({ entries: 3, seq: 100_001, ageMs: 0 })
  })

  it("takes in a page of any length, such as a relay of another version may have", async () => {
    const revoked = Array.from(
      { length: FEED_PAGE_ENTRIES + 1 },
      (): Revoked => ({ target: { kind: "company", company: "42" } }),
    )
    const page = await pageOf(revoked)
    const { outcome } = await warm(async () => page)
    expect(await outcome(await credential())).toBe("auth.revoked")
  })

  it("does not wait longer for a backlog than for anything else, and gives up one without an end", async () => {
    const page = { entries: new Uint8Array(), head: Number.MAX_SAFE_INTEGER, ageMs: 0 }
    const { outcome, asked, background, feed } = bench(async (seq) => ({ ...page, upTo: seq + 1 }))
    const revocable = await credential()
    holdTimers()
    const refused = outcome(revocable, true)
    await vi.advanceTimersByTimeAsync(250)
    expect(await refused).toBe("auth.revocation-unknown")
    await vi.runAllTimersAsync()
    await background.at(-1)
    expect({ asked: asked.length, ageMs: feed.status().ageMs }).toEqual({ asked: 500, ageMs: null })
  })

  it("asks the relay of its location, and one that everybody has while it knows of none", async () => {
    const { feed, poll, asked } = bench()
    await poll()
    feed.at(undefined)
    feed.at("../../x")
    await poll()
    feed.at("AMS")
    await poll()
    feed.at("CDG")
    await poll()
    expect(asked.map(({ location }) => location)).toEqual(["elsewhere", "elsewhere", "AMS", "AMS"])
  })
})

describe.each<[string, Answer]>([
  ["fails", failure],
  ["says nothing", silence],
  [
    "throws at once",
    () => {
      throw new Error("no such object")
    },
  ],
  ["answers with no page", async () => ({}) as FeedPage],
  [
    "answers with half an entry",
    async () => ({ entries: new Uint8Array(ENTRY_BYTES + 1), upTo: 99, head: 99, ageMs: 0 }),
  ],
  [
    "answers with an entry of zeros",
    async () => ({ entries: new Uint8Array(ENTRY_BYTES), upTo: 99, head: 99, ageMs: 0 }),
  ],
  ["goes back", async (seq) => ({ entries: new Uint8Array(), upTo: seq - 1, head: seq, ageMs: 0 })],
  [
    "promises more and gives nothing",
    async (seq) => ({ entries: new Uint8Array(), upTo: seq, head: seq + 1, ageMs: 0 }),
  ],
  [
    "has an age that is no number",
    async (seq) => ({ entries: new Uint8Array(), upTo: seq, head: seq, ageMs: Number.NaN }),
  ],
  [
    "is itself cut off from the log",
    async (seq) => ({ entries: new Uint8Array(), upTo: seq, head: seq, ageMs: 60_000 }),
  ],
])("while the relay %s", (_what, answer) => {
  it("sensitive routes refuse and others pass and say so, after 250 ms at the most", async () => {
    const { outcome, findings } = bench(answer)
    const revocable = await credential()
    holdTimers()
    const both = [outcome(revocable, true), outcome(revocable)]
    await vi.advanceTimersByTimeAsync(250)
    expect(await Promise.all(both)).toEqual(["auth.revocation-unknown", "passed"])
    expect(findings).toEqual([{ code: "auth.revocation-stale", mode: "log" }])
  })

  it("what is known stays in force, exactly until its bound on sensitive routes, and beyond for what was revoked", async () => {
    const page = await pageOf([{ target: { kind: "company", company: "1" } }])
    const { outcome, check, relay, background, now, findings } = await warm(async () => page)
    const knownAt = now.ms
    const revokedOne = await revocableOf({ ...ALICE, companies: ["1"] })
    relay.since = answer
    now.ms += 1_000
    void check(null)
    if (answer !== silence) await background.at(-1)
    now.ms = knownAt + MAX_AGE_MS
    expect(await outcome(await credential(), true)).toBe("passed")
    now.ms = knownAt + MAX_AGE_MS + 1
    expect(await outcome(await credential(), true)).toBe("auth.revocation-unknown")
    expect(findings).toEqual([])
    expect(await outcome(revokedOne)).toBe("auth.revoked")
    expect(await outcome(revokedOne, true)).toBe("auth.revoked")
  })

  it("it is not asked more than once a second, and is believed again once it answers", async () => {
    const { check, outcome, asked, now, relay } = bench(answer)
    const revocable = await credential()
    for (let ms = 0; ms < 10_000; ms += 100) {
      now.ms = NOW_MS + ms
      await Promise.resolve(check(null))
    }
    expect(asked.length).toBeLessThanOrEqual(10)
    relay.since = nothing
    now.ms += 3_000
    expect(await outcome(revocable, true)).toBe("passed")
  })
})

describe("a question that was given up", () => {
  it("does no harm when it is answered late: its entries count, its place in the log only from where it was asked", async () => {
    const late = await pageOf([{ target: { kind: "company", company: "7" } }], { upTo: 5, head: 5, ageMs: 0 })
    const newer = await pageOf([{ target: { kind: "company", company: "8" } }], { upTo: 20, head: 20, ageMs: 0 })
    let answerLate: (page: FeedPage) => void = () => {}
    const { outcome, background, feed, now, relay, check } = bench(
      () => new Promise((resolve) => (answerLate = resolve)),
    )
    void check(null)
    now.ms += 2_000
    relay.since = async (seq) => (seq === 0 ? newer : nothing(seq))
    void check(null)
    await background.at(-1)
    expect(feed.status()).toMatchObject({ seq: 20, ageMs: 0 })
    now.ms += 3_000
    answerLate(late)
    await background[0]
    expect(feed.status()).toMatchObject({ seq: 20, ageMs: 3_000, entries: 2 })
    expect(await outcome(await revocableOf({ ...ALICE, companies: ["7"] }))).toBe("auth.revoked")
    expect(await outcome(await revocableOf({ ...ALICE, companies: ["8"] }))).toBe("auth.revoked")
  })

  it("is followed by another one after two seconds, and not before", async () => {
    const { check, asked, now } = bench(silence)
    for (const ms of [0, 1_000, 1_999]) {
      now.ms = NOW_MS + ms
      void check(null)
    }
    expect(asked).toHaveLength(1)
    now.ms = NOW_MS + 2_000
    void check(null)
    expect(asked).toHaveLength(2)
  })
})

describe("a clock that is put back", () => {
  it("makes the isolate ask at once, and count nothing as known until it is answered", async () => {
    const { outcome, feed, asked, now, relay } = await warm()
    now.ms -= 3_600_000
    relay.since = failure
    expect(await outcome(await credential(), true)).toBe("auth.revocation-unknown")
    relay.since = nothing
    now.ms += 1_000
    expect(await outcome(await credential(), true)).toBe("passed")
    expect({ asked: asked.length, ageMs: feed.status().ageMs }).toEqual({ asked: 3, ageMs: 0 })
  })
})

describe("a clock that is put back while the relay is asked", () => {
  it("counts the answer as of when it came, and not of a time that is still to come", async () => {
    const { outcome, now, relay, background } = await warm()
    const { promise, resolve } = Promise.withResolvers<FeedPage>()
    relay.since = () => promise
    now.ms += 1_000
    await outcome(await credential())
    now.ms -= 3_600_000
    relay.since = silence
    await outcome(await credential())
    resolve(await nothing(10))
    await background.at(-2)
    now.ms += MAX_AGE_MS + 1
    expect(await outcome(await credential(), true)).toBe("auth.revocation-unknown")
  })
})

describe("an outage", () => {
  it("is logged when it begins and when it ends, and not in between", async () => {
    const { poll, logged } = await warm()
    await poll(failure)
    await poll(failure)
    await poll(nothing)
    expect(logged.map(({ event }) => event)).toEqual(["revocations.feed-lost", "revocations.feed-back"])
  })

  it("keeps nobody waiting twice for one question", async () => {
    const { outcome, now } = bench(silence)
    const revocable = await credential()
    holdTimers()
    const first = outcome(revocable)
    await vi.advanceTimersByTimeAsync(250)
    await first
    now.ms += 250
    await outcome(revocable)
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe("beyond what an isolate holds", () => {
  const full = async () => {
    const page = await pageOf([
      { target: { kind: "company", company: "1" } },
      { target: { kind: "company", company: "2" } },
    ])
    const made = bench(async (seq) => (seq === 0 ? page : nothing(seq)), new RevocationTable(1))
    await made.outcome(await revocableOf(ALICE))
    return { ...made, second: await revocableOf({ ...ALICE, companies: ["2", "3"] }) }
  }

  it("the relay decides about a credential whose hash is known, and hears of no other hash", async () => {
    const { outcome, relay, second } = await full()
    relay.revokes.mockResolvedValue(true)
    expect(await outcome(second)).toBe("auth.revoked")
    expect(relay.revokes).toHaveBeenCalledWith(await targetHash({ kind: "company", company: "2" }), NOW_MS)
  })

  it("a credential whose hash is not known is not asked about", async () => {
    const { check, relay } = await full()
    expect(check(await revocableOf({ ...ALICE, companies: ["3"] }), true)).toBeUndefined()
    expect(relay.revokes).not.toHaveBeenCalled()
  })

  it("the relay's no is remembered for that credential until more is revoked", async () => {
    const { outcome, check, relay, second, poll } = await full()
    expect(await outcome(second)).toBe("passed")
    expect(check(second)).toBeUndefined()
    const more = await pageOf([{ target: { kind: "company", company: "4" } }], { upTo: 11, head: 11 })
    await poll(async () => more)
    expect(await outcome(second)).toBe("passed")
    expect(relay.revokes).toHaveBeenCalledTimes(2)
  })

  it.each<[string, RelayApi["revokes"]]>([
    ["fails", () => Promise.reject(new Error("gone"))],
    ["says nothing", () => new Promise(() => undefined)],
    ["answers with no answer", async () => "no" as never],
  ])("such a credential is refused on every route while the relay %s", async (_what, revokes) => {
    const { outcome, relay, second } = await full()
    relay.revokes.mockImplementation(revokes)
    expect(await outcome(second)).toBe("auth.revocation-unknown")
    expect(await outcome(second, true)).toBe("auth.revocation-unknown")
  })
})

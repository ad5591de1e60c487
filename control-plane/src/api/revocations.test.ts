import { beforeEach, describe, it, vi } from "vitest"
import type { Revocation, RevocationEntry } from "../../../contracts/revocation.ts"
import { startControlPlane, type TestControlPlane } from "../../test/harness.ts"

const session = "s".repeat(43)
const lostLaptop = { target: { kind: "subject", idp: "corp", subject: "alice" }, reason: "laptop lost" }

let platform: TestControlPlane
let log: (Revocation & { actor: string; recordsThen: number })[]
let fails: Error | null
/** Called instead of an answer. */
let answersNot: (() => void) | null
beforeEach(async () => {
  log = []
  fails = null
  answersNot = null
  const records = async () => (await platform.deps.store.audit.verify()).records
  const entry = (each: (typeof log)[number], index: number): RevocationEntry => ({
    seq: index + 1,
    atMs: 1_000,
    target: each.target,
    beforeMs: each.beforeMs ?? null,
    keptUntilMs: 2_000,
    reason: each.reason,
    actor: each.actor,
  })
  platform = await startControlPlane(() => ({
    revocations: {
      append: async (list, actor) => {
        if (fails !== null) throw fails
        if (answersNot !== null) return new Promise(() => answersNot?.())
        const recordsThen = await records()
        for (const each of list) log.push({ ...each, actor, recordsThen })
        return { seq: log.length, atMs: 0 }
      },
      list: async ({ after = 0, limit = 100 }) => {
        if (fails !== null) throw fails
        return log.map(entry).slice(after, after + limit)
      },
      status: async () => ({ head: log.length, live: log.length, relays: 0, bytes: 0 }),
    },
  }))
})

const revoke = (body: unknown, query = "", headers: Record<string, string> = {}) =>
  platform.send(`POST /v1/revocations${query}`, { body, headers })
const audit = async () => (await platform.send("GET /v1/audit")).body.items

describe("revocations: works", () => {
  it("records in the audit who revokes what and why, and then revokes", async ({ expect }) => {
    const { status, body } = await revoke(
      [lostLaptop, { target: { kind: "session", session }, reason: "same" }],
      "?message=42",
    )
    expect([status, body]).toEqual([201, { seq: 2, count: 2, boundMs: 5000 }])
    const beforeMs = platform.deps.clock.now()
    expect(log).toMatchObject([
      { ...lostLaptop, beforeMs, actor: "token:bootstrap", recordsThen: 1 },
      { target: { kind: "session", session }, recordsThen: 1 },
    ])
    expect(log[1]).not.toHaveProperty("beforeMs")
    const [record] = await audit()
    expect(record).toMatchObject({
      action: "revocation.create",
      actor: "token:bootstrap",
      detail: { message: "42", count: 2 },
    })
    expect(record.detail.revocations[0]).toEqual({ ...lostLaptop, beforeMs })
  })

  it("keeps the time that it is told", async ({ expect }) => {
    await revoke([{ ...lostLaptop, beforeMs: 5 }])
    expect(log[0]?.beforeMs).toBe(5)
  })

  it("says the bound that the policy has", async ({ expect }) => {
    await platform.send("PUT /v1/policy/identity", { body: { feedMaxAgeMs: 3000 } })
    expect((await revoke([lostLaptop])).body.boundMs).toBe(3000)
  })

  it("keeps of more than fifty a digest alone in the audit, which is that of no others", async ({ expect }) => {
    const many = (reason: string) => Array.from({ length: 51 }, () => ({ ...lostLaptop, reason }))
    await revoke(many("lost").slice(1))
    for (const reason of ["lost", "lost", "found"]) await revoke(many(reason))
    const [found, lost, again, fifty] = (await audit()).map(({ detail }: { detail: object }) => detail)
    expect([fifty.count, fifty.revocations.length]).toEqual([50, 50])
    expect([lost.count, lost.revocations]).toEqual([51, undefined])
    expect(lost.digest).toMatch(/^[0-9a-f]{64}$/)
    expect([again.digest, new Set([found.digest, lost.digest, fifty.digest]).size]).toEqual([lost.digest, 3])
  })

  it("changes nothing in a dry run, and checks as strictly", async ({ expect }) => {
    const dry = await revoke([lostLaptop], "?dry_run=true")
    expect([dry.status, dry.body, log, await audit()]).toEqual([200, { seq: null, count: 1, boundMs: 5000 }, [], []])
    expect((await revoke([], "?dry_run=true")).status).toBe(400)
  })

  it("is done once for one Idempotency-Key", async ({ expect }) => {
    const key = { "idempotency-key": "incident-42" }
    const first = await revoke([lostLaptop], "", key)
    platform.pass(60_000)
    const again = await revoke([lostLaptop], "", key)
    expect([again.body, again.headers.get("idempotency-replayed"), log.length]).toEqual([first.body, "true", 1])
  })

  it("lists what is in force, oldest first, page by page", async ({ expect }) => {
    await revoke([lostLaptop, lostLaptop, { target: { kind: "session", session }, reason: "x" }])
    const first = (await platform.send("GET /v1/revocations?limit=2")).body
    expect(first.items.map(({ seq }: RevocationEntry) => seq)).toEqual([1, 2])
    const second = (await platform.send(`GET /v1/revocations?limit=2&cursor=${first.nextCursor}`)).body
    expect(second).toMatchObject({
      items: [{ seq: 3, before: null, keptUntil: "1970-01-01T00:00:02.000Z", actor: "token:bootstrap" }],
      nextCursor: null,
    })
  })
})

describe("revocations: the log's own ways", () => {
  it("shows what is revoked whenever it was made as without a time, however the log says that", async ({ expect }) => {
    const entry = { target: { kind: "session", session }, reason: "x", actor: "a", recordsThen: 0 } as const
    log.push({ ...entry, beforeMs: Number.POSITIVE_INFINITY })
    const { status, body } = await platform.send("GET /v1/revocations")
    expect([status, body.items[0]?.before]).toEqual([200, null])
  })

  it("gives up on one that gives no answer within 10 seconds", async ({ expect }) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
    try {
      const asked = new Promise<void>((resolve) => {
        answersNot = resolve
      })
      const sent = revoke([lostLaptop])
      await asked
      await vi.advanceTimersByTimeAsync(10_000)
      expect((await sent).body.code).toBe("revocation.not-recorded")
    } finally {
      vi.useRealTimers()
    }
  })
})

describe("revocations: refuses", () => {
  const future = { ...lostLaptop, beforeMs: Date.parse("2026-11-20T12:01:00.001Z") }
  const wrong: Record<string, [body: unknown, pointer: string]> = {
    "a time more than a minute ahead": [[lostLaptop, future], "/1/beforeMs"],
    "a time for a session": [[{ target: { kind: "session", session }, beforeMs: 1, reason: "x" }], "/0/beforeMs"],
    "a time for a key": [[{ target: { kind: "key", idp: "corp", kid: "1" }, beforeMs: 1, reason: "x" }], "/0/beforeMs"],
    "no reason": [[{ target: { kind: "everything" } }], "/0/reason"],
    "a kind that there is not": [[{ target: { kind: "team", team: "web" }, reason: "x" }], "/0/target/kind"],
    "a session by its id instead of its handle": [
      [{ target: { kind: "session", session: `${session}=` }, reason: "x" }],
      "/0/target/session",
    ],
    nothing: [[], ""],
  }
  for (const [what, [body, pointer]] of Object.entries(wrong))
    it(`refuses ${what}, and none of the others takes effect`, async ({ expect }) => {
      const sent = await revoke(body)
      expect([sent.status, sent.body.errors[0].pointer, log]).toEqual([400, pointer, []])
      expect(await audit()).toEqual([])
    })

  it("takes a time a minute ahead: clocks differ", async ({ expect }) => {
    expect((await revoke([{ ...lostLaptop, beforeMs: future.beforeMs - 1 }])).status).toBe(201)
  })

  it("refuses a cursor that it did not give", async ({ expect }) => {
    for (const cursor of ["x", "-1", "1.5", "1e3"])
      expect((await platform.send(`GET /v1/revocations?cursor=${cursor}`)).status).toBe(400)
  })

  it("says when it is not certain that it was recorded, keeps its record, and a repeat with the same key does it", async ({
    expect,
  }) => {
    const key = { "idempotency-key": "incident-43" }
    fails = new Error("Durable Object reset")
    const failed = await revoke([lostLaptop], "", key)
    expect([failed.status, failed.body.code, failed.headers.get("retry-after")]).toEqual([
      503,
      "revocation.not-recorded",
      "2",
    ])
    expect(await audit()).toHaveLength(1)
    fails = null
    expect((await revoke([lostLaptop], "", key)).status).toBe(201)
    expect([log.length, (await audit()).length]).toEqual([1, 2])
  })

  it("passes on why the log refuses", async ({ expect }) => {
    fails = new Error("revocation.log-full")
    expect((await revoke([lostLaptop])).body.code).toBe("revocation.log-full")
    fails = new Error("constructor")
    expect((await revoke([lostLaptop])).body.code).toBe("revocation.not-recorded")
    fails = new Error("gone")
    expect((await platform.send("GET /v1/revocations")).body.code).toBe("revocation.unavailable")
  })

  it("revokes nothing that could not be recorded in the audit", async ({ expect }) => {
    await platform.deps.db.prepare("ALTER TABLE audit RENAME TO elsewhere").run()
    expect((await revoke([lostLaptop])).status).toBe(500)
    expect(log).toEqual([])
  })
})

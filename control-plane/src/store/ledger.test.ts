import { beforeEach, describe, expect, it } from "vitest"
import { startControlPlane, type TestControlPlane } from "../../test/harness.ts"
import type { Actor } from "../actor.ts"
import { commit, type Decision, GENESIS_HASH, readHead } from "./ledger.ts"

const actor: Actor = { tokenId: "t-1", role: "ops", team: null, name: "token:t-1" }
let platform: TestControlPlane
beforeEach(async () => {
  platform = await startControlPlane()
})

/** Adds one to the number in a table of the test's own: read, then written, as every change is. */
function increment(deps = platform.deps, by = actor): Promise<number> {
  return commit(deps, by, async (): Promise<Decision<number>> => {
    const found = await deps.db.prepare("SELECT number FROM counter").first<number>("number")
    const next = (found ?? 0) + 1
    return {
      statements: [deps.db.prepare("UPDATE counter SET number = ?").bind(next)],
      audit: [{ action: "counter.increment", target: "counter", detail: { next } }],
      result: next,
    }
  })
}

async function count(): Promise<number | null> {
  return await platform.deps.db.prepare("SELECT number FROM counter").first<number>("number")
}

beforeEach(async () => {
  await platform.deps.db.prepare("CREATE TABLE counter (number INTEGER NOT NULL CHECK (number < 1000)) STRICT").run()
  await platform.deps.db.prepare("INSERT INTO counter (number) VALUES (0)").run()
})

describe("commit: works", () => {
  it("loses none of 20 concurrent changes and makes none twice", async ({ expect }) => {
    const results = await Promise.all(Array.from({ length: 20 }, () => increment()))
    expect([...results].sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1))
    expect(await count()).toBe(20)
    expect(await platform.deps.store.audit.verify()).toMatchObject({ records: 20, brokenAt: null })
  })

  it("does not apply a change twice when the answer to its batch was lost", async ({ expect }) => {
    const db = losingAnswers(platform.deps.db, 1)
    expect(await increment({ ...platform.deps, db })).toBe(1)
    expect(await count()).toBe(1)
    expect(await platform.deps.store.audit.verify()).toMatchObject({ records: 1, brokenAt: null })
  })

  it("writes nothing, and no record, for a decision without statements", async ({ expect }) => {
    const decide = async (): Promise<Decision<string>> => ({ statements: [], audit: [], result: "as it was" })
    expect(await commit(platform.deps, actor, decide)).toBe("as it was")
    expect((await platform.deps.store.audit.verify()).records).toBe(0)
  })
})

describe("commit: takes turns", () => {
  const TEAM: Actor = { ...actor, role: "team", team: "web" }
  const holders = async () =>
    (await platform.deps.db.prepare("SELECT holder FROM commit_turn WHERE holder <> 'gone'").all()).results.length

  /** A change that takes long to decide: a quick rival begins each time, and has written before unless it was made to wait. */
  async function slowChange(by: Actor, rival = TEAM) {
    let decided = 0
    const rivals: Promise<unknown>[] = []
    const result = await commit(platform.deps, by, async (): Promise<Decision<string>> => {
      decided += 1
      let isDone = false
      rivals.push(
        increment(platform.deps, rival).then(() => {
          isDone = true
        }),
      )
      while (!isDone && (await holders()) === 0) await scheduler.wait(1)
      return {
        statements: [],
        audit: [{ action: "slow.change", target: "counter", detail: {} }],
        result: "made",
      }
    })
    await Promise.all(rivals)
    return { result, decided }
  }

  it.each([
    ["ops", 2],
    ["team", 4],
  ] as const)(
    "lets a slow change of %s through at decision %d, however many quick ones there are",
    async (role, most) => {
      expect(await slowChange(role === "team" ? TEAM : actor)).toEqual({ result: "made", decided: most })
      expect(await count()).toBe(most)
      expect(await platform.deps.store.audit.verify()).toMatchObject({ records: most + 1, brokenAt: null })
      expect(await holders()).toBe(0)
    },
  )

  const take = (role: string, lastsMs: number) =>
    platform.deps.db
      .prepare("INSERT INTO commit_turn (id, holder, role, until_ms) VALUES (1, 'gone', ?, ?)")
      .bind(role, platform.deps.clock.now() + lastsMs)
      .run()
  /** How long a change waits, milliseconds on the test's clock, and the number it made. */
  async function waited(by: Actor): Promise<[ms: number, made: number]> {
    let waitedMs = 0
    const wait = async (ms: number) => {
      expect(await count()).toBe(0)
      waitedMs += ms
      platform.pass(ms)
    }
    const made = await increment({ ...platform.deps, wait }, by)
    return [waitedMs, made]
  }

  it.each([
    ["team", "team"],
    ["team", "ops"],
    ["ops", "ops"],
  ] as const)(
    "makes one of role %s wait for a turn of role %s that is never given back, as long as it lasts and no longer",
    async (role, holder) => {
      await take(holder, 5_000)
      const [ms, made] = await waited(role === "team" ? TEAM : actor)
      expect(made).toBe(1)
      expect(ms).toBeGreaterThanOrEqual(5_000)
      expect(ms).toBeLessThan(5_100)
    },
  )

  it("makes ops wait for no team's turn, and lets them take it", async () => {
    await take("team", 5_000)
    expect(await waited(actor)).toEqual([0, 1])
    expect(await slowChange(actor, actor)).toEqual({ result: "made", decided: 2 })
  })

  it("makes nobody wait for one that ends later than any may, which a clock that is ahead took", async () => {
    await take("ops", 60_000)
    expect(await waited(TEAM)).toEqual([0, 1])
    expect(await slowChange(TEAM)).toEqual({ result: "made", decided: 4 })
  })

  it("lets many slow changes through that all want it", async () => {
    const slow = Array.from({ length: 6 }, (_, index) =>
      commit(platform.deps, index === 0 ? actor : TEAM, async (): Promise<Decision<number>> => {
        for (let query = 0; query < 5; query++) await count()
        return { statements: [], audit: [{ action: "slow.change", target: "counter", detail: {} }], result: index }
      }),
    )
    expect(await Promise.all(slow)).toEqual([0, 1, 2, 3, 4, 5])
    expect(await holders()).toBe(0)
  })

  it("gives its turn back when it is refused", async () => {
    let decided = 0
    const refused = commit(platform.deps, actor, async (): Promise<Decision<null>> => {
      decided += 1
      if (decided === 2) {
        expect(await holders()).toBe(1)
        throw new Error("not so")
      }
      await increment()
      return { statements: [], audit: [{ action: "x", target: "y", detail: {} }], result: null }
    })
    await expect(refused).rejects.toThrow("not so")
    expect(await holders()).toBe(0)
  })
})

describe("commit: refuses", () => {
  it("keeps no record of a change that the database refuses", async ({ expect }) => {
    const impossible = async (): Promise<Decision<null>> => ({
      statements: [platform.deps.db.prepare("UPDATE counter SET number = 5000")],
      audit: [{ action: "counter.set", target: "counter", detail: {} }],
      result: null,
    })
    await expect(commit(platform.deps, actor, impossible)).rejects.toThrow("CHECK constraint failed")
    expect(await count()).toBe(0)
    expect((await platform.deps.store.audit.verify()).records).toBe(0)
  })

  it("gives up with api.busy when it loses every race", async ({ expect }) => {
    const { db } = platform.deps
    const decide = async (): Promise<Decision<null>> => {
      // A writer that knows nothing of turns.
      const { seq, hash } = await readHead(db)
      await db
        .prepare("INSERT INTO audit SELECT ?, '', '', '', '', '', ?, 'x' || ?")
        .bind(seq + 1, hash, seq)
        .run()
      return {
        statements: [platform.deps.db.prepare("UPDATE counter SET number = 900")],
        audit: [{ action: "counter.set", target: "counter", detail: {} }],
        result: null,
      }
    }
    await expect(commit(platform.deps, actor, decide)).rejects.toMatchObject({ code: "api.busy" })
    expect(await count()).toBeLessThan(900)
  })

  it("refuses to write without a record", async ({ expect }) => {
    const statements = [platform.deps.db.prepare("UPDATE counter SET number = 7")]
    await expect(commit(platform.deps, actor, async () => ({ statements, audit: [], result: null }))).rejects.toThrow()
    expect(await count()).toBe(0)
  })
})

describe("audit: security", () => {
  it("begins at the genesis hash and chains every record to the one before", async ({ expect }) => {
    await increment()
    await increment()
    const { items } = await platform.deps.store.audit.list({ limit: 10 })
    expect(items[1]?.previousHash).toBe(GENESIS_HASH)
    expect(items[0]?.previousHash).toBe(items[1]?.hash)
  })

  for (const statement of ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit"])
    it(`cannot be rewritten: ${statement}`, async ({ expect }) => {
      await increment()
      await expect(platform.deps.db.prepare(statement).run()).rejects.toThrow("append-only")
    })

  const tampering: Record<string, { sql: string; brokenAt: number }> = {
    "a changed record": { sql: "UPDATE audit SET detail = '{}' WHERE seq = 3", brokenAt: 3 },
    "a changed time": { sql: "UPDATE audit SET at = '2020-01-01T00:00:00.000Z' WHERE seq = 1", brokenAt: 1 },
    "a missing record": { sql: "DELETE FROM audit WHERE seq = 2", brokenAt: 3 },
    "a missing first record": { sql: "DELETE FROM audit WHERE seq = 1", brokenAt: 2 },
    "swapped actors": { sql: "UPDATE audit SET actor = 'token:t-2' WHERE seq IN (4, 5)", brokenAt: 4 },
  }
  for (const [what, { sql, brokenAt }] of Object.entries(tampering))
    it(`shows ${what}, once the guard against it was taken away too`, async ({ expect }) => {
      for (let record = 1; record <= 5; record++) await increment()
      await platform.deps.db.batch([
        platform.deps.db.prepare("DROP TRIGGER audit_is_never_changed"),
        platform.deps.db.prepare("DROP TRIGGER audit_is_never_deleted"),
        platform.deps.db.prepare(sql),
      ])
      expect(await platform.deps.store.audit.verify()).toMatchObject({ brokenAt })
      const answer = await platform.send("GET /v1/audit/verify")
      expect(answer.body).toMatchObject({ intact: false, brokenAt })
    })
})

/** A database whose first `losses` batches happen, but whose answers never arrive. */
function losingAnswers(db: D1Database, losses: number): D1Database {
  let left = losses
  return new Proxy(db, {
    get(target, name) {
      const member = Reflect.get(target, name)
      if (name !== "batch") return typeof member === "function" ? member.bind(target) : member
      return async (statements: D1PreparedStatement[]) => {
        const results = await target.batch(statements)
        if (left-- > 0) throw new Error("Network connection lost.")
        return results
      }
    },
  })
}

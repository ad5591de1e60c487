import { beforeEach, describe, it } from "vitest"
import { startControlPlane, type TestControlPlane } from "../../test/harness.ts"
import type { Actor } from "../actor.ts"
import { commit, type Decision, GENESIS_HASH } from "./ledger.ts"

const actor: Actor = { tokenId: "t-1", role: "ops", team: null, name: "token:t-1" }
let platform: TestControlPlane
beforeEach(async () => {
  platform = await startControlPlane()
})

/** Adds one to the number in a table of the test's own: read, then written, as every change is. */
function increment(deps = platform.deps): Promise<number> {
  return commit(deps, actor, async (): Promise<Decision<number>> => {
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
    const decide = async (): Promise<Decision<null>> => {
      await increment()
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

/** What is read with every tick, in every list and before every change of hands is found by an index: no table that only grows is read through. */
import { beforeEach, describe, it } from "vitest"
import { startControlPlane, type TestControlPlane } from "../../test/harness.ts"
import { SYSTEM } from "../actor.ts"
import { type Store, storeOf } from "./store.ts"

let platform: TestControlPlane
beforeEach(async () => {
  platform = await startControlPlane()
})

interface Asked {
  readonly sql: string
  values: unknown[]
}

/** How the database finds the rows of each statement that `run` prepares. */
async function plansOf(run: (store: Store) => Promise<unknown>): Promise<string[]> {
  const asked: Asked[] = []
  const db = new Proxy(platform.deps.db, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== "function") return member
      if (name !== "prepare") return member.bind(target)
      return (sql: string) => watched(target.prepare(sql), sql, asked)
    },
  })
  await run(storeOf({ ...platform.deps, db }))
  const plans = asked.map(({ sql, values }) =>
    platform.deps.db
      .prepare(`EXPLAIN QUERY PLAN ${sql}`)
      .bind(...values)
      .all<{ detail: string }>(),
  )
  return (await Promise.all(plans)).flatMap(({ results }) => results.map(({ detail }) => detail))
}

function watched(statement: D1PreparedStatement, sql: string, asked: Asked[]): D1PreparedStatement {
  const entry: Asked = { sql, values: [] }
  asked.push(entry)
  return new Proxy(statement, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== "function") return member
      return (...given: unknown[]) => {
        if (name === "bind") entry.values = given
        return Reflect.apply(member, target, given)
      }
    },
  })
}

const LIMIT = { limit: 10 }
const NEW_TOKEN = { role: "team", team: "web", label: "x", expiresInS: null } as const

describe("by an index, and not by reading the table through", () => {
  const reads: Record<string, { table: string; by?: string; run: (store: Store) => Promise<unknown> }> = {
    "old idempotency keys": { table: "idempotency", run: (store) => store.idempotency.removeOld() },
    "the tokens of a team": { table: "tokens", run: (store) => store.tokens.list("web", LIMIT) },
    "the next page of them": {
      table: "tokens",
      run: (store) => store.tokens.list("web", { ...LIMIT, cursor: btoa('"t-1"') }),
    },
    "how many tokens a team has in force": { table: "tokens", run: (store) => store.tokens.create(NEW_TOKEN, SYSTEM) },
    "which these are": { table: "tokens", run: (store) => store.tokens.inForceOfTeam("web") },
    "how many ops have": {
      table: "tokens",
      run: (store) => store.tokens.create({ ...NEW_TOKEN, role: "ops", team: null }, SYSTEM),
    },
    "a token's family": { table: "tokens", run: (store) => store.tokens.revoke("t-made", SYSTEM) },
    "whether a token comes from another": {
      table: "tokens",
      run: (store) => store.tokens.revoke("t-made", { ...SYSTEM, role: "team", tokenId: "t-made" }),
    },
    "the routes of a team": { table: "routes", run: (store) => store.inventory.routes("web", LIMIT) },
    "the unfinished deployments of all": { table: "deployments", run: (store) => store.deployments.unfinished() },
    "those of one script": {
      table: "deployments",
      by: "deployments_unfinished_of_script",
      run: (store) => store.deployments.unfinishedOf("pages"),
    },
    "the pins of a script": {
      table: "audit",
      run: (store) => store.audit.pinnedSince("pages", "2026-11-20T12:00:00.000Z"),
    },
    "the calls to Cloudflare of the last minutes, and older ones": {
      table: "cloudflare_calls",
      by: "PRIMARY KEY",
      run: (store) =>
        Promise.all([
          store.calls.reserve(0, { team: "web", calls: 1, mostOfAll: 1, mostOfTeam: 1, despiteRefusal: false }),
          store.calls.usage(0),
        ]),
    },
    "the scripts of which something may be removed": {
      table: "versions",
      by: "versions_in_namespace",
      run: (store) => store.removals.candidates(0),
    },
    "what of one script is unused in the namespace": {
      table: "versions",
      by: "COVERING INDEX versions_in_namespace (script=? AND used_at_ms<?)",
      run: (store) => store.versions.longestUnused("pages", 0, 0, 1),
    },
    "what of one script was used last": {
      table: "versions",
      by: "COVERING INDEX versions_in_namespace (script=?)",
      run: (store) => store.versions.lastUsed("pages", 1),
    },
    "the removals that are due": {
      table: "removals",
      by: "removals_by_time",
      run: (store) => store.removals.due(0, 1),
    },
    "the routes to a script": { table: "routes", run: (store) => store.inventory.routesTo("pages") },
    "the newest live revision": { table: "config_revisions", run: (store) => store.revisions.newestLive() },
  }
  for (const [what, { table, by = table, run }] of Object.entries(reads))
    it(`finds ${what}`, async ({ expect }) => {
      await platform.team("web")
      const made =
        "INSERT INTO tokens (id, team, role, hash, label, created_at) VALUES ('t-made', 'web', 'team', 'h', 'x', '')"
      await platform.deps.db.prepare(made).run()
      const plans = (await plansOf(run)).filter((plan) => plan.includes(table))
      expect(plans.join()).toContain(by)
      expect(plans.filter((plan) => !plan.startsWith("SEARCH") && !isPartial(plan))).toEqual([])
    })

  /** A partial index on what is unfinished, or in the namespace, holds nothing else, so that to read it through is to read those alone. */
  const isPartial = (plan: string) =>
    plan.endsWith("USING INDEX deployments_unfinished") || plan.endsWith("USING COVERING INDEX versions_in_namespace")
})

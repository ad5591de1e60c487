/** Scripts and who owns them. A name belongs to the first team that claims it, until ops give it to another. */
import type { ReleaseWeight } from "../../../contracts/dispatch-config.ts"
import { isScriptName } from "../../../contracts/script-name.ts"
import { refuse } from "../../../kit/problem.ts"
import type { Actor } from "../actor.ts"
import { isReservedName } from "../reserved-names.ts"
import { commit, type Decision, type LedgerDependencies } from "./ledger.ts"
import { type Page, type PageQuery, readPage } from "./page.ts"
import { removeAll } from "./removals.ts"
import { DEFAULT_SETTINGS, type RawRow, type ScriptRow, type ScriptSettings, toScript } from "./rows.ts"

/** Names that one team may hold, deleted ones included: a name costs others more than it costs the one who takes it. */
export const MAX_SCRIPTS_PER_TEAM = 200

/** A script with what is deployed of it. */
export interface ScriptView extends ScriptRow {
  readonly releases: readonly ReleaseWeight[] | null
  readonly latestVersion: number | null
}

const VIEW = `SELECT scripts.*, deployments.releases AS releases,
    (SELECT max(number) FROM versions WHERE versions.script = scripts.name) AS latest_version
  FROM scripts
  LEFT JOIN script_current ON script_current.script = scripts.name
  LEFT JOIN deployments ON deployments.id = script_current.deployment_id`

export type ScriptStore = ReturnType<typeof scriptStore>

export function scriptStore(deps: LedgerDependencies) {
  const { db } = deps

  /** The script, or null when there is none or it was deleted. */
  async function get(name: string): Promise<ScriptRow | null> {
    const row = await find(db, name)
    return row?.deletedAt === null ? row : null
  }

  /** The script with what is deployed of it; null when there is none or it was deleted. */
  async function view(name: string): Promise<ScriptView | null> {
    const row = await db
      .prepare(`${VIEW} WHERE scripts.name = ? AND scripts.deleted_at IS NULL`)
      .bind(name)
      .first<RawRow>()
    return row === null ? null : toView(row)
  }

  /** By name; of one team, or of all when `team` is null. */
  function list(team: string | null, query: PageQuery): Promise<Page<ScriptView>> {
    const where = ["scripts.deleted_at IS NULL", ...(team === null ? [] : ["scripts.team = ?"])]
    const values = team === null ? [] : [team]
    return readPage(db, { select: VIEW, where, values, key: "scripts.name" }, query, toView)
  }

  /**
   * The actor's own script of that name, made if there is none. Of any number of concurrent claims by several teams exactly one wins.
   * Throws `script.name-invalid` for a name outside the grammar or reserved, `script.owned-by-another-team`, `script.too-many`, `api.unauthenticated` when the team was removed meanwhile, and `api.forbidden` when ops, who belong to no team, would have to create one.
   */
  function claim(name: string, actor: Actor): Promise<ScriptRow> {
    return commit(deps, actor, async (): Promise<Decision<ScriptRow>> => {
      const found = await find(db, name)
      mayClaim(name, found, actor)
      if (found !== null && found.deletedAt === null) return { statements: [], audit: [], result: found }
      const team = found?.team ?? actor.team
      if (team === null)
        throw refuse("api.forbidden", {
          detail: "Ops belong to no team; a script is created with a token of its team.",
        })
      if (found === null && !(await teamExists(team))) throw refuse("api.unauthenticated")
      if (found === null) requireRoom(await countOf(team))
      const createdAt = new Date(deps.clock.now()).toISOString()
      const row: ScriptRow = { name, team, settings: settingsOfNew(found), createdAt, deletedAt: null }
      return {
        statements: [putScript(db, row)],
        audit: [{ action: "script.claim", target: `scripts/${name}`, detail: { team } }],
        result: row,
      }
    })
  }

  async function countOf(team: string): Promise<number> {
    const sql = "SELECT count(*) AS count FROM scripts WHERE team = ?"
    return (await db.prepare(sql).bind(team).first<number>("count")) ?? 0
  }

  async function teamExists(team: string): Promise<boolean> {
    return (await db.prepare("SELECT 1 AS one FROM teams WHERE name = ?").bind(team).first()) !== null
  }

  return { get, view, list, claim }
}

function toView(row: RawRow): ScriptView {
  const { releases, latest_version: latest } = row
  return {
    ...toScript(row),
    releases: typeof releases === "string" ? JSON.parse(releases) : null,
    latestVersion: typeof latest === "number" ? latest : null,
  }
}

/** Of a script that is claimed: the usual ones, but what ops switched off before it was deleted stays off. `deleted` is null for a name that nobody had, or that changes hands. */
export function settingsOfNew(deleted: ScriptRow | null): ScriptSettings {
  if (deleted?.settings.killedByOps !== true) return DEFAULT_SETTINGS
  return { ...DEFAULT_SETTINGS, kill: deleted.settings.kill, killedByOps: true }
}

/** Throws `script.too-many` when a team that holds `held` names may take no other. */
export function requireRoom(held: number): void {
  if (held >= MAX_SCRIPTS_PER_TEAM)
    throw refuse("script.too-many", {
      detail: `The team holds ${held} names, deleted ones included; ask ops to give some away.`,
    })
}

/**
 * What giving a name to another team does beside the row: the earlier team's versions and deployments are forgotten (the audit keeps them), since with
 * them went its secrets and grants. What stands in the namespace of them is removed from a day after `now` on; until then, and in configs of before, each number stands for the old content: it is not
 * used again.
 */
export function handOver(db: D1Database, name: string, now: number): D1PreparedStatement[] {
  return [
    removeAll(db, name, now),
    db
      .prepare(
        `UPDATE scripts SET numbered_to = max(numbered_to, coalesce((SELECT max(number) FROM versions WHERE script = ?1), 0)) WHERE name = ?1`,
      )
      .bind(name),
    db.prepare("DELETE FROM versions WHERE script = ?").bind(name),
    db.prepare("DELETE FROM deployments WHERE script = ?").bind(name),
  ]
}

/** Deleted ones included: a name is never free again for others by itself. */
export async function find(db: D1Database, name: string): Promise<ScriptRow | null> {
  const row = await db.prepare("SELECT * FROM scripts WHERE name = ?").bind(name).first<RawRow>()
  return row === null ? null : toScript(row)
}

/**
 * Refuses what `actor` may not claim. `found` is the script of that name, deleted ones included.
 * Throws `script.name-invalid`, `script.owned-by-another-team`.
 */
export function mayClaim(name: string, found: ScriptRow | null, actor: Actor): void {
  if (!isScriptName(name)) throw refuse("script.name-invalid")
  if (actor.role === "ops") return
  if (found !== null && found.team !== actor.team) throw refuse("script.owned-by-another-team")
  if (found === null && isReservedName(name))
    throw refuse("script.name-invalid", {
      detail: "This name is reserved; ops can assign it to the team.",
    })
}

/** Inserts or replaces. */
export function putScript(db: D1Database, row: ScriptRow): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO scripts (name, team, settings, created_at, deleted_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (name) DO UPDATE SET team = excluded.team, settings = excluded.settings, created_at = excluded.created_at, deleted_at = excluded.deleted_at`,
    )
    .bind(row.name, row.team, JSON.stringify(row.settings), row.createdAt, row.deletedAt)
}

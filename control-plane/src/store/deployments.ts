/**
 * Deployments: which versions of a script are to receive traffic. Recorded here first; config/publish-deployment.ts puts one in force.
 * A recorded deployment without an end is taken up again by the schedule.
 */

import type { ReleaseWeight } from "../../../contracts/dispatch-config.ts"
import { refuse } from "../../../kit/problem.ts"
import { type Actor, actsFor } from "../actor.ts"
import { commit, type Decision, type LedgerDependencies } from "./ledger.ts"
import { type Page, type PageQuery, readPage } from "./page.ts"
import { type DeploymentPhase, type DeploymentRow, type RawRow, toDeployment } from "./rows.ts"

export type DeploymentStore = ReturnType<typeof deploymentStore>

export interface RecordOptions {
  /** Id to record it under, so that whoever repeats the request finds it; a new one if absent. */
  readonly id?: string
  /** Where a rollback stands in the history. */
  readonly back?: Pick<DeploymentRow, "backTo" | "withdrawn">
  /** May refuse on the deployment in force at the moment of recording; null when there is none. */
  readonly admit?: (current: DeploymentRow | null) => void
}

export function deploymentStore(deps: LedgerDependencies) {
  const { db } = deps

  async function one(sql: string, ...values: (string | number)[]): Promise<DeploymentRow | null> {
    const row = await db
      .prepare(sql)
      .bind(...values)
      .first<RawRow>()
    return row === null ? null : toDeployment(row)
  }

  function get(id: string): Promise<DeploymentRow | null> {
    return one("SELECT * FROM deployments WHERE id = ?", id)
  }

  /** The one in force, or null before the first. */
  function current(script: string): Promise<DeploymentRow | null> {
    return one(
      "SELECT deployments.* FROM deployments JOIN script_current ON script_current.deployment_id = deployments.id WHERE script_current.script = ?",
      script,
    )
  }

  /** Those that were in force before `seq`, newest first, at most 1000: what a rollback looks through. */
  async function publishedBefore(script: string, seq: number): Promise<readonly DeploymentRow[]> {
    const { results } = await db
      .prepare(
        "SELECT * FROM deployments WHERE script = ? AND phase = 'published' AND seq < ? ORDER BY seq DESC LIMIT 1000",
      )
      .bind(script, seq)
      .all<RawRow>()
    return results.map(toDeployment)
  }

  /** Newest first. */
  function list(script: string, query: PageQuery): Promise<Page<DeploymentRow>> {
    const listing = {
      select: "SELECT * FROM deployments",
      where: ["script = ?"],
      values: [script],
      key: "seq",
      newestFirst: true,
    }
    return readPage(db, listing, query, toDeployment)
  }

  /** Of all scripts: begun and neither published nor failed, oldest first, at most 100. */
  async function unfinished(): Promise<readonly DeploymentRow[]> {
    const { results } = await db
      .prepare("SELECT * FROM deployments WHERE phase = 'recorded' ORDER BY seq LIMIT 100")
      .all<RawRow>()
    return results.map(toDeployment)
  }

  /** Of one script, oldest first: all that were begun in the quarter of an hour after which the schedule ends them. */
  async function unfinishedOf(script: string): Promise<readonly DeploymentRow[]> {
    const { results } = await db
      .prepare("SELECT * FROM deployments WHERE script = ? AND phase = 'recorded' ORDER BY seq")
      .bind(script)
      .all<RawRow>()
    return results.map(toDeployment)
  }

  /** Writes the intent down; nothing is in force by it. The caller has checked that the versions exist. Throws `api.not-found` (the script is absent, deleted, or another team's) and what `options.admit` throws. */
  function record(
    script: string,
    releases: readonly ReleaseWeight[],
    message: string | null,
    actor: Actor,
    options: RecordOptions = {},
  ): Promise<DeploymentRow> {
    const { id = deps.ids.next("d"), back = { backTo: null, withdrawn: [] } } = options
    return commit(deps, actor, async (): Promise<Decision<DeploymentRow>> => {
      const held = await db.prepare("SELECT team, deleted_at FROM scripts WHERE name = ?").bind(script).first<RawRow>()
      // Deleted meanwhile, or the name changed hands: it must not come into force for whoever has the name next.
      if (held === null || held.deleted_at !== null || !actsFor(actor, String(held.team))) throw refuse("api.not-found")
      options.admit?.(await current(script))
      const newest = await db.prepare("SELECT coalesce(max(seq), 0) AS seq FROM deployments").first<number>("seq")
      const row: DeploymentRow = {
        seq: (newest ?? 0) + 1,
        id,
        script,
        releases,
        phase: "recorded",
        message,
        createdBy: actor.name,
        createdAt: new Date(deps.clock.now()).toISOString(),
        configRevision: null,
        ...back,
      }
      const { backTo, withdrawn } = back
      return {
        statements: [
          db
            .prepare(
              "INSERT INTO deployments (seq, id, script, releases, phase, message, created_by, created_at, back_to, withdrawn) VALUES (?, ?, ?, ?, 'recorded', ?, ?, ?, ?, ?)",
            )
            .bind(
              ...[row.seq, id, script, JSON.stringify(releases), message, row.createdBy, row.createdAt],
              ...[backTo, JSON.stringify(withdrawn)],
            ),
        ],
        audit: [
          {
            action: "deployment.create",
            target: `scripts/${script}/deployments/${id}`,
            detail: { releases, message, ...(backTo === null ? {} : { rollback: true }) },
          },
        ],
        result: row,
      }
    })
  }

  /** Ends one that was begun and will not come into force; whatever has come into force, or has ended, stays as it is. Throws `api.not-found`. */
  function fail(id: string, actor: Actor): Promise<void> {
    return commit(deps, actor, async (): Promise<Decision<void>> => {
      const found = await get(id)
      if (found === null) throw refuse("api.not-found")
      if (found.phase !== "recorded") return { statements: [], audit: [], result: undefined }
      const target = `scripts/${found.script}/deployments/${id}`
      return {
        statements: [putPhase(db, id, "failed", null)],
        audit: [{ action: "deployment.failed", target, detail: {} }],
        result: undefined,
      }
    })
  }

  return { get, current, publishedBefore, list, unfinished, unfinishedOf, record, fail }
}

/** For whoever takes a script away: ends all that were begun of it. */
export function failUnfinished(db: D1Database, script: string): D1PreparedStatement {
  return db.prepare("UPDATE deployments SET phase = 'failed' WHERE script = ? AND phase = 'recorded'").bind(script)
}

/** For whoever gives the registry a new number: what only revisions after `live` carried, none of which comes into force, is carried by `revision`. */
export function carryLater(db: D1Database, live: number, revision: number): D1PreparedStatement {
  return db.prepare("UPDATE deployments SET config_revision = ? WHERE config_revision > ?").bind(revision, live)
}

export function putPhase(
  db: D1Database,
  id: string,
  phase: DeploymentPhase,
  configRevision: number | null,
): D1PreparedStatement {
  return db
    .prepare("UPDATE deployments SET phase = ?, config_revision = ? WHERE id = ?")
    .bind(phase, configRevision, id)
}

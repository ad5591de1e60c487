/**
 * Deployments: which versions of a script are to receive traffic. Recorded here first; config/publish-deployment.ts puts one in force.
 * A recorded deployment without an end is taken up again by the schedule.
 */

import type { ReleaseWeight } from "../../../contracts/dispatch-config.ts"
import { refuse } from "../../../kit/problem.ts"
import type { Actor } from "../actor.ts"
import { commit, type Decision, type LedgerDependencies } from "./ledger.ts"
import { type Page, type PageQuery, readPage } from "./page.ts"
import { type DeploymentPhase, type DeploymentRow, type RawRow, toDeployment } from "./rows.ts"

export type DeploymentStore = ReturnType<typeof deploymentStore>

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

  /** The newest that was in force before the current one, or null. */
  function previous(script: string): Promise<DeploymentRow | null> {
    return one(
      `SELECT * FROM deployments WHERE script = ?1 AND phase = 'published' AND seq <
         (SELECT seq FROM deployments JOIN script_current ON deployment_id = id WHERE script_current.script = ?1)
       ORDER BY seq DESC LIMIT 1`,
      script,
    )
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

  /** Begun and neither published nor failed, oldest first, at most 100. */
  async function unfinished(): Promise<readonly DeploymentRow[]> {
    const { results } = await db
      .prepare("SELECT * FROM deployments WHERE phase = 'recorded' ORDER BY seq LIMIT 100")
      .all<RawRow>()
    return results.map(toDeployment)
  }

  /** Writes the intent down; nothing is in force by it. The caller has checked that the versions exist. */
  function record(
    script: string,
    releases: readonly ReleaseWeight[],
    message: string | null,
    actor: Actor,
  ): Promise<DeploymentRow> {
    const id = deps.ids.next("d")
    return commit(deps, actor, async (): Promise<Decision<DeploymentRow>> => {
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
      }
      return {
        statements: [
          db
            .prepare(
              "INSERT INTO deployments (seq, id, script, releases, phase, message, created_by, created_at) VALUES (?, ?, ?, ?, 'recorded', ?, ?, ?)",
            )
            .bind(row.seq, id, script, JSON.stringify(releases), message, row.createdBy, row.createdAt),
        ],
        audit: [
          {
            action: "deployment.create",
            target: `scripts/${script}/deployments/${id}`,
            detail: { releases, message },
          },
        ],
        result: row,
      }
    })
  }

  /** For an end that is not a publication, such as `failed`; publication is config/publish-deployment.ts. Throws `api.not-found`. */
  function setPhase(
    id: string,
    phase: DeploymentPhase,
    actor: Actor,
    configRevision: number | null = null,
  ): Promise<void> {
    return commit(deps, actor, async (): Promise<Decision<void>> => {
      const found = await get(id)
      if (found === null) throw refuse("api.not-found")
      if (found.phase === phase && (configRevision === null || found.configRevision === configRevision))
        return { statements: [], audit: [], result: undefined }
      return {
        statements: [putPhase(db, id, phase, configRevision)],
        audit: [
          {
            action: `deployment.${phase}`,
            target: `scripts/${found.script}/deployments/${id}`,
            detail: { configRevision },
          },
        ],
        result: undefined,
      }
    })
  }

  return { get, current, previous, list, unfinished, record, setPhase }
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

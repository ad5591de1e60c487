/** Versions of scripts: immutable, content-addressed, numbered from 1 without ever giving a number out twice. */
import { refuse } from "../../../kit/problem.ts"
import { type Actor, actsFor } from "../actor.ts"
import { commit, type Decision, type LedgerDependencies } from "./ledger.ts"
import { type Page, type PageQuery, readPage } from "./page.ts"
import { type RawRow, toVersion, type VersionRow, type VersionState } from "./rows.ts"

export type VersionStore = ReturnType<typeof versionStore>

export interface NewVersion {
  /** SHA-256 of the manifest, hex. */
  readonly digest: string
  readonly sizeBytes: number
  /** The `resource:` grants that its bindings use; none when absent. */
  readonly needs?: readonly string[]
  readonly message: string | null
  readonly tag: string | null
  /** {@link VersionStore.lastUpload} when this content took over what it keeps of earlier versions: no upload may have been since. Null or absent: it keeps nothing. */
  readonly keptAt?: number | null
}

export interface RecordedVersion {
  readonly version: number
  /** False when this content was recorded before. */
  readonly created: boolean
  readonly state: VersionState
}

const UPLOAD_SEQ = "coalesce(upload_seq, number)"

export function versionStore(deps: LedgerDependencies) {
  const { db } = deps

  async function get(script: string, number: number): Promise<VersionRow | null> {
    const found = await db
      .prepare("SELECT * FROM versions WHERE script = ? AND number = ?")
      .bind(script, number)
      .first<RawRow>()
    return found === null ? null : toVersion(found)
  }

  /** The highest number given out, or null. */
  async function latest(script: string): Promise<number | null> {
    return await db
      .prepare("SELECT max(number) AS number FROM versions WHERE script = ?")
      .bind(script)
      .first<number | null>("number")
  }

  /** `uploadSeq` of the last upload, 0 before the first. */
  async function lastUpload(script: string): Promise<number> {
    const found = await db.prepare(`SELECT max(${UPLOAD_SEQ}) AS seq FROM versions WHERE script = ?`).bind(script)
    return (await found.first<number | null>("seq")) ?? 0
  }

  /** Those that Cloudflare did not refuse, the last uploaded first; so many as are of interest to who looks for the last. */
  async function uploaded(script: string): Promise<VersionRow[]> {
    const { results } = await db
      .prepare(`SELECT * FROM versions WHERE script = ? AND state <> 'failed' ORDER BY ${UPLOAD_SEQ} DESC LIMIT 20`)
      .bind(script)
      .all<RawRow>()
    return results.map(toVersion)
  }

  /** The newest `limit` versions below `number` that are whole in the namespace, newest first. */
  async function earlier(script: string, number: number, limit: number): Promise<VersionRow[]> {
    const { results } = await db
      .prepare(
        "SELECT * FROM versions WHERE script = ? AND number < ? AND state = 'verified' ORDER BY number DESC LIMIT ?",
      )
      .bind(script, number, limit)
      .all<RawRow>()
    return results.map(toVersion)
  }

  /** Newest first. */
  function list(script: string, query: PageQuery): Promise<Page<VersionRow>> {
    const listing = {
      select: "SELECT * FROM versions",
      where: ["script = ?"],
      values: [script],
      key: "number",
      newestFirst: true,
    }
    return readPage(db, listing, query, toVersion)
  }

  /** Writes down that this content is a version of `script`, and the last that was uploaded; the same digest is the same version. The caller has claimed the script. Throws `script.owned-by-another-team`, and `api.busy` when it keeps what a version recorded meanwhile may have replaced. */
  function record(script: string, content: NewVersion, actor: Actor): Promise<RecordedVersion> {
    return commit(deps, actor, async (): Promise<Decision<RecordedVersion>> => {
      const last = await lastUpload(script)
      const same = await db
        .prepare("SELECT * FROM versions WHERE script = ? AND digest = ?")
        .bind(script, content.digest)
        .first<RawRow>()
      const found = same === null ? null : toVersion(same)
      // The last one itself keeps nothing that a later one replaced.
      if ((content.keptAt ?? last) !== last && found?.uploadSeq !== last)
        throw refuse("api.busy", {
          headers: { "retry-after": "1" },
          detail: `Another version of ${script} was uploaded meanwhile: what this one keeps of the version before may be outdated. Upload it again.`,
        })
      const uploadedAt = new Date(deps.clock.now()).toISOString()
      if (found !== null) {
        const { number, state, digest } = found
        const result = { version: number, created: false, state }
        if (found.uploadSeq === last) return { statements: [], audit: [], result }
        const again = db.prepare("UPDATE versions SET upload_seq = ?, uploaded_at = ? WHERE script = ? AND number = ?")
        return {
          statements: [again.bind(last + 1, uploadedAt, script, number)],
          audit: [
            { action: "version.upload-again", target: `scripts/${script}/versions/${number}`, detail: { digest } },
          ],
          result,
        }
      }
      const held = await db.prepare("SELECT team, numbered_to FROM scripts WHERE name = ?").bind(script).first<RawRow>()
      // The name may have changed hands since it was claimed.
      if (held === null || !actsFor(actor, String(held.team))) throw refuse("script.owned-by-another-team")
      const version = Math.max((await latest(script)) ?? 0, Number(held.numbered_to)) + 1
      const { digest, sizeBytes, needs = [], message, tag } = content
      return {
        statements: [
          db
            .prepare(
              `INSERT INTO versions (script, number, digest, state, size_bytes, message, tag, needs, created_by, created_at, upload_seq, uploaded_at)
               VALUES (?1, ?2, ?3, 'recorded', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?9)`,
            )
            .bind(
              ...[script, version, digest, sizeBytes, message, tag, JSON.stringify(needs), actor.name, uploadedAt],
              last + 1,
            ),
        ],
        audit: [
          {
            action: "version.record",
            target: `scripts/${script}/versions/${version}`,
            detail: { digest, sizeBytes, message, tag, needs },
          },
        ],
        result: { version, created: true, state: "recorded" },
      }
    })
  }

  /** Throws `version.unknown`. Setting the state it already has writes nothing. */
  function setState(script: string, number: number, state: VersionState, actor: Actor): Promise<void> {
    return commit(deps, actor, async (): Promise<Decision<void>> => {
      const found = await get(script, number)
      if (found === null) throw refuse("version.unknown")
      if (found.state === state) return { statements: [], audit: [], result: undefined }
      return {
        statements: [
          db.prepare("UPDATE versions SET state = ? WHERE script = ? AND number = ?").bind(state, script, number),
        ],
        audit: [
          {
            action: `version.${state}`,
            target: `scripts/${script}/versions/${number}`,
            detail: { from: found.state },
          },
        ],
        result: undefined,
      }
    })
  }

  return { get, latest, lastUpload, uploaded, earlier, list, record, setState }
}

/** Versions of scripts: immutable, content-addressed, numbered from 1 without ever giving a number out twice. */
import { type Refusal, refuse } from "../../../kit/problem.ts"
import { type Actor, actsFor } from "../actor.ts"
import { commit, type Decision, type LedgerDependencies } from "./ledger.ts"
import { type Page, type PageQuery, readPage } from "./page.ts"
import { IN_NAMESPACE, openRemoval } from "./removals.ts"
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

/** What tells whether a version may leave the namespace. */
export type StandingVersion = Pick<
  VersionRow,
  "number" | "state" | "uploadSeq" | "usedAtMs" | "heldUntilMs" | "removedAtMs"
>

export interface RecordedVersion {
  readonly version: number
  /** False when this content was recorded before. */
  readonly created: boolean
  readonly state: VersionState
}

const UPLOAD_SEQ = "coalesce(upload_seq, number)"
const UPLOADS_AT_ONCE = 20
/** Milliseconds for which the same upload again says nothing new: when a version was used counts by the day. */
const STILL_USED_MS = 60 * 60_000

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

  /** Those that Cloudflare did not refuse, the last uploaded first: however many were never stored whole, what was is found behind them. */
  async function* uploaded(script: string): AsyncGenerator<VersionRow> {
    let below = Number.MAX_SAFE_INTEGER
    for (;;) {
      const { results } = await db
        .prepare(
          `SELECT * FROM versions WHERE script = ? AND ${UPLOAD_SEQ} < ? AND state <> 'failed' ORDER BY ${UPLOAD_SEQ} DESC LIMIT ${UPLOADS_AT_ONCE}`,
        )
        .bind(script, below)
        .all<RawRow>()
      const rows = results.map(toVersion)
      yield* rows
      const last = rows.at(-1)
      if (last === undefined || rows.length < UPLOADS_AT_ONCE) return
      below = last.uploadSeq
    }
  }

  /** The newest `limit` versions below `number` that are or were in the namespace, newest first: tabs of one that was taken out, or that a registry that was set back is not sure of, may be open still. */
  async function earlier(script: string, number: number, limit: number): Promise<VersionRow[]> {
    const { results } = await db
      .prepare(
        "SELECT * FROM versions WHERE script = ? AND number < ? AND state IN ('placed', 'verified', 'retired') ORDER BY number DESC LIMIT ?",
      )
      .bind(script, number, limit)
      .all<RawRow>()
    return results.map(toVersion)
  }

  /** Whole ones in the namespace, the last used first. */
  function lastUsed(script: string, limit: number): Promise<StandingVersion[]> {
    const order = "ORDER BY used_at_ms DESC, seq DESC LIMIT ?"
    return standing(`state IN ('placed', 'verified') ${order}`, script, limit)
  }

  /** What may be in the namespace, refused ones included, was not used since `before` and is not held at `now`; the longest unused first. */
  function longestUnused(script: string, before: number, now: number, limit: number): Promise<StandingVersion[]> {
    const order = "ORDER BY used_at_ms, seq LIMIT ?"
    return standing(`used_at_ms <= ? AND held_until_ms <= ? ${order}`, script, before, now, limit)
  }

  /** The index has to be named: by its key the table is found too, with all that the script ever had. */
  async function standing(rest: string, ...values: (string | number)[]): Promise<StandingVersion[]> {
    const { results } = await db
      .prepare(
        `SELECT number, state, ${UPLOAD_SEQ} AS seq, used_at_ms, held_until_ms, removed_at_ms
         FROM versions INDEXED BY versions_in_namespace WHERE script = ? AND (${IN_NAMESPACE}) AND ${rest}`,
      )
      .bind(...values)
      .all<RawRow>()
    return results.map((row) => ({
      number: Number(row.number),
      state: row.state as VersionState,
      uploadSeq: Number(row.seq),
      usedAtMs: Number(row.used_at_ms),
      heldUntilMs: Number(row.held_until_ms),
      removedAtMs: typeof row.removed_at_ms === "number" ? row.removed_at_ms : null,
    }))
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
      const now = deps.clock.now()
      const uploadedAt = new Date(now).toISOString()
      if (found !== null) {
        const { number, state, digest, uploadSeq, usedAtMs } = found
        const result = { version: number, created: false, state }
        const isLast = uploadSeq === last
        // Written down all the same where it was long ago: nobody takes out of the namespace meanwhile what this upload is about to find there.
        if (isLast && now - usedAtMs < STILL_USED_MS) return { statements: [], audit: [], result }
        const again = db.prepare(
          "UPDATE versions SET upload_seq = ?, uploaded_at = ?, used_at_ms = ? WHERE script = ? AND number = ?",
        )
        return {
          statements: [again.bind(isLast ? last : last + 1, uploadedAt, now, script, number)],
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
              `INSERT INTO versions (script, number, digest, state, size_bytes, message, tag, needs, created_by, created_at, upload_seq, uploaded_at, used_at_ms)
               VALUES (?1, ?2, ?3, 'recorded', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?9, ?11)`,
            )
            .bind(
              ...[script, version, digest, sizeBytes, message, tag, JSON.stringify(needs), actor.name, uploadedAt],
              ...[last + 1, now],
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

  /**
   * To be called before anything of a version is sent to Cloudflare: from here on it counts as being in the namespace. True when it was taken out before, so that what Cloudflare says of it may
   * be of then. Throws `version.unknown`, and `api.busy` while it is being taken out, or nobody knows whether the call to do so is still under way: it could come after what is to be placed.
   */
  function beginPlacing(script: string, number: number, actor: Actor): Promise<boolean> {
    return commit(deps, actor, async (): Promise<Decision<boolean>> => {
      const found = await get(script, number)
      if (found === null) throw refuse("version.unknown")
      if (await openRemoval(db, script, number)) throw beingRemoved(found)
      if (found.removedAtMs === null) return { statements: [], audit: [], result: false }
      return {
        statements: [
          db.prepare("UPDATE versions SET removed_at_ms = NULL WHERE script = ? AND number = ?").bind(script, number),
        ],
        audit: [{ action: "version.place-again", target: `scripts/${script}/versions/${number}`, detail: {} }],
        result: true,
      }
    })
  }

  /**
   * Throws `version.unknown`, and `api.busy` when it was taken out of the namespace since {@link beginPlacing} and is to be in it. Setting the state it already has writes nothing, and so does
   * anything when it has the state `unless`.
   */
  function setState(
    script: string,
    number: number,
    state: VersionState,
    actor: Actor,
    options: {
      readonly unless?: VersionState
      /** Of the code as it was verified; null where Cloudflare names none. */
      readonly etag?: string | null
    } = {},
  ): Promise<void> {
    return commit(deps, actor, async (): Promise<Decision<void>> => {
      const found = await get(script, number)
      if (found === null) throw refuse("version.unknown")
      if (found.removedAtMs !== null && (state === "placed" || state === "verified")) throw beingRemoved(found)
      if (found.state === state || found.state === options.unless)
        return { statements: [], audit: [], result: undefined }
      return {
        statements: [
          db
            .prepare("UPDATE versions SET state = ?, etag = coalesce(?, etag) WHERE script = ? AND number = ?")
            .bind(state, options.etag ?? null, script, number),
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

  return { get, latest, lastUpload, uploaded, earlier, lastUsed, longestUnused, list, record, beginPlacing, setState }
}

function beingRemoved({ script, number }: VersionRow): Refusal {
  return refuse("api.busy", {
    headers: { "retry-after": "10" },
    detail: `Version ${number} of ${script}, which nothing used, is being taken out of the namespace. It is placed again once that is done; a deployment of it comes into force by itself then.`,
  })
}

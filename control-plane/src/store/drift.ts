/** How the looks at Cloudflare went. Noted outside the ledger, since nobody asked for them. */
import { NAMED_VERSIONS } from "./named-versions.ts"
import type { RawRow } from "./rows.ts"

export type DriftStore = ReturnType<typeof driftStore>

/** The last look at one thing outside of the registry. */
export interface DriftLook {
  /** `namespace`, `dispatcher`, or `scripts/NAME/versions/N`. */
  readonly about: string
  /** Since when it is looked at. */
  readonly firstTriedAtMs: number
  /** Of the last look, whatever came of it. */
  readonly triedAtMs: number
  /** Of the last one that came to an end; null when none ever did. */
  readonly lookedAtMs: number | null
  /** What was not as it should be, in words; null when all was. */
  readonly fault: string | null
  /** Since when it is known; null without a fault. */
  readonly sinceMs: number | null
}

/** A version that may receive requests. */
export interface VersionInForce {
  readonly script: string
  readonly team: string
  readonly number: number
  /** SHA-256 of the manifest, hex. */
  readonly digest: string
  /** Of the code as it was verified; null where nobody noted it. */
  readonly etag: string | null
}

export function driftStore(db: D1Database) {
  /** Those that a script's deployment, a route of its own weights or a release pin leads to, by script and number. */
  async function inForce(nowMs: number): Promise<readonly VersionInForce[]> {
    const { results } = await db
      .prepare(
        `WITH named AS (
           ${NAMED_VERSIONS}
           UNION
           SELECT script, number FROM versions WHERE pinned_until_ms > ? AND state = 'verified'
         )
         SELECT versions.script, versions.number, versions.digest, versions.etag, scripts.team
         FROM named JOIN versions ON versions.script = named.script AND versions.number = named.number
         JOIN scripts ON scripts.name = named.script
         WHERE scripts.deleted_at IS NULL ORDER BY versions.script, versions.number`,
      )
      .bind(nowMs)
      .all<RawRow>()
    return results.map(({ script, team, number, digest, etag }) => ({
      script: String(script),
      team: String(team),
      number: Number(number),
      digest: String(digest),
      etag: typeof etag === "string" ? etag : null,
    }))
  }

  /** By what they are about. */
  async function looks(): Promise<readonly DriftLook[]> {
    const { results } = await db.prepare("SELECT * FROM drift_looks ORDER BY about").all<RawRow>()
    return results.map((row) => ({
      about: String(row.about),
      firstTriedAtMs: Number(row.first_tried_at_ms),
      triedAtMs: Number(row.tried_at_ms),
      lookedAtMs: numberOrNull(row.looked_at_ms),
      fault: typeof row.fault === "string" ? row.fault : null,
      sinceMs: numberOrNull(row.since_ms),
    }))
  }

  /** Before a look, so that a run that begins meanwhile leaves it alone. */
  async function begin(about: string, atMs: number): Promise<void> {
    await db
      .prepare(
        `INSERT INTO drift_looks (about, first_tried_at_ms, tried_at_ms) VALUES (?1, ?2, ?2)
         ON CONFLICT (about) DO UPDATE SET tried_at_ms = ?2`,
      )
      .bind(about, atMs)
      .run()
  }

  /** What came of a look that was begun; nothing when it was forgotten meanwhile. */
  async function note(about: string, atMs: number, fault: string | null): Promise<void> {
    await db
      .prepare(
        `UPDATE drift_looks SET looked_at_ms = ?2, fault = ?3, since_ms = iif(?3 IS NULL, NULL, coalesce(since_ms, ?2))
         WHERE about = ?1`,
      )
      .bind(about, atMs, fault)
      .run()
  }

  /** For a version that was verified before its etag was noted: the first that is seen while nothing is amiss. */
  async function noteEtag(script: string, version: number, etag: string): Promise<void> {
    await db
      .prepare("UPDATE versions SET etag = ? WHERE script = ? AND number = ? AND etag IS NULL")
      .bind(etag, script, version)
      .run()
  }

  /** Forgets all but these: what nothing leads to any more leads nobody astray. */
  async function keepOnly(about: readonly string[]): Promise<void> {
    await db
      .prepare("DELETE FROM drift_looks WHERE about NOT IN (SELECT value FROM json_each(?))")
      .bind(JSON.stringify(about))
      .run()
  }

  return { inForce, looks, begin, note, noteEtag, keepOnly }
}

function numberOrNull(value: unknown): number | null {
  return typeof value === "number" ? value : null
}

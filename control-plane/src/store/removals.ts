/**
 * What is to be gone from the dispatch namespace and is not yet known to be. A row is written in the same batch as whatever makes the script unneeded, and goes when Cloudflare has answered;
 * as long as it stands, nothing of its name is placed. How that is carried out is retire-versions.ts.
 */
import type { LedgerDependencies } from "./ledger.ts"
import { NAMED_VERSIONS } from "./named-versions.ts"
import { DEFAULT_SETTINGS, type RawRow } from "./rows.ts"

export type RemovalStore = ReturnType<typeof removalStore>

export interface Removal {
  readonly script: string
  readonly number: number
  /** Milliseconds since the epoch: before then it is somebody else's, or too early. */
  readonly dueAtMs: number
}

/**
 * Milliseconds for which a version stays that lost its traffic, and all that stood for a deleted script or an earlier team. A location may go on for minutes by the config it has, an isolate that
 * KV does not answer for longer: an edge must never be led to a script that is gone.
 */
export const HOLD_MS = 24 * 60 * 60_000
/**
 * Milliseconds that a removal which was begun belongs to whoever began it. Well beyond the 70 s that a call may take with its repetitions and what Cloudflare may still be doing after the answer
 * was given up: only then can no call of before take away what is placed after.
 */
export const CLAIM_MS = 5 * 60_000

/** Milliseconds that a registry can be set back, and a day: the 30 days of D1 Time Travel. */
const SET_BACK_MS = 31 * 24 * 60 * 60_000

/** Of `versions`, word for word as in the index of migration 0008, which is used for nothing else. */
export const IN_NAMESPACE = "removed_at_ms IS NULL OR state IN ('placed', 'verified')"

export function removalStore({ db }: Pick<LedgerDependencies, "db">) {
  /** Those that may be begun at `now`, the longest due first. */
  async function due(now: number, limit: number): Promise<readonly Removal[]> {
    const { results } = await db
      .prepare("SELECT * FROM removals WHERE due_at_ms <= ? ORDER BY due_at_ms LIMIT ?")
      .bind(now, limit)
      .all<RawRow>()
    return results.map(toRemoval)
  }

  /** As this process's own until {@link CLAIM_MS} from `now`; null when another was quicker. Begun work is not a change that anyone asked for, hence outside the ledger. */
  async function claim({ script, number, dueAtMs }: Removal, now: number): Promise<Removal | null> {
    const mine = { script, number, dueAtMs: now + CLAIM_MS }
    const [claimed] = await db.batch([
      db
        .prepare("UPDATE removals SET due_at_ms = ? WHERE script = ? AND number = ? AND due_at_ms = ?")
        .bind(mine.dueAtMs, script, number, dueAtMs),
    ])
    return claimed?.meta.changes === 1 ? mine : null
  }

  /** Notes that it is gone. Does nothing when the claim has lapsed and another has taken it up. */
  async function settle(removal: Removal): Promise<void> {
    await db.batch([endRemoval(db, removal)])
  }

  /** True while it is what was claimed. */
  async function isClaimed({ script, number, dueAtMs }: Removal): Promise<boolean> {
    const statement = db.prepare("SELECT 1 AS one FROM removals WHERE script = ? AND number = ? AND due_at_ms = ?")
    return (await statement.bind(script, number, dueAtMs).first()) !== null
  }

  /**
   * Scripts, by name, of which something unused may be in the namespace since `before` (ms): more versions than they keep, or what was never whole, or any of a deleted one.
   * Reads the index of what is in the namespace, which does not grow with what ever was.
   */
  async function candidates(before: number): Promise<readonly string[]> {
    const { results } = await db
      .prepare(
        `WITH standing AS (
           SELECT script, count(*) FILTER (WHERE used_at_ms <= ?1) AS unused,
             count(*) FILTER (WHERE used_at_ms <= ?1 AND state NOT IN ('placed', 'verified')) AS broken,
             count(*) FILTER (WHERE state IN ('placed', 'verified')) AS placed
           FROM versions WHERE ${IN_NAMESPACE} GROUP BY script
         )
         SELECT script FROM standing JOIN scripts ON scripts.name = script
         WHERE broken > 0 OR (unused > 0 AND (deleted_at IS NOT NULL OR placed > coalesce(json_extract(settings, '$.keepPlacedVersions'), ?2)))
         ORDER BY script`,
      )
      .bind(before, DEFAULT_SETTINGS.keepPlacedVersions)
      .all<{ script: string }>()
    return results.map(({ script }) => script)
  }

  /** Versions that may receive requests and are not known to be whole in the namespace, at most `limit`. */
  async function doubtedInForce(limit: number): Promise<readonly Pick<Removal, "script" | "number">[]> {
    const { results } = await db
      .prepare(
        `WITH named AS (${NAMED_VERSIONS})
         SELECT versions.script, versions.number FROM named JOIN versions ON versions.script = named.script AND versions.number = named.number
         WHERE state <> 'verified' ORDER BY versions.script, versions.number LIMIT ?`,
      )
      .bind(limit)
      .all<RawRow>()
    return results.map(({ script, number }) => ({ script: String(script), number: Number(number) }))
  }

  return { due, claim, settle, isClaimed, candidates, doubtedInForce }
}

function toRemoval({ script, number, due_at_ms: due }: RawRow): Removal {
  return { script: String(script), number: Number(number), dueAtMs: Number(due) }
}

/** True while the script of that name is being taken out of the namespace. */
export async function openRemoval(db: D1Database, script: string, number: number): Promise<boolean> {
  const statement = db.prepare("SELECT 1 AS one FROM removals WHERE script = ? AND number = ?")
  return (await statement.bind(script, number).first()) !== null
}

/** True while that very claim stands, lapsed or not. */
export async function isClaimed(db: D1Database, { script, number, dueAtMs }: Removal): Promise<boolean> {
  const statement = db.prepare("SELECT 1 AS one FROM removals WHERE script = ? AND number = ? AND due_at_ms = ?")
  return (await statement.bind(script, number, dueAtMs).first()) !== null
}

/** Writes down that it is to be removed, from `dueAtMs` on. */
export function insertRemoval(db: D1Database, { script, number, dueAtMs }: Removal): D1PreparedStatement {
  return db.prepare("INSERT INTO removals (script, number, due_at_ms) VALUES (?, ?, ?)").bind(script, number, dueAtMs)
}

/** It is gone, or stands there to stay. Nothing when the claim has lapsed and another has taken it up. */
export function endRemoval(db: D1Database, { script, number, dueAtMs }: Removal): D1PreparedStatement {
  const statement = db.prepare("DELETE FROM removals WHERE script = ? AND number = ? AND due_at_ms = ?")
  return statement.bind(script, number, dueAtMs)
}

/** Not before `untilMs`. */
export function putOffRemoval(
  db: D1Database,
  { script, number }: Pick<Removal, "script" | "number">,
  untilMs: number,
): D1PreparedStatement {
  const statement = db.prepare("UPDATE removals SET due_at_ms = max(due_at_ms, ?) WHERE script = ? AND number = ?")
  return statement.bind(untilMs, script, number)
}

/** For whoever forgets the versions of a script: whatever may stand there of them is to be removed, with the secrets in it. */
export function removeAll(db: D1Database, script: string, now: number): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO removals (script, number, due_at_ms) SELECT script, number, ? FROM versions WHERE script = ? AND (${IN_NAMESPACE})
       ON CONFLICT DO NOTHING`,
    )
    .bind(now + HOLD_MS, script)
}

/** Until `untilMs` nothing takes the version out of the namespace. */
export function holdVersion(db: D1Database, script: string, number: number, untilMs: number): D1PreparedStatement {
  return db
    .prepare("UPDATE versions SET held_until_ms = max(held_until_ms, ?) WHERE script = ? AND number = ?")
    .bind(untilMs, script, number)
}

/** The same for a release pin, by which requests may come until then. */
export function pinVersion(db: D1Database, script: string, number: number, untilMs: number): D1PreparedStatement {
  return db
    .prepare(
      "UPDATE versions SET held_until_ms = max(held_until_ms, ?1), pinned_until_ms = max(pinned_until_ms, ?1) WHERE script = ?2 AND number = ?3",
    )
    .bind(untilMs, script, number)
}

/** Marks versions that got or lost traffic. */
export function touchVersions(
  db: D1Database,
  script: string,
  numbers: readonly number[],
  now: number,
): D1PreparedStatement {
  return db
    .prepare(
      "UPDATE versions SET used_at_ms = max(used_at_ms, ?) WHERE script = ? AND number IN (SELECT value FROM json_each(?))",
    )
    .bind(now, script, JSON.stringify(numbers))
}

/**
 * For a registry that was set back: what it says of the namespace may be untrue, and edges may go by a config it has forgotten. For a day nothing is removed, and any version may be there that
 * was taken out within {@link SET_BACK_MS}; what went longer ago is not all removed once more. What was on its way out is so no longer, where there is a version that can be retired again: the
 * caller has waited until no call to remove it can arrive any more.
 */
export function distrustNamespace(db: D1Database, now: number): D1PreparedStatement[] {
  return [
    db
      .prepare(
        `UPDATE versions SET removed_at_ms = NULL, held_until_ms = max(held_until_ms, ?)
         WHERE ${IN_NAMESPACE} OR removed_at_ms > ?
           OR EXISTS (SELECT 1 FROM removals WHERE removals.script = versions.script AND removals.number = versions.number)`,
      )
      .bind(now + HOLD_MS, now - SET_BACK_MS),
    db.prepare(
      "DELETE FROM removals WHERE EXISTS (SELECT 1 FROM versions WHERE versions.script = removals.script AND versions.number = removals.number)",
    ),
    db.prepare("UPDATE removals SET due_at_ms = max(due_at_ms, ?)").bind(now + HOLD_MS),
  ]
}

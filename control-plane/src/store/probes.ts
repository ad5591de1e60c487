/** What the probe measured. One row a minute, kept for a week, and counters that only grow, as scrapers want them. Nobody's change: not audited. */
import type { RawRow } from "./rows.ts"

export type ProbeStore = ReturnType<typeof probeStore>

/** `lagMs` is null exactly when `fault` says why there is none. */
export interface ProbeRun {
  readonly atMs: number
  readonly lagMs: number | null
  readonly fault: string | null
}

/** Upper bounds of the histogram, seconds. */
export const LAG_BUCKETS_S = [0.25, 0.5, 1, 2, 3, 4, 5, 7.5, 10, 15, 30, 45, 60] as const
/** Seconds that a failed probe adds to the sum: at least so long it was not refused. */
const FAILED_S = 60
const KEPT_MS = 7 * 86_400_000

export interface ProbeTotals {
  /** Probes refused within so many seconds, by the bound as text; cumulative. */
  readonly buckets: Readonly<Record<string, number>>
  /** All, failed ones too: those are beyond every bucket. */
  readonly count: number
  readonly sumS: number
  readonly failed: number
}

export function probeStore(db: D1Database) {
  async function record({ atMs, lagMs, fault }: ProbeRun): Promise<void> {
    const within = lagMs === null ? [] : LAG_BUCKETS_S.filter((bound) => lagMs <= bound * 1000)
    const seconds = lagMs === null ? FAILED_S : lagMs / 1000
    await db.batch([
      db.prepare("INSERT OR REPLACE INTO probe_runs (at_ms, lag_ms, fault) VALUES (?, ?, ?)").bind(atMs, lagMs, fault),
      db.prepare("DELETE FROM probe_runs WHERE at_ms < ?").bind(atMs - KEPT_MS),
      ...within.map((bound) => add(`le:${bound}`, 1)),
      add("count", 1),
      add("sum", seconds),
      ...(lagMs === null ? [add("failed", 1)] : []),
    ])
  }

  function add(name: string, value: number): D1PreparedStatement {
    return db
      .prepare(
        "INSERT INTO probe_totals (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = value + ?2",
      )
      .bind(name, value)
  }

  /** Those after `sinceMs`, newest first, a day's at most. */
  async function runs(sinceMs: number): Promise<readonly ProbeRun[]> {
    const { results } = await db
      .prepare("SELECT * FROM probe_runs WHERE at_ms > ? ORDER BY at_ms DESC LIMIT 1440")
      .bind(sinceMs)
      .all<RawRow>()
    return results.map((row) => ({
      atMs: Number(row.at_ms),
      lagMs: typeof row.lag_ms === "number" ? row.lag_ms : null,
      fault: typeof row.fault === "string" ? row.fault : null,
    }))
  }

  async function totals(): Promise<ProbeTotals> {
    const { results } = await db.prepare("SELECT name, value FROM probe_totals").all<{ name: string; value: number }>()
    const value = new Map(results.map((row) => [row.name, row.value]))
    const of = (name: string) => value.get(name) ?? 0
    return {
      buckets: Object.fromEntries(LAG_BUCKETS_S.map((bound) => [String(bound), of(`le:${bound}`)])),
      ...{ count: of("count"), sumS: of("sum"), failed: of("failed") },
    }
  }

  return { record, runs, totals }
}

/** What of Cloudflare's limit of calls is spent, by slot and team, and until when Cloudflare itself takes none. Nobody's change: not audited. */
import { COUNTED_SLOTS, slotAt, WINDOW_MS } from "../call-window.ts"
import type { RawRow } from "./rows.ts"

export type CallStore = ReturnType<typeof callStore>

/** Calls that somebody wants to make. */
export interface WantedCalls {
  /** Null: of ops, or of the schedule's own work. */
  readonly team: string | null
  /** 1 or more. */
  readonly calls: number
  /** That may be spent in the window by all, these included. */
  readonly mostOfAll: number
  /** That the team may have spent in it; null: as many as all may. */
  readonly mostOfTeam: number | null
  /** Also while Cloudflare itself takes no calls. */
  readonly despiteRefusal: boolean
}

/** Calls that were set aside in a slot and not made. */
export interface UnspentCalls {
  readonly slot: number
  /** 0 or more. */
  readonly calls: number
}

export interface CallUsage {
  /** Of the window, oldest first. */
  readonly spent: readonly { readonly slot: number; readonly team: string | null; readonly calls: number }[]
  /** Milliseconds since the epoch; null while Cloudflare has not said that it takes none. */
  readonly refusedUntilMs: number | null
}

/** Slots on either side of the present one: a clock that is ahead of ours spends no less. */
const COUNTED = `slot BETWEEN ?1 - ${COUNTED_SLOTS - 1} AND ?1 + ${COUNTED_SLOTS - 1}`
/** A refusal that ends later than any may was noted by a clock that is ahead. */
const IN_FORCE = (now: string) => `until_ms > ${now} AND until_ms <= ${now} + ${WINDOW_MS}`
const SPENT = `SELECT coalesce(sum(calls), 0) FROM cloudflare_calls WHERE ${COUNTED}`

export function callStore(db: D1Database) {
  /**
   * Sets the calls aside, all or none: true when there was room. What the same team had set aside before, `unspent`, is given back for it, and stays so where there was none.
   * One transaction, so that of two who ask for the last room one gets it.
   */
  async function reserve(nowMs: number, wanted: WantedCalls, unspent: UnspentCalls | null = null): Promise<boolean> {
    const slot = slotAt(nowMs)
    const { team, calls, mostOfAll, mostOfTeam, despiteRefusal } = wanted
    const results = await db.batch([
      // Later than they count for us, because clocks differ.
      db.prepare("DELETE FROM cloudflare_calls WHERE slot < ?").bind(slot - 2 * COUNTED_SLOTS),
      ...(unspent === null ? [] : [lessSpent(unspent.slot, team, unspent.calls)]),
      db
        .prepare(
          `INSERT INTO cloudflare_calls (slot, team, calls) SELECT ?1, ?2, ?3
           WHERE (${SPENT}) + ?3 <= ?4 AND (${SPENT} AND team = ?2) + ?3 <= ?5
             AND (?6 = 1 OR NOT EXISTS (SELECT 1 FROM cloudflare_refusal WHERE ${IN_FORCE("?7")}))
           ON CONFLICT (slot, team) DO UPDATE SET calls = calls + excluded.calls`,
        )
        .bind(slot, team ?? "", calls, mostOfAll, mostOfTeam ?? mostOfAll, despiteRefusal ? 1 : 0, nowMs),
    ])
    return results.at(-1)?.meta.changes === 1
  }

  /** For calls that were set aside in `slot` and not made. */
  async function giveBack(slot: number, team: string | null, calls: number): Promise<void> {
    await lessSpent(slot, team, calls).run()
  }

  function lessSpent(slot: number, team: string | null, calls: number): D1PreparedStatement {
    return db
      .prepare("UPDATE cloudflare_calls SET calls = max(0, calls - ?3) WHERE slot = ?1 AND team = ?2")
      .bind(slot, team ?? "", calls)
  }

  /** Cloudflare said that it takes no calls until then. The longest that it said counts: what was tried meanwhile may have been refused without a time, and shortens nothing. */
  async function noteRefusal(nowMs: number, untilMs: number): Promise<void> {
    await db
      .prepare(
        `INSERT INTO cloudflare_refusal (id, until_ms) VALUES (1, ?1)
         ON CONFLICT (id) DO UPDATE SET until_ms = excluded.until_ms
         WHERE NOT (${IN_FORCE("?2")} AND until_ms > excluded.until_ms)`,
      )
      .bind(untilMs, nowMs)
      .run()
  }

  async function usage(nowMs: number): Promise<CallUsage> {
    const [spent, refusal] = await db.batch<RawRow>([
      db.prepare(`SELECT * FROM cloudflare_calls WHERE ${COUNTED} ORDER BY slot, team`).bind(slotAt(nowMs)),
      db.prepare(`SELECT until_ms FROM cloudflare_refusal WHERE ${IN_FORCE("?1")}`).bind(nowMs),
    ])
    const untilMs = refusal?.results[0]?.until_ms
    return {
      spent: (spent?.results ?? []).map(({ slot, team, calls }) => ({
        slot: Number(slot),
        team: team === "" ? null : String(team),
        calls: Number(calls),
      })),
      refusedUntilMs: typeof untilMs === "number" ? untilMs : null,
    }
  }

  return { reserve, giveBack, noteRefusal, usage }
}

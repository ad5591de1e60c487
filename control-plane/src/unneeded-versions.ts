/**
 * Which versions of a script may leave the dispatch namespace: those that have no traffic, are no longer among the ones to go back to, and have been unused for so long that no edge goes by a
 * config that names them. Pure; retire-versions.ts asks it again inside the change that retires one.
 */
import { HOLD_MS } from "./store/removals.ts"
import type { ScriptRow } from "./store/rows.ts"
import type { StandingVersion } from "./store/versions.ts"

export interface Standing {
  readonly script: Pick<ScriptRow, "deletedAt"> & {
    readonly settings: Pick<ScriptRow["settings"], "keepPlacedVersions">
  }
  /** In the namespace: at least the whole ones that were used last, as many as the script keeps, and those that are asked about. */
  readonly versions: readonly StandingVersion[]
  /** Numbers that a deployment in force, one that was begun, or a route of own weights names; with no weight at all too. */
  readonly named: ReadonlySet<number>
}

/** Numbers, the longest unused first. `now` in milliseconds since the epoch. */
export function unneededVersions({ script, versions, named }: Standing, now: number): number[] {
  const unusedSince = now - HOLD_MS
  if (script.deletedAt !== null && Date.parse(script.deletedAt) > unusedSince) return []
  const byUse = versions.toSorted((a, b) => a.usedAtMs - b.usedAtMs || a.uploadSeq - b.uploadSeq)
  // What is not whole is nothing to go back to, and takes the place of nothing that is.
  const whole = byUse.filter(({ state }) => state === "placed" || state === "verified").map(({ number }) => number)
  const kept = new Set(script.deletedAt === null ? whole.slice(-script.settings.keepPlacedVersions) : [])
  return byUse
    .filter(
      ({ number, usedAtMs, heldUntilMs }) =>
        !named.has(number) && !kept.has(number) && usedAtMs <= unusedSince && heldUntilMs <= now,
    )
    .map(({ number }) => number)
}

/**
 * Where a rollback goes. The history is read from the newest end, and a rollback counts as standing where it went back to: so one after another leads
 * further back, and never forward to what was rolled back. Pure.
 */
import type { ReleaseWeight } from "../../contracts/dispatch-config.ts"
import { canonicalJson } from "./canonical-json.ts"
import type { DeploymentRow } from "./store/rows.ts"

export interface RollbackTarget {
  readonly releases: readonly ReleaseWeight[]
  readonly back: Pick<DeploymentRow, "backTo" | "withdrawn">
}

/** Where in the history a deployment stands. */
export function placeOf({ seq, backTo }: DeploymentRow): number {
  return backTo ?? seq
}

/**
 * The newest state before `current` that is none of: the same releases, one that still sends traffic to all that is being left (a rollout's earlier step),
 * one with a version that was rolled back, one that a rollback passed over. `before` holds the published ones before it, newest first.
 */
export function rollbackTarget(current: DeploymentRow, before: readonly DeploymentRow[]): RollbackTarget | null {
  const withdrawn = new Set(current.withdrawn)
  let place = placeOf(current)
  for (const candidate of before) {
    if (candidate.seq >= place) continue
    for (const version of candidate.withdrawn) withdrawn.add(version)
    const versions = versionsOf(candidate.releases)
    const isLeft = versionsOf(current.releases).every((version) => versions.includes(version))
    if (!isLeft && !versions.some((version) => withdrawn.has(version)))
      return targetAt(candidate.releases, placeOf(candidate), current, withdrawn)
    place = Math.min(place, placeOf(candidate))
  }
  return null
}

/** A rollback to releases that were named: a step back as above, unless they hold a version that was rolled back. Then it is a decision to go forward again. */
export function namedTarget(
  releases: readonly ReleaseWeight[],
  current: DeploymentRow | null,
  before: readonly DeploymentRow[],
): RollbackTarget {
  if (current === null || versionsOf(releases).some((version) => current.withdrawn.includes(version)))
    return { releases, back: { backTo: null, withdrawn: [] } }
  const same = before.find(
    (each) => each.seq < placeOf(current) && canonicalJson(each.releases) === canonicalJson(releases),
  )
  return targetAt(releases, placeOf(same ?? current), current, new Set(current.withdrawn))
}

function targetAt(
  releases: readonly ReleaseWeight[],
  backTo: number,
  current: DeploymentRow,
  withdrawn: ReadonlySet<number>,
): RollbackTarget {
  const kept = versionsOf(releases)
  const left = versionsOf(current.releases).filter((version) => !kept.includes(version))
  return { releases, back: { backTo, withdrawn: [...new Set([...withdrawn, ...left])].sort((a, b) => a - b) } }
}

/** Those that get any traffic. */
function versionsOf(releases: readonly ReleaseWeight[]): number[] {
  return releases.filter((each) => each.weightBps > 0).map((each) => each.version)
}

/**
 * Takes out of the dispatch namespace what nothing needs any more: Cloudflare counts and bills scripts, and every upload leaves one. For the minute's schedule, last in its line.
 * The order is what keeps traffic from a script that is gone: retired in the registry first, under the same number for which every deployment, route and pin competes; then removed. From the
 * retirement on nothing leads to the version that does not place it again, and nothing places it before its removal was answered (store/versions.ts, beginPlacing).
 * Nothing is lost: what was whole stays stored in R2.
 */
import { asRefusal } from "../../kit/problem.ts"
import { SYSTEM } from "./actor.ts"
import { readPointer } from "./config/publish.ts"
import { isBehind } from "./config/renumber.ts"
import type { Dependencies } from "./dependencies.ts"
import { isRemembered, markRemoval, readMark } from "./removal-mark.ts"
import { type CallBudget, callBudget, TIDYING } from "./script-host/call-budget.ts"
import { type ScriptHost, scriptHost } from "./script-host/script-host.ts"
import { commit, type Decision } from "./store/ledger.ts"
import { CLAIM_MS, HOLD_MS, insertRemoval, type Removal } from "./store/removals.ts"
import { find } from "./store/scripts.ts"
import { type Standing, unneededVersions } from "./unneeded-versions.ts"

/** In one run; the next minute goes on. */
export const REMOVED_AT_ONCE = 20
/** Scripts whose versions one run looks through. */
const LOOKED_THROUGH = 100
/** Milliseconds after which a run begins no further removal. */
const RUN_MS = 40_000
/** Milliseconds within which a removal that was claimed is sent, or left until it is due again: the claim has to outlast the call. */
const SEND_WITHIN_MS = 20_000
/** Milliseconds for which KV has to have named no config of before what was decided by {@link PROMPT_MS} earlier: the hold counts from the decision, and must not end before edges hear of it. */
const SHOWN_MS = 60 * 60_000
/** Milliseconds that a publication takes at the very most, unless KV does not take it. */
const PROMPT_MS = 5 * 60_000
/** A look and a removal. */
const CALLS = 2
/** Answers of Cloudflare about this one script. */
const ABOUT_ONE = "cloudflare.refused"

interface Run {
  readonly deps: Dependencies
  readonly host: ScriptHost
  readonly budget: CallBudget
  readonly endsAtMs: number
  left: number
}

/** One script in the namespace. */
type Placed = Pick<Removal, "script" | "number">

/** Never throws for Cloudflare: while it does not answer, everything stays as it is. Throws what D1, R2 and KV throw. */
export async function retireVersions(deps: Dependencies): Promise<void> {
  if ((await isSetBack(deps)) || (await isUnheard(deps))) return
  const budget = callBudget(TIDYING, deps)
  const endsAtMs = deps.clock.now() + RUN_MS
  const run: Run = { deps, host: scriptHost(deps, budget), budget, endsAtMs, left: REMOVED_AT_ONCE }
  try {
    if (await finishRemovals(run)) await retireUnneeded(run)
  } finally {
    await budget.giveBack()
  }
}

/** True while the registry may have forgotten what is in force, or what was removed: nothing it says is then a reason to remove anything. */
async function isSetBack(deps: Dependencies): Promise<boolean> {
  const [latest, named, mark] = await Promise.all([deps.store.revisions.latest(), readPointer(deps), readMark(deps)])
  const isBehindKv = latest === null || (named !== null && isBehind(latest, named))
  return isBehindKv || mark?.doubted === true || !(await isRemembered(mark, deps))
}

/** True while edges may go by a config of long before what the registry has decided, because KV did not take it. */
async function isUnheard({ store, clock }: Pick<Dependencies, "store" | "clock">): Promise<boolean> {
  const now = clock.now()
  const [shown, decided] = await Promise.all([
    store.revisions.oldestShown(now - SHOWN_MS),
    store.revisions.newestAt(now - SHOWN_MS - PROMPT_MS),
  ])
  return shown === null || decided === null || shown < decided
}

/** What is due of what was begun before: by a run that ended in between or heard no answer, or when a name changed hands. False when this run is to end. */
async function finishRemovals(run: Run): Promise<boolean> {
  const { store, clock } = run.deps
  for (const removal of await store.removals.due(clock.now(), REMOVED_AT_ONCE)) {
    if (!(await remove(removal, () => store.removals.claim(removal, clock.now()), run))) return false
  }
  return true
}

async function retireUnneeded(run: Run): Promise<void> {
  const { deps } = run
  const scripts = await deps.store.removals.candidates(deps.clock.now() - HOLD_MS)
  // Where there are more than one run looks through, another begins elsewhere.
  const from = scripts.length <= LOOKED_THROUGH ? 0 : minuteOf(deps) * LOOKED_THROUGH
  for (let index = 0; index < Math.min(LOOKED_THROUGH, scripts.length); index++) {
    const script = scripts[(from + index) % scripts.length] ?? ""
    const standing = await standingOf(script, deps)
    if (standing === null) continue
    for (const number of unneededVersions(standing, deps.clock.now()))
      if (!(await remove({ script, number }, () => retire({ script, number }, deps), run))) return
  }
}

function minuteOf({ clock }: Pick<Dependencies, "clock">): number {
  return Math.floor(clock.now() / 60_000)
}

/** `claim` makes the removal this run's own, and is asked once Cloudflare answers; null where there is nothing to do any more. False when this run is to end. */
async function remove(placed: Placed, claim: () => Promise<Removal | null>, run: Run): Promise<boolean> {
  const { deps, host, budget } = run
  if (run.left === 0 || deps.clock.now() >= run.endsAtMs) return false
  run.left--
  try {
    await budget.reserve(CALLS)
    await host.look(placed.script, placed.number)
    const removal = await claim()
    if (removal === null) return true
    await markRemoval(deps)
    if (deps.clock.now() > removal.dueAtMs - CLAIM_MS + SEND_WITHIN_MS) return true
    const isSure = await host.remove(placed.script, placed.number)
    // Of a call that had to be made again, the first may still be under way.
    if (isSure) await deps.store.removals.settle(removal)
    deps.log({ event: isSure ? "version.removed" : "version.removal-unsure", ...placed })
    return true
  } catch (failure) {
    const { code, options, cause } = asRefusal(failure)
    deps.log({ event: "version.not-removed", ...placed, code, ...options.log, cause: String(cause ?? failure) })
    return code === ABOUT_ONE
  }
}

/** The retirement: everything it rests on is looked at again in the change itself. Null when the version is needed, or was retired meanwhile. */
function retire({ script, number }: Placed, deps: Dependencies): Promise<Removal | null> {
  return commit(deps, SYSTEM, async (): Promise<Decision<Removal | null>> => {
    const now = deps.clock.now()
    const standing = await standingOf(script, deps)
    const version = standing?.versions.find((each) => each.number === number)
    if (standing === null || version === undefined || !unneededVersions(standing, now).includes(number))
      return { statements: [], audit: [], result: null }
    const { state, usedAtMs } = version
    // What was refused or never whole stays so: an upload must not keep secrets of what Cloudflare refused.
    const isWhole = state === "placed" || state === "verified"
    const removal = { script, number, dueAtMs: now + CLAIM_MS }
    return {
      statements: [
        deps.db
          .prepare("UPDATE versions SET state = ?, removed_at_ms = ? WHERE script = ? AND number = ?")
          .bind(isWhole ? "retired" : state, now, script, number),
        insertRemoval(deps.db, removal),
      ],
      audit: [
        {
          action: "version.retire",
          target: `scripts/${script}/versions/${number}`,
          detail: { from: state, usedAt: new Date(usedAtMs).toISOString() },
        },
      ],
      result: removal,
    }
  })
}

/** Null when there is no such script. */
async function standingOf(name: string, { db, store }: Pick<Dependencies, "db" | "store">): Promise<Standing | null> {
  const [script, versions, current, begun, routes] = await Promise.all([
    find(db, name),
    store.versions.inNamespace(name),
    store.deployments.current(name),
    store.deployments.unfinishedOf(name),
    store.inventory.routesTo(name),
  ])
  if (script === null) return null
  const releases = [current, ...begun, ...routes].flatMap((each) => each?.releases ?? [])
  return { script, versions, named: new Set(releases.map(({ version }) => version)) }
}

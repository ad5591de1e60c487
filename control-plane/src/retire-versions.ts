/**
 * Takes out of the dispatch namespace what nothing needs any more: Cloudflare counts and bills scripts, and every upload leaves one. For the minute's schedule, last in its line.
 * The order is what keeps traffic from a script that is gone: retired in the registry first, under the same number for which every deployment, route and pin competes; then removed. From the
 * retirement on nothing leads to the version that does not place it again, and nothing places it before its removal was answered (store/versions.ts, beginPlacing).
 * Nothing is lost: what was whole stays stored in R2, and is looked for there before it goes.
 */
import { asRefusal } from "../../kit/problem.ts"
import { SYSTEM } from "./actor.ts"
import { readPointer } from "./config/publish.ts"
import { isSetBackFrom } from "./config/renumber.ts"
import type { Dependencies } from "./dependencies.ts"
import { isStored } from "./is-stored.ts"
import { isRemembered, markRemoval, readMark } from "./removal-mark.ts"
import { type CallBudget, callBudget, TIDYING } from "./script-host/call-budget.ts"
import { type ScriptHost, scriptHost } from "./script-host/script-host.ts"
import { commit, type Decision } from "./store/ledger.ts"
import {
  CLAIM_MS,
  endRemoval,
  HOLD_MS,
  holdVersion,
  insertRemoval,
  putOffRemoval,
  type Removal,
} from "./store/removals.ts"
import type { VersionState } from "./store/rows.ts"
import { find } from "./store/scripts.ts"
import type { StandingVersion } from "./store/versions.ts"
import { type Standing, unneededVersions } from "./unneeded-versions.ts"

/** In one run; the next minute goes on. */
export const REMOVED_AT_ONCE = 20
/** Of one script, before the others have had their turn: a team that uploads in a loop takes the places of nobody. */
export const REMOVED_IN_TURN = 4
/** Of what was begun before, until what is new has had its turn. */
const FINISHED_FIRST = REMOVED_AT_ONCE / 2
/** Scripts in a row that Cloudflare gave no answer about: it is then not about them. */
export const MOST_FAILURES = 3
/** Milliseconds for which one is left alone that Cloudflare fails for while it answers about others. */
export const LATER_MS = 60 * 60_000
/** Scripts whose versions one run looks through. */
const LOOKED_THROUGH = 50
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

interface Run {
  readonly deps: Dependencies
  readonly host: ScriptHost
  readonly budget: CallBudget
  readonly endsAtMs: number
  left: number
  /** Cloudflare has answered about some script. */
  isAnswered: boolean
  /** In a row. */
  failures: number
  /** What leaves alone for a while what it did not answer about. */
  readonly later: D1PreparedStatement[]
}

type Step =
  | "on"
  /** No answer about this one. */
  | "failed"
  /** The run is to end. */
  | "end"

/** One script in the namespace. */
type Placed = Pick<Removal, "script" | "number">

/** Never throws for Cloudflare: while it does not answer, everything stays as it is. Throws what D1, R2 and KV throw. */
export async function retireVersions(deps: Dependencies): Promise<void> {
  if ((await isSetBack(deps)) || (await isUnheard(deps))) return
  const budget = callBudget(TIDYING, deps)
  const endsAtMs = deps.clock.now() + RUN_MS
  const limits = { endsAtMs, left: REMOVED_AT_ONCE, isAnswered: false, failures: 0, later: [] }
  const run: Run = { deps, host: scriptHost(deps, budget), budget, ...limits }
  try {
    await finishRemovals(run, FINISHED_FIRST)
    await retireUnneeded(run)
    await finishRemovals(run, run.left)
    // While it answers about none, the next minute tries the same.
    if (run.isAnswered && run.later.length > 0) await deps.db.batch(run.later)
  } finally {
    await budget.giveBack()
  }
}

/** True while the registry may have forgotten what is in force, or what was removed: nothing it says is then a reason to remove anything. */
async function isSetBack(deps: Dependencies): Promise<boolean> {
  const [latest, named, mark] = await Promise.all([deps.store.revisions.latest(), readPointer(deps), readMark(deps)])
  const isBehindKv = latest === null || (named !== null && (await isSetBackFrom(latest, named, deps.store.revisions)))
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

/** What is due of what was begun before: by a run that ended in between or heard no answer, or when a name changed hands. Nothing asks Cloudflare first: what fails is put off by its claim. */
async function finishRemovals(run: Run, limit: number): Promise<void> {
  const { db, store, clock } = run.deps
  run.failures = 0
  for (const removal of await store.removals.due(clock.now(), limit)) {
    const step = await remove(removal, () => store.removals.claim(removal, clock.now()), run)
    if (step === "failed") run.later.push(putOffRemoval(db, removal, clock.now() + LATER_MS))
    if (step === "end" || run.failures === MOST_FAILURES) return
  }
}

/** A few of each script in turn, until none has more. Each run begins with another script, so that none is always behind those that fail. */
async function retireUnneeded(run: Run): Promise<void> {
  const { deps } = run
  const scripts = await deps.store.removals.candidates(deps.clock.now() - HOLD_MS)
  const count = Math.min(LOOKED_THROUGH, scripts.length)
  const passed = Math.floor(deps.clock.now() / 60_000) * count
  const from = passed + Math.floor(passed / scripts.length)
  const queue = Array.from({ length: count }, (_, index) => scripts[(from + index) % scripts.length] ?? "")
  run.failures = 0
  for (const script of queue) {
    if (run.left === 0) return
    const numbers = await unneededOf(script, deps)
    const step = await retireFew(script, numbers.slice(0, REMOVED_IN_TURN), run)
    if (step === "end" || run.failures === MOST_FAILURES) return
    if (step === "on" && numbers.length > REMOVED_IN_TURN) queue.push(script)
  }
}

async function retireFew(script: string, numbers: readonly number[], run: Run): Promise<Step> {
  for (const number of numbers) {
    const step = await remove({ script, number }, () => retireStored({ script, number }, run), run)
    if (step === "failed") run.later.push(laterVersion({ script, number }, LATER_MS, run.deps))
    if (step !== "on") return step
  }
  return "on"
}

function laterVersion({ script, number }: Placed, ms: number, { db, clock }: Pick<Dependencies, "db" | "clock">) {
  return holdVersion(db, script, number, clock.now() + ms)
}

/** `claim` makes the removal this run's own; null where there is nothing to do any more. */
async function remove(placed: Placed, claim: () => Promise<Removal | null>, run: Run): Promise<Step> {
  const { deps, host, budget } = run
  if (run.left === 0 || deps.clock.now() >= run.endsAtMs) return "end"
  run.left--
  let removal: Removal | null = null
  try {
    await budget.reserve(CALLS)
    removal = await claim()
    if (removal === null) return "on"
    await markRemoval(deps, removal)
    if (deps.clock.now() > removal.dueAtMs - CLAIM_MS + SEND_WITHIN_MS) return "on"
    const isSure = await host.remove(placed.script, placed.number)
    noteAnswer(run)
    // Of a call that had to be made again, the first may still be under way.
    if (isSure) await deps.store.removals.settle(removal)
    deps.log({ event: isSure ? "version.removed" : "version.removal-unsure", ...placed })
    return "on"
  } catch (failure) {
    const { code, options, cause } = asRefusal(failure)
    deps.log({ event: "version.not-removed", ...placed, code, ...options.log, cause: String(cause ?? failure) })
    if (code === "cloudflare.refused" && removal !== null) {
      noteAnswer(run)
      await keepRefused(removal, deps)
      return "on"
    }
    if (code === "cloudflare.unavailable" || code === "cloudflare.refused") {
      run.failures++
      return "failed"
    }
    run.left = 0
    return "end"
  }
}

function noteAnswer(run: Run): void {
  run.isAnswered = true
  run.failures = 0
}

/** What Cloudflare refuses to remove stands there, and no call is under way: it can be placed again at once, and is tried again in a day. */
function keepRefused(removal: Removal, deps: Dependencies): Promise<void> {
  const { db, store } = deps
  const { script, number } = removal
  return commit(deps, SYSTEM, async (): Promise<Decision<void>> => {
    if (!(await store.removals.isClaimed(removal))) return { statements: [], audit: [], result: undefined }
    const untilMs = deps.clock.now() + HOLD_MS
    const isKnown = (await store.versions.get(script, number)) !== null
    const back = db.prepare("UPDATE versions SET removed_at_ms = NULL WHERE script = ? AND number = ?")
    return {
      statements: isKnown
        ? [endRemoval(db, removal), back.bind(script, number), holdVersion(db, script, number, untilMs)]
        : [putOffRemoval(db, removal, untilMs)],
      audit: [
        {
          action: "version.removal-refused",
          target: `scripts/${script}/versions/${number}`,
          detail: { until: new Date(untilMs).toISOString() },
        },
      ],
      result: undefined,
    }
  })
}

/** Null too for what could not be placed again: it stays for a day, and then is looked for again. Throws `cloudflare.*` while Cloudflare does not answer about it. */
async function retireStored(placed: Placed, run: Run): Promise<Removal | null> {
  const { deps, host } = run
  const version = await deps.store.versions.get(placed.script, placed.number)
  if (version !== null && !NEVER_WHOLE.has(version.state) && !(await isStored(version, deps))) {
    deps.log({ event: "version.irreplaceable", ...placed })
    await deps.db.batch([laterVersion(placed, HOLD_MS, deps)])
    return null
  }
  await host.look(placed.script, placed.number)
  noteAnswer(run)
  return await retire(placed, deps)
}
/** States of what nobody can go back to. */
const NEVER_WHOLE: ReadonlySet<VersionState> = new Set(["recorded", "failed"])

/** The retirement: everything it rests on is looked at again in the change itself. Null when the version is needed, or was retired meanwhile. */
function retire({ script, number }: Placed, deps: Dependencies): Promise<Removal | null> {
  return commit(deps, SYSTEM, async (): Promise<Decision<Removal | null>> => {
    const now = deps.clock.now()
    const standing = await standingOf(script, () => oneInNamespace(script, number, deps), deps)
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

/** The longest unused first; one more than has its turn where there are more. */
async function unneededOf(script: string, deps: Dependencies): Promise<number[]> {
  const now = deps.clock.now()
  const { longestUnused } = deps.store.versions
  const oldest = (needed: number) => longestUnused(script, now - HOLD_MS, now, needed + REMOVED_IN_TURN + 1)
  const standing = await standingOf(script, oldest, deps)
  return standing === null ? [] : unneededVersions(standing, now)
}

async function oneInNamespace(
  script: string,
  number: number,
  { store }: Pick<Dependencies, "store">,
): Promise<StandingVersion[]> {
  const version = await store.versions.get(script, number)
  const isThere = version?.removedAtMs === null || version?.state === "placed" || version?.state === "verified"
  return version !== null && isThere ? [version] : []
}

/** Of the versions those that `asked` gives, who is told how many of any may be needed, and those to go back to. Null when there is no such script. */
async function standingOf(
  name: string,
  asked: (needed: number) => Promise<readonly StandingVersion[]>,
  { db, store }: Pick<Dependencies, "db" | "store">,
): Promise<Standing | null> {
  const [script, current, begun, routes] = await Promise.all([
    find(db, name),
    store.deployments.current(name),
    store.deployments.unfinishedOf(name),
    store.inventory.routesTo(name),
  ])
  if (script === null) return null
  const releases = [current, ...begun, ...routes].flatMap((each) => each?.releases ?? [])
  const named = new Set(releases.map(({ version }) => version))
  const kept = await store.versions.lastUsed(name, script.settings.keepPlacedVersions)
  const versions = [...kept, ...(await asked(kept.length + named.size))]
  return { script, versions: [...new Map(versions.map((each) => [each.number, each])).values()], named }
}

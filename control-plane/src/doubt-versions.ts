/**
 * For a registry that D1 Time Travel set back to before a removal, which it then has forgotten: no version counts as whole in the namespace until it was seen there again. What is in force is
 * placed again at once; the rest when something is to lead there. Until all that is in force was seen, config/renumber.ts publishes nothing: edges go on with what they have, which leads to what is there.
 */
import { asRefusal } from "../../kit/problem.ts"
import { SYSTEM } from "./actor.ts"
import type { Dependencies } from "./dependencies.ts"
import { placeMissing } from "./deployment.ts"
import { isRemembered, markDoubt, mayBeRemoving, readMark } from "./removal-mark.ts"
import { commit } from "./store/ledger.ts"
import { distrustNamespace, type Removal } from "./store/removals.ts"

/** In one run: each takes a handful of calls to Cloudflare. */
const PLACED_AT_ONCE = 50
/** Milliseconds after which a run begins with no further one. */
const RUN_MS = 40_000
/** More than a config has room for. */
const IN_FORCE_AT_MOST = 20_000
/** So many one after the other that cannot be seen now say something of Cloudflare, not of themselves. */
const FAILURES_IN_A_ROW = 3

type InForce = Pick<Removal, "script" | "number">

/**
 * Does nothing as long as the registry remembers the last removal and no doubt is left, or while a removal may be under way that it has forgotten: what was seen then could be gone afterwards.
 * Throws what D1 and R2 throw; what Cloudflare does not answer for stays in doubt for the next minute.
 */
export async function doubtVersions(deps: Dependencies): Promise<void> {
  const mark = await readMark(deps)
  if (!(await isRemembered(mark, deps))) {
    if (mayBeRemoving(mark, deps)) return
    await castDoubt(deps)
    deps.log({ event: "version.registry-set-back", forgotten: mark?.seq })
  } else if (mark?.doubted !== true) return
  if (await seeAll(deps)) await markDoubt(deps, false)
}

/** True when no doubt is left. Each minute begins with another, so that one that takes long keeps none from its turn. */
async function seeAll(deps: Dependencies): Promise<boolean> {
  const endsAtMs = deps.clock.now() + RUN_MS
  const doubted = await deps.store.removals.doubtedInForce(IN_FORCE_AT_MOST)
  const from = doubted.length === 0 ? 0 : Math.floor(deps.clock.now() / 60_000) % doubted.length
  const counts = { seen: 0, unseen: 0, inARow: 0 }
  for (const each of [...doubted.slice(from), ...doubted.slice(0, from)]) {
    if (counts.seen >= PLACED_AT_ONCE || counts.inARow >= FAILURES_IN_A_ROW || deps.clock.now() >= endsAtMs)
      return false
    const isSeen = await see(each, deps)
    if (isSeen) counts.seen++
    else counts.unseen++
    counts.inARow = isSeen ? 0 : counts.inARow + 1
  }
  return counts.unseen === 0 && doubted.length < IN_FORCE_AT_MOST
}

/** Whatever keeps it from being placed keeps it in doubt, a refusal too: ops can give the script another version, or end the doubt (docs/runbooks/control-plane-down.md). */
async function see({ script, number }: InForce, deps: Dependencies): Promise<boolean> {
  const [row, version] = await Promise.all([deps.store.scripts.get(script), deps.store.versions.get(script, number)])
  if (row === null || version === null) return true
  try {
    await placeMissing(row, [version], SYSTEM, deps)
    return true
  } catch (failure) {
    const { code, options, cause } = asRefusal(failure)
    deps.log({ event: "version.not-seen", script, number, code, ...options.log, cause: String(cause ?? failure) })
    return false
  }
}

/** As `retired`, which keeps its share of the calls (it was whole) and is written again whatever Cloudflare says to be there. */
async function castDoubt(deps: Dependencies): Promise<void> {
  await commit(deps, SYSTEM, async () => ({
    statements: [
      deps.db.prepare("UPDATE versions SET state = 'retired' WHERE state = 'verified'"),
      ...distrustNamespace(deps.db, deps.clock.now()),
    ],
    audit: [{ action: "version.doubt-all", target: "versions", detail: {} }],
    result: null,
  }))
  await markDoubt(deps, true)
}

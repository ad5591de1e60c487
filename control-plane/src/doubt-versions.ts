/**
 * For a registry that D1 Time Travel set back to before a removal, which it then has forgotten: no version counts as whole in the namespace until it was seen there again. What is in force is looked
 * at, and placed again where it is gone, at once; the rest when something is to lead there. First in the schedule's line, so that it comes before the registry's config is published again.
 */
import { asRefusal } from "../../kit/problem.ts"
import { SYSTEM } from "./actor.ts"
import type { Dependencies } from "./dependencies.ts"
import { placeMissing } from "./deployment.ts"
import { isRemembered, markDoubt, readMark } from "./removal-mark.ts"
import { commit } from "./store/ledger.ts"
import { distrustNamespace, type Removal } from "./store/removals.ts"

/** In one run: each takes two calls to Cloudflare where it is in place. */
const PLACED_AT_ONCE = 50

/** Does nothing as long as the registry remembers the last removal and no doubt is left. Throws what D1 and R2 throw; while Cloudflare does not answer, doubt stays for the next minute. */
export async function doubtVersions(deps: Dependencies): Promise<void> {
  const mark = await readMark(deps)
  if (!(await isRemembered(mark, deps))) {
    await castDoubt(deps)
    deps.log({ event: "version.registry-set-back", forgotten: mark?.seq })
  } else if (mark?.doubted !== true) return
  const doubted = await deps.store.removals.doubtedInForce(PLACED_AT_ONCE)
  for (const placed of doubted) if (!(await see(placed, deps))) return
  if (doubted.length < PLACED_AT_ONCE) await markDoubt(deps, false)
}

/** False when it may be seen later. What can never be placed again leaves no doubt. */
async function see({ script, number }: Pick<Removal, "script" | "number">, deps: Dependencies): Promise<boolean> {
  const [row, version] = await Promise.all([deps.store.scripts.get(script), deps.store.versions.get(script, number)])
  if (row === null || version === null) return true
  try {
    await placeMissing(row, [version], SYSTEM, deps)
    return true
  } catch (failure) {
    const { code } = asRefusal(failure)
    deps.log({ event: "version.not-seen", script, number, code })
    return !PASSING.has(code)
  }
}
const PASSING: ReadonlySet<string> = new Set(["cloudflare.unavailable", "cloudflare.budget-spent", "api.busy"])

async function castDoubt(deps: Dependencies): Promise<void> {
  await commit(deps, SYSTEM, async () => ({
    statements: [
      deps.db.prepare("UPDATE versions SET state = 'placed' WHERE state = 'verified'"),
      ...distrustNamespace(deps.db, deps.clock.now()),
    ],
    audit: [{ action: "version.doubt-all", target: "versions", detail: {} }],
    result: null,
  }))
  await markDoubt(deps, true)
}

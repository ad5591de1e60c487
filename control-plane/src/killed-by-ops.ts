/** A kill switch that ops threw is theirs to lift: whoever owns the route or the script may be the reason for it. One rule for both. Pure; a leaf. */
import type { KillSwitch } from "../../contracts/dispatch-config.ts"
import { refuse } from "../../kit/problem.ts"
import type { Actor } from "./actor.ts"

/**
 * Whether the switch is ops' once it is as `kill` says (null: lifted). One that only logs switches nothing off: then a team that has to can still throw its own.
 * Sending along what already is changes nothing, for ops neither, as a PUT is the whole document: they make a team's switch theirs by another mode or reason. Throws `api.forbidden` when a team would change what ops threw.
 */
export function isKilledByOps(
  what: "route" | "script",
  before: { readonly kill: KillSwitch | null; readonly killedByOps: boolean },
  kill: KillSwitch | null,
  actor: Actor,
): boolean {
  const isSame = kill?.mode === before.kill?.mode && kill?.reason === before.kill?.reason
  if (isSame) return before.killedByOps
  if (actor.role === "ops") return kill?.mode === "enforce"
  if (!before.killedByOps) return false
  throw refuse("api.forbidden", { detail: `Ops switched this ${what} off; only they switch it on again.` })
}

/**
 * What a caller hears when its change would make the config invalid. The parser points into the config, which the caller neither sent nor may read: an index
 * there tells how many routes others have. So what lies in the caller's own part is said as a place in its body, and the rest without naming anything of others.
 * Pure; called by change.ts alone.
 */
import type { Fault } from "../../../contracts/to-faults.ts"
import type { Actor } from "../actor.ts"

/**
 * `bodyAt`: pointer to where the body of the request stands in the config, null when it stands nowhere. Faults in there, if there are any, as pointers into the body;
 * else what there is, at the whole of the body: for ops with its place in the config, for a team without.
 */
export function faultsOfChange(faults: readonly Fault[], bodyAt: string | null, actor: Actor): Fault[] {
  const own = faults.filter(({ pointer }) => bodyAt !== null && pointer.startsWith(`${bodyAt}/`))
  if (own.length > 0) return own.map(({ pointer, detail }) => ({ pointer: pointer.slice(bodyAt?.length ?? 0), detail }))
  const seen = new Set(faults.map((fault) => describe(fault, actor)))
  return [...seen].map((detail) => ({ pointer: "", detail }))
}

function describe({ pointer, detail }: Fault, actor: Actor): string {
  if (pointer === "") return `the config ${detail}`
  if (actor.role === "ops") return `in the config, ${pointer}: ${detail}`
  return "the config would be invalid in a part that this request does not say; tell the operators"
}

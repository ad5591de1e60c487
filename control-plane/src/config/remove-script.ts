/** Takes a script out of service. Its row, versions and deployments stay: the name remains its team's and no version number comes twice. */
import { refuse } from "../../../kit/problem.ts"
import type { Actor } from "../actor.ts"
import { actsFor } from "../actor.ts"
import type { Registry } from "../store/registry.ts"
import type { ScriptRow } from "../store/rows.ts"
import { type Changed, type ChangeOptions, change } from "./change.ts"
import type { PublishDependencies } from "./publish.ts"

/** `admit` may refuse on the state that the change is made to. Throws `api.not-found` (absent, deleted, or another team's) and `script.in-use` while routes lead to it. */
export function removeScript(
  name: string,
  message: string | null,
  actor: Actor,
  deps: PublishDependencies,
  options: ChangeOptions & { readonly admit?: (script: ScriptRow, registry: Registry) => Promise<void> } = {},
): Promise<Changed<null>> {
  return change(
    deps,
    actor,
    async (registry) => {
      const script = registry.scripts.get(name)
      if (script?.deletedAt !== null || !actsFor(actor, script.team)) throw refuse("api.not-found")
      await options.admit?.(script, registry)
      const routes = [...registry.routes.values()].filter((route) => route.script === name)
      if (routes.length > 0)
        throw refuse("script.in-use", { detail: inUse(routes.filter((route) => actsFor(actor, route.team))) })
      const deletedAt = new Date(deps.clock.now()).toISOString()
      return {
        edits: [
          { table: "scripts", put: { ...script, deletedAt } },
          { table: "current", remove: name },
        ],
        audit: { action: "script.delete", target: `scripts/${name}`, detail: { message } },
        result: null,
      }
    },
    options,
  )
}

/** Names only routes that the actor may read. */
function inUse(routes: readonly { readonly id: string }[]): string {
  if (routes.length === 0) return "A route of another team leads to this script; ask ops."
  return `These routes lead to it: ${routes
    .slice(0, 5)
    .map((route) => route.id)
    .join(", ")}.`
}

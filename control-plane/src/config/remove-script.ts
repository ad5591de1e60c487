/**
 * Takes a script out of service. Its row, versions and deployments stay: the name remains its team's and no version number comes twice.
 * Deployments that were begun end with it: nothing of before comes into force once the name is claimed again.
 */
import { refuse } from "../../../kit/problem.ts"
import type { Actor } from "../actor.ts"
import { actsFor } from "../actor.ts"
import { type DeploymentStore, failUnfinished } from "../store/deployments.ts"
import type { Registry } from "../store/registry.ts"
import type { ScriptRow } from "../store/rows.ts"
import { type Changed, type ChangeOptions, change } from "./change.ts"
import type { PublishDependencies } from "./publish.ts"

/** Of the deployments that end with a script, as many are named in its record. */
const NAMED_IN_AUDIT = 50

/** `admit` may refuse on the state that the change is made to. Throws `api.not-found` (absent, deleted, or another team's) and `script.in-use` while routes lead to it. */
export function removeScript(
  name: string,
  message: string | null,
  actor: Actor,
  deps: PublishDependencies & { readonly store: { readonly deployments: Pick<DeploymentStore, "unfinishedOf"> } },
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
      const failed = (await deps.store.deployments.unfinishedOf(name)).map(({ id }) => id)
      const deletedAt = new Date(deps.clock.now()).toISOString()
      return {
        edits: [
          { table: "scripts", put: { ...script, deletedAt } },
          { table: "current", remove: name },
        ],
        statements: () => (failed.length === 0 ? [] : [failUnfinished(deps.db, name)]),
        audit: {
          action: "script.delete",
          target: `scripts/${name}`,
          detail: { message, ...(failed.length === 0 ? {} : { failed: failed.slice(0, NAMED_IN_AUDIT) }) },
        },
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

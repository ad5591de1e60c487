/** Puts a recorded deployment in force: the weights shift with the config revision that this publishes. The last step of the deployment line. */
import { refuse } from "../../../kit/problem.ts"
import type { Actor } from "../actor.ts"
import { type DeploymentStore, putPhase } from "../store/deployments.ts"
import { type Change, change } from "./change.ts"
import type { PublishDependencies } from "./publish.ts"

export interface PublishedDeployment {
  /** The revision in force that carries it, or that already carries a newer one. */
  readonly revision: number
  /** True when a newer deployment of the script was put in force first; this one has become `failed`. */
  readonly superseded: boolean
}

/**
 * Idempotent: a deployment that is in force is only published again if KV lacks it. The caller has placed every version; one that is not whole in the namespace at the moment that this is decided is
 * not led to, and the deployment stays begun (`api.busy`).
 * Throws `api.not-found` for an unknown deployment or a script deleted meanwhile, `api.conflict` for one that has failed: that is for ever, whoever repeats it; and as `change` does.
 */
export async function publishDeployment(
  id: string,
  actor: Actor,
  deps: PublishDependencies & { readonly store: { readonly deployments: DeploymentStore } },
): Promise<PublishedDeployment> {
  const { result, revision } = await change(deps, actor, async (registry): Promise<Change<boolean>> => {
    const deployment = await deps.store.deployments.get(id)
    if (deployment === null) throw refuse("api.not-found")
    const { script, seq, releases } = deployment
    if (registry.scripts.get(script)?.deletedAt !== null) throw refuse("api.not-found")
    const current = registry.current.get(script)
    const superseded = current !== undefined && current.seq > seq
    const target = `scripts/${script}/deployments/${id}`
    if (superseded && deployment.phase !== "recorded")
      return { edits: [], audit: { action: "deployment.publish", target, detail: {} }, result: true }
    if (superseded)
      return {
        edits: [],
        statements: () => [putPhase(deps.db, id, "failed", null)],
        audit: { action: "deployment.supersede", target, detail: { by: current.deploymentId } },
        result: true,
      }
    if (deployment.phase === "failed")
      throw refuse("api.conflict", { detail: `Deployment ${id} was given up; ask for a new one.` })
    if (current?.deploymentId === id && deployment.phase === "published")
      return { edits: [], audit: { action: "deployment.publish", target, detail: {} }, result: false }
    return {
      edits: [{ table: "current", put: { script, deploymentId: id, seq, releases } }],
      statements: (carrying) => [putPhase(deps.db, id, "published", carrying)],
      audit: { action: "deployment.publish", target, detail: { releases } },
      result: false,
    }
  })
  if (revision === null) throw new Error("a deployment without a config")
  return { revision, superseded: result }
}

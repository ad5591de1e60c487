import { deploymentShape, rollbackCreate } from "../../../contracts/api.ts"
import { FULL_WEIGHT_BPS } from "../../../contracts/dispatch-config.ts"
import { refuse } from "../../../kit/problem.ts"
import { deployReleases, finishDeployment } from "../deployment.ts"
import { namedTarget, type RollbackTarget, rollbackTarget } from "../rollback-target.ts"
import type { DeploymentStore } from "../store/deployments.ts"
import type { DeploymentRow } from "../store/rows.ts"
import { answerDeployment, DEPLOYMENT_PROBLEMS } from "./answer-deployment.ts"
import { checkCurrentDeployment } from "./current-deployment.ts"
import { defineOperation } from "./operation.ts"
import { scriptOwner, scriptParams } from "./parameters.ts"

export const rollback = defineOperation({
  id: "rollback.create",
  method: "POST",
  path: "/v1/scripts/{script}/rollback",
  summary:
    "Go back to the newest deployment before the current one that was not rolled back itself, or to the one or the version named; If-Match names the deployment in force, by its id",
  access: scriptOwner,
  params: scriptParams,
  body: rollbackCreate,
  idempotencyKey: true,
  answers: {
    201: {
      description: "A new deployment with the old releases, in force",
      shape: { name: "Deployment", shape: deploymentShape },
    },
  },
  problems: ["deployment.none-before", ...DEPLOYMENT_PROBLEMS],
  handle: async ({ actor, params, body, request, deploymentId, deps }) => {
    const { deployments, scripts } = deps.store
    const script = await scripts.get(params.script)
    if (script === null) throw refuse("api.not-found")
    const begun = deploymentId === null ? null : await deployments.get(deploymentId)
    if (begun !== null) return answerDeployment(await finishDeployment(script, begun, actor, deps))
    const seen = await deployments.current(script.name)
    const { releases, back } = await targetOf(script.name, seen, body, deployments)
    const admit = (current: DeploymentRow | null) => {
      checkCurrentDeployment(request.headers, current)
      if (current?.id !== seen?.id)
        throw refuse("api.conflict", { detail: "Another deployment of the script was put in force meanwhile." })
    }
    const options = { ...(deploymentId === null ? {} : { id: deploymentId }), back, admit }
    return answerDeployment(await deployReleases(script, releases, body.message ?? null, actor, deps, options))
  },
})

/** Throws `api.body-invalid`, `api.not-found` (no such deployment of this script), `deployment.none-before`. */
async function targetOf(
  script: string,
  current: DeploymentRow | null,
  wanted: { readonly deployment?: string | undefined; readonly version?: number | undefined },
  deployments: DeploymentStore,
): Promise<RollbackTarget> {
  const { deployment: id, version } = wanted
  if (id !== undefined && version !== undefined)
    throw refuse("api.body-invalid", { errors: [{ pointer: "/version", detail: "name a deployment or a version" }] })
  const before = current === null ? [] : await deployments.publishedBefore(script, current.seq)
  if (version !== undefined) return namedTarget([{ version, weightBps: FULL_WEIGHT_BPS }], current, before)
  if (id !== undefined) {
    const named = await deployments.get(id)
    if (named?.script !== script || named.phase !== "published") throw refuse("api.not-found")
    return namedTarget(named.releases, current, before)
  }
  const target = current === null ? null : rollbackTarget(current, before)
  if (target === null) throw refuse("deployment.none-before")
  return target
}

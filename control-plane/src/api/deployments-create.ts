import { deploymentCreate, deploymentShape } from "../../../contracts/api.ts"
import { refuse } from "../../../kit/problem.ts"
import { deployReleases, finishDeployment } from "../deployment.ts"
import type { DeploymentRow } from "../store/rows.ts"
import { answerDeployment, DEPLOYMENT_PROBLEMS } from "./answer-deployment.ts"
import { checkCurrentDeployment } from "./current-deployment.ts"
import { defineOperation } from "./operation.ts"
import { scriptOwner, scriptParams } from "./parameters.ts"

export const deploymentsCreate = defineOperation({
  id: "deployments.create",
  method: "POST",
  path: "/v1/scripts/{script}/deployments",
  summary: "Let these versions share the script's traffic by weight; If-Match names the deployment in force, by its id",
  access: scriptOwner,
  params: scriptParams,
  body: deploymentCreate,
  idempotencyKey: true,
  answers: { 201: { description: "In force", shape: { name: "Deployment", shape: deploymentShape } } },
  problems: DEPLOYMENT_PROBLEMS,
  handle: async ({ actor, params, body, request, deploymentId, deps }) => {
    const script = await deps.store.scripts.get(params.script)
    if (script === null) throw refuse("api.not-found")
    const begun = deploymentId === null ? null : await deps.store.deployments.get(deploymentId)
    if (begun !== null) return answerDeployment(await finishDeployment(script, begun, actor, deps))
    const options = {
      ...(deploymentId === null ? {} : { id: deploymentId }),
      admit: (current: DeploymentRow | null) => checkCurrentDeployment(request.headers, current),
    }
    return answerDeployment(await deployReleases(script, body.releases, body.message ?? null, actor, deps, options))
  },
})

import { deploymentShape } from "../../../contracts/api.ts"
import { refuse } from "../../../kit/problem.ts"
import { tagOfDeployment } from "./current-deployment.ts"
import { defineOperation } from "./operation.ts"
import { deploymentParams, scriptOwner } from "./parameters.ts"
import { showDeployment } from "./represent.ts"

export const deploymentsGet = defineOperation({
  id: "deployments.get",
  method: "GET",
  path: "/v1/scripts/{script}/deployments/{deployment}",
  summary: "Read a deployment; once it is in force or has failed its ETag is its id, as If-Match names it",
  access: scriptOwner,
  params: deploymentParams,
  answers: { 200: { description: "The deployment", shape: { name: "Deployment", shape: deploymentShape } } },
  handle: async ({ params, deps }) => {
    const deployment = await deps.store.deployments.get(params.deployment)
    if (deployment?.script !== params.script) throw refuse("api.not-found")
    return { status: 200, body: showDeployment(deployment), etag: tagOfDeployment(deployment) }
  },
})

import { deploymentShape, listOf } from "../../../contracts/api.ts"
import { answerPage, defineOperation } from "./operation.ts"
import { pageQuery, scriptOwner, scriptParams } from "./parameters.ts"
import { showDeployment } from "./represent.ts"

export const deploymentsList = defineOperation({
  id: "deployments.list",
  method: "GET",
  path: "/v1/scripts/{script}/deployments",
  summary: "List a script's deployments, newest first; the first that is published is in force",
  access: scriptOwner,
  params: scriptParams,
  query: pageQuery,
  answers: {
    200: { description: "A page of deployments", shape: { name: "DeploymentList", shape: listOf(deploymentShape) } },
  },
  handle: async ({ params, query, deps }) =>
    answerPage(await deps.store.deployments.list(params.script, query), showDeployment),
})

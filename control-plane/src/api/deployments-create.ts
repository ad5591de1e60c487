import { deploymentCreate, deploymentShape } from "../../../contracts/api.ts"
import { refuse } from "../../../kit/problem.ts"
import { deployReleases } from "../deployment.ts"
import { answerDeployment } from "./answer-deployment.ts"
import { defineOperation } from "./operation.ts"
import { scriptOwner, scriptParams } from "./parameters.ts"

export const deploymentsCreate = defineOperation({
  id: "deployments.create",
  method: "POST",
  path: "/v1/scripts/{script}/deployments",
  summary: "Let these versions share the script's traffic by weight",
  access: scriptOwner,
  params: scriptParams,
  body: deploymentCreate,
  idempotencyKey: true,
  answers: { 201: { description: "In force", shape: { name: "Deployment", shape: deploymentShape } } },
  problems: [
    "version.unknown",
    "version.not-placed",
    "config.invalid",
    "config.not-published",
    "cloudflare.refused",
    "cloudflare.unavailable",
    "api.conflict",
    "api.busy",
  ],
  handle: async ({ actor, params, body, deps }) => {
    const script = await deps.store.scripts.get(params.script)
    if (script === null) throw refuse("api.not-found")
    return answerDeployment(await deployReleases(script, body.releases, body.message ?? null, actor, deps))
  },
})

import { deploymentShape, rollbackCreate } from "../../../contracts/api.ts"
import { FULL_WEIGHT_BPS, type ReleaseWeight } from "../../../contracts/dispatch-config.ts"
import { refuse } from "../../../kit/problem.ts"
import { deployReleases } from "../deployment.ts"
import type { DeploymentStore } from "../store/deployments.ts"
import { answerDeployment } from "./answer-deployment.ts"
import { defineOperation } from "./operation.ts"
import { scriptOwner, scriptParams } from "./parameters.ts"

export const rollback = defineOperation({
  id: "rollback.create",
  method: "POST",
  path: "/v1/scripts/{script}/rollback",
  summary: "Go back to the deployment before the current one, or to the one or the version named",
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
  problems: [
    "deployment.none-before",
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
    const releases = await earlierReleases(script.name, body, deps.store.deployments)
    return answerDeployment(await deployReleases(script, releases, body.message ?? null, actor, deps))
  },
})

/** Throws `api.body-invalid`, `api.not-found` (no such deployment of this script), `deployment.none-before`. */
async function earlierReleases(
  script: string,
  wanted: { readonly deployment?: string | undefined; readonly version?: number | undefined },
  deployments: DeploymentStore,
): Promise<readonly ReleaseWeight[]> {
  const { deployment: id, version } = wanted
  if (id !== undefined && version !== undefined)
    throw refuse("api.body-invalid", { errors: [{ pointer: "/version", detail: "name a deployment or a version" }] })
  if (version !== undefined) return [{ version, weightBps: FULL_WEIGHT_BPS }]
  if (id === undefined) {
    const previous = await deployments.previous(script)
    if (previous === null) throw refuse("deployment.none-before")
    return previous.releases
  }
  const named = await deployments.get(id)
  if (named?.script !== script || named.phase !== "published") throw refuse("api.not-found")
  return named.releases
}

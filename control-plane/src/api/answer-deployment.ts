/** The answer to a request that made a deployment: shared by creating one and by rolling back. */
import type { ProblemCode } from "../../../contracts/problem-codes.ts"
import { refuse } from "../../../kit/problem.ts"
import type { DeploymentRow } from "../store/rows.ts"
import { tagOfDeployment } from "./current-deployment.ts"
import type { Answer } from "./operation.ts"
import { showDeployment } from "./represent.ts"

/** What giving traffic to versions may be refused with, whoever names them. */
export const DEPLOYMENT_PROBLEMS: readonly ProblemCode[] = [
  "version.unknown",
  "version.not-placed",
  "config.invalid",
  "config.nearly-full",
  "config.not-published",
  "route.quota-exceeded",
  "cloudflare.refused",
  "cloudflare.unavailable",
  "cloudflare.budget-spent",
  "api.conflict",
  "api.precondition-failed",
  "deployment.not-granted",
  "api.busy",
]

/** Throws `api.conflict` when a newer deployment was put in force while this one was being made. */
export function answerDeployment(deployment: DeploymentRow): Answer {
  if (deployment.phase === "failed")
    throw refuse("api.conflict", {
      detail: `Deployment ${deployment.id} did not come into force: a newer one of the script came first, or it could not be carried out.`,
    })
  const { configRevision } = deployment
  return { status: 201, body: showDeployment(deployment), etag: tagOfDeployment(deployment), configRevision }
}

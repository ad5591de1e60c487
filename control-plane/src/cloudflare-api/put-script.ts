/** PUT …/scripts/{script}: the upload of `wrangler deploy --dispatch-namespace`. */
import { refuse } from "../../../kit/problem.ts"
import { type Deployed, deployUpload } from "../deployment.ts"
import { takeUpload } from "../upload/take-upload.ts"
import type { Answer } from "./envelope.ts"
import type { Call } from "./operation.ts"
import { versionIdOf } from "./version-id.ts"

export async function putScript({ request, param, actor, deps }: Call): Promise<Answer> {
  const upload = await takeUpload(param("script"), request, actor, deps)
  const deployed = await deployUpload(upload, actor, deps)
  const { script, version, digest, placed } = deployed
  refuseUnlessAsExpected(deployed)
  return {
    result: {
      id: script.name,
      // Of the content, not of its place: it tells two uploads apart wherever they stand.
      etag: digest,
      startup_time_ms: placed.startupTimeMs ?? 0,
      // Wrangler prints it as the version's id.
      deployment_id: versionIdOf(version, digest),
      has_modules: upload.manifest.mainModule !== null,
      has_assets: upload.manifest.assets !== null,
      created_on: script.createdAt,
      modified_on: new Date(deps.clock.now()).toISOString(),
      tags: [],
      usage_model: "standard",
    },
    messages: [sayWhatHappened(deployed)],
  }
}

/** wrangler prints no message of a success: whoever expects the upload to take the traffic hears that it did not only from an error. */
function refuseUnlessAsExpected({ script, version, outcome, inForce }: Deployed): void {
  if (outcome !== "canary-kept" && outcome !== "superseded") return
  const shares = (inForce ?? []).map((each) => `version ${each.version} ${each.weightBps / 100} %`).join(", ")
  const now = shares === "" ? "" : ` (${shares})`
  const why =
    outcome === "canary-kept"
      ? `a canary is running${now}, and an upload does not end it`
      : `a newer deployment came first${now}`
  throw refuse("deployment.published-only", {
    detail: `It is version ${version} of ${script.name}: ${why}. To give it all traffic: \`sallyport deployments create ${script.name} ${version}\`.`,
  })
}

function sayWhatHappened({ script, version, created, outcome, configRevision }: Deployed): string {
  const what = `Version ${version} of ${script.name} ${created ? "was published" : "was there already"}`
  const revision = configRevision === null ? "" : ` (config revision ${configRevision})`
  if (outcome === "published-only")
    return `${what} and receives no traffic: deployOnUpload is off. Deploy it with \`sallyport deployments create\`.`
  return `${what} and receives all of its traffic${outcome === "in-force" ? ", as before" : revision}.`
}

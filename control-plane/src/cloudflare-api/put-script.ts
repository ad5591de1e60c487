/** PUT …/scripts/{script}: the upload of `wrangler deploy --dispatch-namespace`. */
import { type Deployed, deployUpload } from "../deployment.ts"
import { takeUpload } from "../upload/take-upload.ts"
import type { Answer } from "./envelope.ts"
import type { Call } from "./operation.ts"
import { versionIdOf } from "./version-id.ts"

export async function putScript({ request, param, actor, deps }: Call): Promise<Answer> {
  const upload = await takeUpload(param("script"), request, actor, deps)
  const deployed = await deployUpload(upload, actor, deps)
  const { script, version, digest, placed } = deployed
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

function sayWhatHappened({ script, version, created, outcome, configRevision }: Deployed): string {
  const what = `Version ${version} of ${script.name} ${created ? "was published" : "was there already"}`
  const revision = configRevision === null ? "" : ` (config revision ${configRevision})`
  const then = {
    deployed: `and receives all of its traffic${revision}.`,
    "in-force": "and receives all of its traffic, as before.",
    "published-only": "and receives no traffic: deployOnUpload is off. Deploy it with `sallyport deployments create`.",
    "canary-kept":
      "and receives no traffic: a canary is running, and an upload does not end it. Deploy it with `sallyport deployments create`.",
    superseded: "and receives no traffic: a newer deployment came first.",
  }[outcome]
  return `${what} ${then}`
}

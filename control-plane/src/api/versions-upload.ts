import { versionCreated } from "../../../contracts/api.ts"
import { deployUpload } from "../deployment.ts"
import { takeUpload } from "../upload/take-upload.ts"
import { answerThing, defineOperation } from "./operation.ts"
import { scriptOwner, scriptParams } from "./parameters.ts"
import { showVersion } from "./represent.ts"

/** Publishing without deploying, in the multipart form of Cloudflare's API; `wrangler deploy` goes through the other door. */
export const versionsUpload = defineOperation({
  id: "versions.upload",
  method: "POST",
  path: "/v1/scripts/{script}/versions",
  summary: "Publish a version: stored and placed, without traffic. The same content is the same version",
  access: scriptOwner,
  params: scriptParams,
  multipart: true,
  answers: {
    200: { description: "This content was published before", shape: { name: "VersionCreated", shape: versionCreated } },
    201: { description: "Published", shape: { name: "VersionCreated", shape: versionCreated } },
  },
  problems: [
    "upload.malformed",
    "upload.metadata-refused",
    "upload.too-large",
    "script.owned-by-another-team",
    "cloudflare.refused",
    "cloudflare.unavailable",
    "cloudflare.budget-spent",
    "api.busy",
  ],
  handle: async ({ actor, params, request, deps }) => {
    const upload = await takeUpload(params.script, request, actor, deps)
    const { script, version, created } = await deployUpload(upload, actor, deps, { deploy: false })
    const row = await deps.store.versions.get(script.name, version)
    if (row === null) throw new Error("a version that was recorded is gone")
    return answerThing({ ...showVersion(row), created }, created ? 201 : 200)
  },
})

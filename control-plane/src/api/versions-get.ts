import { versionShape } from "../../../contracts/api.ts"
import { refuse } from "../../../kit/problem.ts"
import { answerThing, defineOperation } from "./operation.ts"
import { scriptOwner, versionParams } from "./parameters.ts"
import { showVersion } from "./represent.ts"

export const versionsGet = defineOperation({
  id: "versions.get",
  method: "GET",
  path: "/v1/scripts/{script}/versions/{version}",
  summary: "Read a version",
  access: scriptOwner,
  params: versionParams,
  answers: { 200: { description: "The version", shape: { name: "Version", shape: versionShape } } },
  problems: ["version.unknown"],
  handle: async ({ params, deps }) => {
    const version = await deps.store.versions.get(params.script, params.version)
    if (version === null) throw refuse("version.unknown")
    return answerThing(showVersion(version))
  },
})

import { listOf, versionShape } from "../../../contracts/api.ts"
import { answerPage, defineOperation } from "./operation.ts"
import { pageQuery, scriptOwner, scriptParams } from "./parameters.ts"
import { showVersion } from "./represent.ts"

export const versionsList = defineOperation({
  id: "versions.list",
  method: "GET",
  path: "/v1/scripts/{script}/versions",
  summary: "List a script's versions, newest first",
  access: scriptOwner,
  params: scriptParams,
  query: pageQuery,
  answers: { 200: { description: "A page of versions", shape: { name: "VersionList", shape: listOf(versionShape) } } },
  handle: async ({ params, query, deps }) =>
    answerPage(await deps.store.versions.list(params.script, query), showVersion),
})

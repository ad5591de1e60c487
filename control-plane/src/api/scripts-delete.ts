import { removeScript } from "../config/remove-script.ts"
import { defineOperation } from "./operation.ts"
import { changeQuery, scriptOwner, scriptParams } from "./parameters.ts"

export const scriptsDelete = defineOperation({
  id: "scripts.delete",
  method: "DELETE",
  path: "/v1/scripts/{script}",
  summary: "Take a script out of service; its name stays with its team, its version numbers are not used again",
  access: scriptOwner,
  params: scriptParams,
  query: changeQuery,
  answers: { 204: { description: "Deleted" } },
  problems: ["script.in-use", "config.not-published", "api.busy"],
  handle: async ({ actor, params, query, deps }) => {
    const options = { dryRun: query.dry_run === "true" }
    const { revision } = await removeScript(params.script, query.message ?? null, actor, deps, options)
    return { status: 204, configRevision: revision }
  },
})

import { removeScript } from "../config/remove-script.ts"
import type { Registry } from "../store/registry.ts"
import type { ScriptRow } from "../store/rows.ts"
import { checkConditions } from "./conditions.ts"
import { defineOperation } from "./operation.ts"
import { changeQuery, scriptOwner, scriptParams } from "./parameters.ts"
import { showScriptIn } from "./represent.ts"

export const scriptsDelete = defineOperation({
  id: "scripts.delete",
  method: "DELETE",
  path: "/v1/scripts/{script}",
  summary: "Take a script out of service; its name stays with its team, its version numbers are not used again",
  access: scriptOwner,
  params: scriptParams,
  query: changeQuery,
  answers: { 204: { description: "Deleted" } },
  problems: ["script.in-use", "api.precondition-failed", "config.not-published", "api.busy"],
  handle: async ({ actor, params, query, request, deps }) => {
    const admit = async (script: ScriptRow, registry: Registry) => {
      const show = await showScriptIn(registry, script.name, deps.store.versions)
      await checkConditions(request.headers, show(script))
    }
    const options = { dryRun: query.dry_run === "true", admit }
    const { revision } = await removeScript(params.script, query.message ?? null, actor, deps, options)
    return { status: 204, configRevision: revision }
  },
})

import { scriptPut, scriptShape } from "../../../contracts/api.ts"
import { refuse } from "../../../kit/problem.ts"
import { type Actor, actsFor } from "../actor.ts"
import { change } from "../config/change.ts"
import { present } from "../present.ts"
import type { Registry } from "../store/registry.ts"
import { DEFAULT_SETTINGS, type ScriptRow } from "../store/rows.ts"
import { mayClaim } from "../store/scripts.ts"
import { checkConditions } from "./conditions.ts"
import { answerChange, defineOperation } from "./operation.ts"
import { dryRunQuery, scriptParams } from "./parameters.ts"
import { showScriptIn } from "./represent.ts"

const script = { name: "Script", shape: scriptShape }

export const scriptsPut = defineOperation({
  id: "scripts.put",
  method: "PUT",
  path: "/v1/scripts/{script}",
  summary: "Claim a script name, or change the settings of the own script",
  access: { who: "any" },
  params: scriptParams,
  query: dryRunQuery,
  body: scriptPut,
  answers: { 200: { description: "Changed", shape: script }, 201: { description: "Claimed", shape: script } },
  problems: [
    "api.forbidden",
    "script.name-invalid",
    "script.owned-by-another-team",
    "api.precondition-failed",
    "config.invalid",
    "config.not-published",
    "api.busy",
  ],
  handle: async ({ actor, params, query, body, request, deps }) => {
    const name = params.script
    const { message, team, ...settings } = body
    const changed = await change(
      deps,
      actor,
      async (registry) => {
        const found = registry.scripts.get(name) ?? null
        mayClaim(name, found, actor)
        const exists = found?.deletedAt === null
        const show = await showScriptIn(registry, name, deps.store.versions)
        await checkConditions(request.headers, exists ? show(found) : null)
        const put: ScriptRow = {
          name,
          team: found?.team ?? teamFor(team, actor, registry),
          settings: { ...(exists ? found.settings : DEFAULT_SETTINGS), ...present(settings) },
          createdAt: exists ? found.createdAt : new Date(deps.clock.now()).toISOString(),
          deletedAt: null,
        }
        if (team !== undefined && team !== put.team) throw refuse("script.owned-by-another-team")
        return {
          edits: [{ table: "scripts", put }],
          audit: {
            action: exists ? "script.put" : "script.claim",
            target: `scripts/${name}`,
            detail: { team: put.team, settings: put.settings, message },
          },
          result: { body: show(put), created: !exists },
        }
      },
      { dryRun: query.dry_run === "true" },
    )
    return answerChange(changed)
  },
})

/** A team claims for itself; ops name the team, and so give reserved names away too. Throws `api.forbidden`, `api.body-invalid`. */
function teamFor(named: string | undefined, actor: Actor, registry: Registry): string {
  const team = named ?? actor.team
  if (!actsFor(actor, team)) throw refuse("api.forbidden", { detail: "A team claims names for itself only." })
  if (team === null || !registry.teams.has(team))
    throw refuse("api.body-invalid", { errors: [{ pointer: "/team", detail: "must name the team to give it to" }] })
  return team
}

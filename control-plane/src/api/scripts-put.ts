import { MAX_PIN_LIFETIME_S, scriptPut, scriptShape } from "../../../contracts/api.ts"
import { refuse } from "../../../kit/problem.ts"
import { type Actor, actsFor } from "../actor.ts"
import { change } from "../config/change.ts"
import type { Dependencies } from "../dependencies.ts"
import { isKilledByOps } from "../killed-by-ops.ts"
import { present } from "../present.ts"
import type { Registry } from "../store/registry.ts"
import type { ScriptRow } from "../store/rows.ts"
import { handOver, mayClaim, requireRoom, settingsOfNew } from "../store/scripts.ts"
import { checkConditions } from "./conditions.ts"
import { answerChange, defineOperation } from "./operation.ts"
import { dryRunQuery, scriptParams } from "./parameters.ts"
import { showScriptIn } from "./represent.ts"

const script = { name: "Script", shape: scriptShape }

export const scriptsPut = defineOperation({
  id: "scripts.put",
  method: "PUT",
  path: "/v1/scripts/{script}",
  summary:
    "Claim a script name, or change the settings of the own script; ops also give a name that is not live to another team",
  access: { who: "any" },
  params: scriptParams,
  query: dryRunQuery,
  body: scriptPut,
  answers: { 200: { description: "Changed", shape: script }, 201: { description: "Claimed", shape: script } },
  problems: [
    "api.forbidden",
    "script.name-invalid",
    "script.owned-by-another-team",
    "script.too-many",
    "script.in-use",
    "api.precondition-failed",
    "config.invalid",
    "config.nearly-full",
    "config.not-published",
    "route.quota-exceeded",
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
        const moved = found !== null && actor.role === "ops" && team !== undefined && team !== found.team
        if (moved) await requireIdle(found, registry, deps)
        const owner = found === null || moved ? teamFor(team, actor, registry) : found.team
        if (found?.team !== owner)
          requireRoom([...registry.scripts.values()].filter((each) => each.team === owner).length)
        const exists = found?.deletedAt === null && !moved
        const show = await showScriptIn(registry, name, deps.store.versions)
        await checkConditions(request.headers, found?.deletedAt === null ? show(found) : null)
        const before = exists ? found.settings : settingsOfNew(moved ? null : found)
        const { kill } = settings
        const killedByOps = kill === undefined ? before.killedByOps : isKilledByOps("script", before, kill, actor)
        const put: ScriptRow = {
          name,
          team: owner,
          settings: { ...before, ...present(settings), killedByOps },
          createdAt: exists ? found.createdAt : new Date(deps.clock.now()).toISOString(),
          deletedAt: null,
        }
        if (team !== undefined && team !== put.team) throw refuse("script.owned-by-another-team")
        return {
          edits: [{ table: "scripts", put }],
          bodyAt: () => `/scripts/${name}`,
          ...(moved ? { statements: () => handOver(deps.db, name, deps.clock.now()) } : {}),
          audit: {
            action: moved ? "script.give" : exists ? "script.put" : "script.claim",
            target: `scripts/${name}`,
            detail: { team: put.team, ...(moved ? { from: found.team } : {}), settings: put.settings, message },
          },
          result: { body: { ...show(put), ...(moved ? { latestVersion: null } : {}) }, created: !exists },
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

/**
 * A name may change hands only when nothing that bears it can still run: a pin of the earlier team would run its code in the name of the new one.
 * Throws `script.owned-by-another-team`, `script.in-use`.
 */
async function requireIdle({ name, deletedAt }: ScriptRow, registry: Registry, deps: Dependencies): Promise<void> {
  if ([...registry.routes.values()].some((route) => route.script === name)) throw refuse("script.in-use")
  const begun = await deps.store.deployments.unfinishedOf(name)
  if (deletedAt === null && (registry.current.has(name) || begun.length > 0))
    throw refuse("script.owned-by-another-team", { detail: "It is live; delete it before its name is given away." })
  const since = new Date(deps.clock.now() - MAX_PIN_LIFETIME_S * 1000).toISOString()
  if (await deps.store.audit.pinnedSince(name, since))
    throw refuse("script.owned-by-another-team", {
      detail: "A release pin for it was made within a day; give the name away when it has ended.",
    })
}

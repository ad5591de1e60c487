import { MAX_FAULTS } from "../../../contracts/to-faults.ts"
import { type PointedError, refuse } from "../../../kit/problem.ts"
import { change } from "../config/change.ts"
import type { Registry } from "../store/registry.ts"
import { checkConditions } from "./conditions.ts"
import { defineOperation } from "./operation.ts"
import { changeQuery, teamParams } from "./parameters.ts"
import { showTeam } from "./represent.ts"

/**
 * Nothing of a team outlives it, so that one of the same name, made later, inherits nothing: what is its own must be gone before, and its tokens, revoked or expired, go with it.
 * A token in force is refused rather than revoked along: it says that somebody works for the team, which then was no mistake. A switch that ops threw goes with the team:
 * they alone remove a team and make one, and the record holds it.
 */
export const teamsDelete = defineOperation({
  id: "teams.delete",
  method: "DELETE",
  path: "/v1/teams/{team}",
  summary:
    "Remove a team that has no route, script name, hostname or token in force; a later one of its name inherits nothing",
  access: { who: "ops" },
  params: teamParams,
  query: changeQuery,
  answers: { 204: { description: "Removed" } },
  problems: ["team.in-use", "api.precondition-failed", "config.not-published", "api.busy"],
  handle: async ({ actor, params, query, request, deps }) => {
    const name = params.team
    const { revision } = await change(
      deps,
      actor,
      async (registry) => {
        const found = registry.teams.get(name)
        if (found === undefined) throw refuse("api.not-found")
        await checkConditions(request.headers, showTeam(found))
        requireEmpty(name, registry, await deps.store.tokens.inForceOfTeam(name))
        return {
          edits: [{ table: "teams", remove: name }],
          audit: { action: "team.delete", target: `teams/${name}`, detail: { team: found, message: query.message } },
          result: null,
        }
      },
      { dryRun: query.dry_run === "true" },
    )
    return { status: 204, configRevision: revision }
  },
})

/** Throws `team.in-use`, which names what is the team's by its path below `/v1`, in the order in which it can be taken away. `tokens` are ids of those in force. */
function requireEmpty(name: string, registry: Registry, tokens: readonly string[]): void {
  const isOwn = ({ team }: { readonly team: string | null }) => team === name
  const routes = [...registry.routes.values()].filter(isOwn)
  const scripts = [...registry.scripts.values()].filter(isOwn)
  const hostnames = [...registry.hostnames.values()].filter(isOwn)
  const errors: PointedError[] = [
    ...routes.map(({ id, hostname, path }) => ({
      pointer: `/routes/${id}`,
      detail: `its route ${hostname}${path}: delete it, or give it to another team`,
    })),
    ...scripts.map((script) => ({
      pointer: `/scripts/${script.name}`,
      // Freed, the name would begin again at version 1, of which the namespace has the old content.
      detail:
        script.deletedAt === null
          ? "its script: delete it, and give its name to another team"
          : "was deleted, but its name stays with the team: give it to another",
    })),
    ...hostnames.map(({ hostname }) => ({
      pointer: `/hostnames/${hostname}`,
      detail: "its hostname: remove it, or make it another's or nobody's",
    })),
    ...tokens.map((id) => ({ pointer: `/tokens/${id}`, detail: "in force: somebody works with it; revoke it" })),
  ]
  if (errors.length === 0) return
  const held = { routes, "script names": scripts, hostnames, "tokens in force": tokens }
  const counts = Object.entries(held).flatMap(([what, { length }]) => (length === 0 ? [] : [`${what} ${length}`]))
  throw refuse("team.in-use", {
    detail: `Still the team's: ${counts.join(", ")}.`,
    errors: errors.slice(0, MAX_FAULTS),
  })
}

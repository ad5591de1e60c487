import { teamPut, teamShape } from "../../../contracts/api.ts"
import { change } from "../config/change.ts"
import { checkConditions } from "./conditions.ts"
import { answerChange, defineOperation } from "./operation.ts"
import { dryRunQuery, teamParams } from "./parameters.ts"
import { showTeam } from "./represent.ts"

const team = { name: "Team", shape: teamShape }

export const teamsPut = defineOperation({
  id: "teams.put",
  method: "PUT",
  path: "/v1/teams/{team}",
  summary: "Make a team, or replace its grants and egress list; switch it off or on",
  access: { who: "ops" },
  params: teamParams,
  query: dryRunQuery,
  body: teamPut,
  answers: { 200: { description: "Replaced", shape: team }, 201: { description: "Made", shape: team } },
  problems: ["api.precondition-failed", "config.invalid", "config.not-published", "api.busy"],
  handle: async ({ actor, params, query, body, request, deps }) => {
    const { message, grants, egress } = body
    const name = params.team
    const changed = await change(
      deps,
      actor,
      async ({ teams }) => {
        const found = teams.get(name)
        await checkConditions(request.headers, found === undefined ? null : showTeam(found))
        const createdAt = found?.createdAt ?? new Date(deps.clock.now()).toISOString()
        // Only who names the switch moves it: a change of grants must not bring a team back that an incident took off.
        const kill = body.kill === undefined ? (found?.kill ?? null) : body.kill
        const put = { name, grants, egress, kill, createdAt }
        return {
          edits: [{ table: "teams", put }],
          bodyAt: () => `/teams/${name}`,
          audit: { action: "team.put", target: `teams/${name}`, detail: { grants, egress, kill, message } },
          result: { body: showTeam(put), created: found === undefined },
        }
      },
      { dryRun: query.dry_run === "true" },
    )
    return answerChange(changed)
  },
})

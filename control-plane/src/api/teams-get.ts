import { teamShape } from "../../../contracts/api.ts"
import { refuse } from "../../../kit/problem.ts"
import { answerThing, defineOperation } from "./operation.ts"
import { teamOwner, teamParams } from "./parameters.ts"
import { showTeam } from "./represent.ts"

export const teamsGet = defineOperation({
  id: "teams.get",
  method: "GET",
  path: "/v1/teams/{team}",
  summary: "Read a team",
  access: teamOwner,
  params: teamParams,
  answers: { 200: { description: "The team", shape: { name: "Team", shape: teamShape } } },
  handle: async ({ params, deps }) => {
    const team = await deps.store.inventory.team(params.team)
    if (team === null) throw refuse("api.not-found")
    return answerThing(showTeam(team))
  },
})

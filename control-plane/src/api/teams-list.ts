import { listOf, teamShape } from "../../../contracts/api.ts"
import { answerPage, defineOperation } from "./operation.ts"
import { pageQuery, scopeOf } from "./parameters.ts"
import { showTeam } from "./represent.ts"

export const teamsList = defineOperation({
  id: "teams.list",
  method: "GET",
  path: "/v1/teams",
  summary: "List teams: all for ops, the own one for a team",
  access: { who: "any" },
  query: pageQuery,
  answers: { 200: { description: "A page of teams", shape: { name: "TeamList", shape: listOf(teamShape) } } },
  handle: async ({ actor, query, deps }) =>
    answerPage(await deps.store.inventory.teams(scopeOf(actor), query), showTeam),
})

import { listOf, tokenShape } from "../../../contracts/api.ts"
import { answerPage, defineOperation } from "./operation.ts"
import { pageQuery, teamOwner, teamParams } from "./parameters.ts"
import { showToken } from "./represent.ts"

export const teamTokensList = defineOperation({
  id: "team-tokens.list",
  method: "GET",
  path: "/v1/teams/{team}/tokens",
  summary: "List a team's tokens, revoked and expired ones included",
  access: teamOwner,
  params: teamParams,
  query: pageQuery,
  answers: { 200: { description: "A page of tokens", shape: { name: "TokenList", shape: listOf(tokenShape) } } },
  handle: async ({ params, query, deps }) => answerPage(await deps.store.tokens.list(params.team, query), showToken),
})

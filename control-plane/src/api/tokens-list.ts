import { listOf, tokenShape } from "../../../contracts/api.ts"
import { answerPage, defineOperation } from "./operation.ts"
import { pageQuery } from "./parameters.ts"
import { showToken } from "./represent.ts"

export const tokensList = defineOperation({
  id: "tokens.list",
  method: "GET",
  path: "/v1/tokens",
  summary: "List all tokens, of ops and of every team",
  access: { who: "ops" },
  query: pageQuery,
  answers: { 200: { description: "A page of tokens", shape: { name: "TokenList", shape: listOf(tokenShape) } } },
  handle: async ({ query, deps }) => answerPage(await deps.store.tokens.list(null, query), showToken),
})

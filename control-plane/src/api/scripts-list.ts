import { listOf, scriptShape } from "../../../contracts/api.ts"
import { answerPage, defineOperation } from "./operation.ts"
import { pageQuery, scopeOf } from "./parameters.ts"
import { showScript } from "./represent.ts"

export const scriptsList = defineOperation({
  id: "scripts.list",
  method: "GET",
  path: "/v1/scripts",
  summary: "List scripts: all for ops, the own ones for a team",
  access: { who: "any" },
  query: pageQuery,
  answers: { 200: { description: "A page of scripts", shape: { name: "ScriptList", shape: listOf(scriptShape) } } },
  handle: async ({ actor, query, deps }) =>
    answerPage(await deps.store.scripts.list(scopeOf(actor), query), showScript),
})

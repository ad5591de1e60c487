import { listOf, routeShape } from "../../../contracts/api.ts"
import { answerPage, defineOperation } from "./operation.ts"
import { pageQuery, scopeOf } from "./parameters.ts"
import { showRoute } from "./represent.ts"

export const routesList = defineOperation({
  id: "routes.list",
  method: "GET",
  path: "/v1/routes",
  summary: "List routes: all for ops, the own ones for a team",
  access: { who: "any" },
  query: pageQuery,
  answers: { 200: { description: "A page of routes", shape: { name: "RouteList", shape: listOf(routeShape) } } },
  handle: async ({ actor, query, deps }) =>
    answerPage(await deps.store.inventory.routes(scopeOf(actor), query), showRoute),
})

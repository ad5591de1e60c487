import { routeShape } from "../../../contracts/api.ts"
import { refuse } from "../../../kit/problem.ts"
import { type Access, answerThing, defineOperation } from "./operation.ts"
import { routeParams } from "./parameters.ts"
import { showRoute } from "./represent.ts"

export const routeOwner: Access<{ route: string }> = {
  who: "owner",
  of: ({ route }, deps) => deps.store.inventory.route(route),
}

export const routesGet = defineOperation({
  id: "routes.get",
  method: "GET",
  path: "/v1/routes/{route}",
  summary: "Read a route",
  access: routeOwner,
  params: routeParams,
  answers: { 200: { description: "The route", shape: { name: "Route", shape: routeShape } } },
  handle: async ({ params, deps }) => {
    const route = await deps.store.inventory.route(params.route)
    if (route === null) throw refuse("api.not-found")
    return answerThing(showRoute(route))
  },
})

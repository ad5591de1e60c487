import { refuse } from "../../../kit/problem.ts"
import { actsFor } from "../actor.ts"
import { change } from "../config/change.ts"
import { admitDetaching } from "../route-rules.ts"
import { checkConditions } from "./conditions.ts"
import { defineOperation } from "./operation.ts"
import { changeQuery, routeParams } from "./parameters.ts"
import { showRoute } from "./represent.ts"
import { routeOwner } from "./routes-get.ts"

export const routesDelete = defineOperation({
  id: "routes.delete",
  method: "DELETE",
  path: "/v1/routes/{route}",
  summary: "Detach a route",
  access: routeOwner,
  params: routeParams,
  query: changeQuery,
  answers: { 204: { description: "Detached" } },
  problems: ["api.forbidden", "api.precondition-failed", "config.not-published", "api.busy"],
  handle: async ({ actor, params, query, request, deps }) => {
    const id = params.route
    const { revision } = await change(
      deps,
      actor,
      async (registry) => {
        const found = registry.routes.get(id)
        if (found === undefined || !actsFor(actor, found.team)) throw refuse("api.not-found")
        await checkConditions(request.headers, showRoute(found))
        admitDetaching(found, actor, registry)
        return {
          edits: [{ table: "routes", remove: id }],
          audit: { action: "route.delete", target: `routes/${id}`, detail: { route: found, message: query.message } },
          result: null,
        }
      },
      { dryRun: query.dry_run === "true" },
    )
    return { status: 204, configRevision: revision }
  },
})

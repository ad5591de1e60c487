import { MAX_FAULTS } from "../../../contracts/to-faults.ts"
import { refuse } from "../../../kit/problem.ts"
import { change } from "../config/change.ts"
import type { RouteRow } from "../store/rows.ts"
import { checkConditions } from "./conditions.ts"
import { defineOperation } from "./operation.ts"
import { changeQuery, hostnameParams } from "./parameters.ts"
import { showHostname } from "./represent.ts"

/** Routes are all that names a hostname. Origins in the policy (of zones and audiences), in egress lists and routes are text to the gateway, and need no hostname of its own to be there. */
export const hostnamesDelete = defineOperation({
  id: "hostnames.delete",
  method: "DELETE",
  path: "/v1/hostnames/{hostname}",
  summary: "Remove a hostname on which no route stands; the edge answers it like one that never was",
  access: { who: "ops" },
  params: hostnameParams,
  query: changeQuery,
  answers: { 204: { description: "Removed" } },
  problems: ["hostname.in-use", "api.precondition-failed", "config.not-published", "api.busy"],
  handle: async ({ actor, params, query, request, deps }) => {
    const name = params.hostname
    const { revision } = await change(
      deps,
      actor,
      async ({ hostnames, routes }) => {
        const found = hostnames.get(name)
        if (found === undefined) throw refuse("api.not-found")
        await checkConditions(request.headers, showHostname(found))
        requireUnused([...routes.values()].filter(({ hostname }) => hostname === name))
        return {
          edits: [{ table: "hostnames", remove: name }],
          audit: {
            action: "hostname.delete",
            target: `hostnames/${name}`,
            detail: { hostname: found, message: query.message },
          },
          result: null,
        }
      },
      { dryRun: query.dry_run === "true" },
    )
    return { status: 204, configRevision: revision }
  },
})

/** Throws `hostname.in-use`, which names the routes by their paths below `/v1`. */
function requireUnused(routes: readonly RouteRow[]): void {
  if (routes.length === 0) return
  throw refuse("hostname.in-use", {
    detail: `Routes on it: ${routes.length}.`,
    errors: routes
      .slice(0, MAX_FAULTS)
      .map(({ id, path, team }) => ({ pointer: `/routes/${id}`, detail: `stands at ${path}, of team ${team}` })),
  })
}

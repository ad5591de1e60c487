import { routePut, routeShape } from "../../../contracts/api.ts"
import { refuse } from "../../../kit/problem.ts"
import type { Actor } from "../actor.ts"
import { canonicalJson } from "../canonical-json.ts"
import { pointerToRoute } from "../config/build.ts"
import { change } from "../config/change.ts"
import type { Dependencies } from "../dependencies.ts"
import { requireGranted } from "../require-granted.ts"
import { admitRoute } from "../route-rules.ts"
import type { RouteRow } from "../store/rows.ts"
import { checkConditions } from "./conditions.ts"
import { answerChange, defineOperation } from "./operation.ts"
import { dryRunQuery, routeParams } from "./parameters.ts"
import { showRoute } from "./represent.ts"
import { requirePlaced } from "./require-placed.ts"

const route = { name: "Route", shape: routeShape }

export const routesPut = defineOperation({
  id: "routes.put",
  method: "PUT",
  path: "/v1/routes/{route}",
  summary: "Attach a script to a hostname and path, or replace the route of this id",
  access: { who: "any" },
  params: routeParams,
  query: dryRunQuery,
  body: routePut,
  answers: { 200: { description: "Replaced", shape: route }, 201: { description: "Attached", shape: route } },
  problems: [
    "api.conflict",
    "api.forbidden",
    "api.precondition-failed",
    "route.taken",
    "route.under-another-team",
    "route.above-another-team",
    "route.path-reserved",
    "route.quota-exceeded",
    "route.hostname-closed",
    "version.not-placed",
    "deployment.not-granted",
    "config.invalid",
    "config.nearly-full",
    "config.not-published",
    "api.busy",
  ],
  handle: async ({ actor, params, query, body, request, deps }) => {
    const { message, team, ...spec } = body
    const id = params.route
    const changed = await change(
      deps,
      actor,
      async (registry) => {
        const found = registry.routes.get(id)
        const put = admitRoute({ ...spec, id, team: teamOf(team, found, actor) }, actor, registry)
        await checkConditions(request.headers, found === undefined ? null : showRoute(found))
        // Weights that stay as they are pass: a kill switch must work whatever has become of the versions and the grants.
        const isNewTraffic =
          found?.script !== put.script || canonicalJson(found.releases ?? []) !== canonicalJson(put.releases ?? [])
        if (isNewTraffic) await requireUsable(put, registry.scripts.get(put.script)?.team, deps)
        return {
          edits: [{ table: "routes", put }],
          bodyAt: (content) => pointerToRoute(content, put),
          audit: { action: "route.put", target: `routes/${id}`, detail: { route: put, message } },
          result: { body: showRoute(put), created: found === undefined },
        }
      },
      { dryRun: query.dry_run === "true" },
    )
    return answerChange(changed)
  },
})

/** Throws `api.body-invalid`, `version.not-placed`, `deployment.not-granted` for what its own weights lead to. */
async function requireUsable({ script, releases = [] }: RouteRow, owner: string | undefined, deps: Dependencies) {
  const versions = releases.map(({ version }) => version)
  const pointerOf = (index: number) => `/releases/${index}/version`
  const rows = await requirePlaced(script, versions, pointerOf, deps.store.versions)
  if (owner !== undefined) await requireGranted(owner, rows, deps)
}

/** A route stays with its team unless ops say otherwise. */
function teamOf(named: string | undefined, found: RouteRow | undefined, actor: Actor): string {
  const team = named ?? found?.team ?? actor.team
  if (team === null)
    throw refuse("api.body-invalid", { errors: [{ pointer: "/team", detail: "ops must name the team" }] })
  return team
}

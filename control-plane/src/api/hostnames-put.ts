import { hostnamePut, hostnameShape } from "../../../contracts/api.ts"
import { refuse } from "../../../kit/problem.ts"
import { change } from "../config/change.ts"
import { checkConditions } from "./conditions.ts"
import { answerChange, defineOperation } from "./operation.ts"
import { dryRunQuery, hostnameParams } from "./parameters.ts"
import { showHostname } from "./represent.ts"

const hostname = { name: "Hostname", shape: hostnameShape }

export const hostnamesPut = defineOperation({
  id: "hostnames.put",
  method: "PUT",
  path: "/v1/hostnames/{hostname}",
  summary: "Add a hostname, or say whose it is and whether others may attach routes",
  access: { who: "ops" },
  params: hostnameParams,
  query: dryRunQuery,
  body: hostnamePut,
  answers: { 200: { description: "Changed", shape: hostname }, 201: { description: "Added", shape: hostname } },
  problems: ["api.precondition-failed", "config.invalid", "config.not-published", "api.busy"],
  handle: async ({ actor, params, query, body, request, deps }) => {
    const { message, team, open } = body
    const name = params.hostname
    const changed = await change(
      deps,
      actor,
      async ({ hostnames, teams }) => {
        const found = hostnames.get(name)
        await checkConditions(request.headers, found === undefined ? null : showHostname(found))
        if (team !== null && !teams.has(team))
          throw refuse("api.body-invalid", { errors: [{ pointer: "/team", detail: "no such team" }] })
        const createdAt = found?.createdAt ?? new Date(deps.clock.now()).toISOString()
        const put = { hostname: name, team, open, createdAt }
        return {
          edits: [{ table: "hostnames", put }],
          audit: { action: "hostname.put", target: `hostnames/${name}`, detail: { team, open, message } },
          result: { body: showHostname(put), created: found === undefined },
        }
      },
      { dryRun: query.dry_run === "true" },
    )
    return answerChange(changed)
  },
})

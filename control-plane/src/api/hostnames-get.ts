import { hostnameShape } from "../../../contracts/api.ts"
import { refuse } from "../../../kit/problem.ts"
import { actsFor } from "../actor.ts"
import { answerThing, defineOperation } from "./operation.ts"
import { hostnameParams } from "./parameters.ts"
import { showHostname } from "./represent.ts"

export const hostnamesGet = defineOperation({
  id: "hostnames.get",
  method: "GET",
  path: "/v1/hostnames/{hostname}",
  summary: "Read a hostname that is open or the team's own",
  access: { who: "any" },
  params: hostnameParams,
  answers: { 200: { description: "The hostname", shape: { name: "Hostname", shape: hostnameShape } } },
  handle: async ({ actor, params, deps }) => {
    const hostname = await deps.store.inventory.hostname(params.hostname)
    if (hostname === null || !(hostname.open || actsFor(actor, hostname.team))) throw refuse("api.not-found")
    return answerThing(showHostname(hostname))
  },
})

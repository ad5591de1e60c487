import { hostnameShape, listOf } from "../../../contracts/api.ts"
import { answerPage, defineOperation } from "./operation.ts"
import { pageQuery, scopeOf } from "./parameters.ts"
import { showHostname } from "./represent.ts"

export const hostnamesList = defineOperation({
  id: "hostnames.list",
  method: "GET",
  path: "/v1/hostnames",
  summary: "List hostnames: all for ops, for a team its own and the open ones",
  access: { who: "any" },
  query: pageQuery,
  answers: {
    200: { description: "A page of hostnames", shape: { name: "HostnameList", shape: listOf(hostnameShape) } },
  },
  handle: async ({ actor, query, deps }) =>
    answerPage(await deps.store.inventory.hostnames(scopeOf(actor), query), showHostname),
})

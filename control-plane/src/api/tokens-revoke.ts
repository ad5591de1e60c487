import { defineOperation } from "./operation.ts"
import { changeQuery, tokenParams } from "./parameters.ts"

export const tokensRevoke = defineOperation({
  id: "tokens.revoke",
  method: "DELETE",
  path: "/v1/tokens/{token}",
  summary: "Revoke a token and all that were made by it, for ever; a team's token may do so to itself and to those",
  access: { who: "owner", of: ({ token }, deps) => deps.store.tokens.get(token) },
  params: tokenParams,
  query: changeQuery.pick({ message: true }),
  answers: { 204: { description: "Revoked, now or before" } },
  problems: ["api.forbidden", "api.busy"],
  handle: async ({ actor, params, query, deps }) => {
    await deps.store.tokens.revoke(params.token, actor, query.message)
    return { status: 204 }
  },
})

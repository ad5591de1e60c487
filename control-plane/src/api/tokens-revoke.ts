import { defineOperation } from "./operation.ts"
import { tokenParams } from "./parameters.ts"

export const tokensRevoke = defineOperation({
  id: "tokens.revoke",
  method: "DELETE",
  path: "/v1/tokens/{token}",
  summary: "Revoke a token for ever; the next request with it is refused",
  access: { who: "owner", of: ({ token }, deps) => deps.store.tokens.get(token) },
  params: tokenParams,
  answers: { 204: { description: "Revoked, now or before" } },
  problems: ["api.busy"],
  handle: async ({ actor, params, deps }) => {
    await deps.store.tokens.revoke(params.token, actor)
    return { status: 204 }
  },
})

import { tokenCreate, tokenCreated } from "../../../contracts/api.ts"
import { refuse } from "../../../kit/problem.ts"
import { defineOperation } from "./operation.ts"
import { showToken } from "./represent.ts"

export const tokensCreate = defineOperation({
  id: "tokens.create",
  method: "POST",
  path: "/v1/tokens",
  summary: "Make an ops token; the answer is the only place where it can be read",
  access: { who: "ops" },
  body: tokenCreate,
  answers: { 201: { description: "The token", shape: { name: "TokenCreated", shape: tokenCreated } } },
  problems: ["api.too-many-tokens", "api.busy"],
  handle: async ({ actor, body, deps }) => {
    if (body.role !== "ops")
      throw refuse("api.body-invalid", {
        errors: [{ pointer: "/role", detail: "must be ops here; a team's token is made at /v1/teams/{team}/tokens" }],
      })
    const wanted = { ...body, team: null, expiresInS: body.expiresInS ?? null }
    const { row, token } = await deps.store.tokens.create(wanted, actor)
    return { status: 201, body: { ...showToken(row), token } }
  },
})

import { tokenCreate, tokenCreated } from "../../../contracts/api.ts"
import { refuse } from "../../../kit/problem.ts"
import { defineOperation } from "./operation.ts"
import { teamOwner, teamParams } from "./parameters.ts"
import { showToken } from "./represent.ts"

export const teamTokensCreate = defineOperation({
  id: "team-tokens.create",
  method: "POST",
  path: "/v1/teams/{team}/tokens",
  summary: "Make a token of a team; the answer is the only place where it can be read",
  access: teamOwner,
  params: teamParams,
  body: tokenCreate,
  answers: { 201: { description: "The token", shape: { name: "TokenCreated", shape: tokenCreated } } },
  problems: ["api.too-many-tokens", "api.busy"],
  handle: async ({ actor, params, body, deps }) => {
    if (body.role !== "team")
      throw refuse("api.body-invalid", {
        errors: [{ pointer: "/role", detail: "a team's token has the role team; ops make theirs at /v1/tokens" }],
      })
    const wanted = { ...body, team: params.team, expiresInS: body.expiresInS ?? null }
    const { row, token } = await deps.store.tokens.create(wanted, actor)
    return { status: 201, body: { ...showToken(row), token } }
  },
})

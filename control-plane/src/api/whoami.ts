import { whoamiShape } from "../../../contracts/api.ts"
import { answerThing, defineOperation } from "./operation.ts"

export const whoami = defineOperation({
  id: "whoami.get",
  method: "GET",
  path: "/v1/whoami",
  summary: "Who the token stands for",
  access: { who: "any" },
  answers: { 200: { description: "The token's id, role and team", shape: { name: "Whoami", shape: whoamiShape } } },
  handle: async ({ actor: { tokenId, role, team } }) => answerThing({ tokenId, role, team }),
})

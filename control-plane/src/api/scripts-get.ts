import { scriptShape } from "../../../contracts/api.ts"
import { refuse } from "../../../kit/problem.ts"
import { answerThing, defineOperation } from "./operation.ts"
import { scriptOwner, scriptParams } from "./parameters.ts"
import { showScript } from "./represent.ts"

export const scriptsGet = defineOperation({
  id: "scripts.get",
  method: "GET",
  path: "/v1/scripts/{script}",
  summary: "Read a script with its settings and what is deployed of it",
  access: scriptOwner,
  params: scriptParams,
  answers: { 200: { description: "The script", shape: { name: "Script", shape: scriptShape } } },
  handle: async ({ params, deps }) => {
    const script = await deps.store.scripts.view(params.script)
    if (script === null) throw refuse("api.not-found")
    return answerThing(showScript(script))
  },
})

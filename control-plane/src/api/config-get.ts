import { configShape } from "../../../contracts/api.ts"
import { refuse } from "../../../kit/problem.ts"
import { answerThing, defineOperation } from "./operation.ts"
import { showRevision } from "./represent.ts"

export const configGet = defineOperation({
  id: "config.get",
  method: "GET",
  path: "/v1/config",
  summary: "Read which config revision is in force",
  access: { who: "ops" },
  answers: { 200: { description: "The newest revision", shape: { name: "ConfigRevision", shape: configShape } } },
  problems: ["api.not-found"],
  handle: async ({ deps }) => {
    const latest = await deps.store.revisions.latest()
    if (latest === null) throw refuse("api.not-found", { detail: "No config was published yet." })
    return answerThing(showRevision(latest))
  },
})

import { configShape } from "../../../contracts/api.ts"
import { refuse } from "../../../kit/problem.ts"
import { answerThing, defineOperation } from "./operation.ts"
import { revisionParams } from "./parameters.ts"
import { showRevision } from "./represent.ts"

export const configRevisionsGet = defineOperation({
  id: "config-revisions.get",
  method: "GET",
  path: "/v1/config/revisions/{revision}",
  summary: "Read when, by whom and why a config revision was published",
  access: { who: "ops" },
  params: revisionParams,
  answers: { 200: { description: "The revision", shape: { name: "ConfigRevision", shape: configShape } } },
  handle: async ({ params, deps }) => {
    const revision = await deps.store.revisions.get(params.revision)
    if (revision === null) throw refuse("api.not-found")
    return answerThing(showRevision(revision))
  },
})

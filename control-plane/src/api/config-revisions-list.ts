import { configShape, listOf } from "../../../contracts/api.ts"
import { answerPage, defineOperation } from "./operation.ts"
import { pageQuery } from "./parameters.ts"
import { showRevision } from "./represent.ts"

export const configRevisionsList = defineOperation({
  id: "config-revisions.list",
  method: "GET",
  path: "/v1/config/revisions",
  summary: "List config revisions, newest first",
  access: { who: "ops" },
  query: pageQuery,
  answers: {
    200: { description: "A page of revisions", shape: { name: "ConfigRevisionList", shape: listOf(configShape) } },
  },
  handle: async ({ query, deps }) => answerPage(await deps.store.revisions.list(query), showRevision),
})

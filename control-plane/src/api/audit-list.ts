import { auditShape, listOf } from "../../../contracts/api.ts"
import { answerPage, defineOperation } from "./operation.ts"
import { pageQuery } from "./parameters.ts"

export const auditList = defineOperation({
  id: "audit.list",
  method: "GET",
  path: "/v1/audit",
  summary: "List audit records, newest first",
  access: { who: "ops" },
  query: pageQuery,
  answers: { 200: { description: "A page of records", shape: { name: "AuditList", shape: listOf(auditShape) } } },
  handle: async ({ query, deps }) => answerPage(await deps.store.audit.list(query), (record) => record),
})

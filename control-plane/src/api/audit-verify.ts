import { z } from "zod"
import { defineOperation } from "./operation.ts"

const report = z.object({
  intact: z.boolean(),
  records: z.number().describe("How many records follow from one another, from the first on"),
  brokenAt: z.number().nullable().describe("`seq` of the first record that does not"),
  head: z
    .object({ seq: z.number(), hash: z.string() })
    .describe("The last good record; kept elsewhere, it also shows whether records were cut off the end"),
})

export const auditVerify = defineOperation({
  id: "audit.verify",
  method: "GET",
  path: "/v1/audit/verify",
  summary: "Recompute the audit's hash chain from its first record",
  access: { who: "ops" },
  answers: { 200: { description: "What was found", shape: { name: "AuditReport", shape: report } } },
  handle: async ({ deps }) => {
    const found = await deps.store.audit.verify()
    return { status: 200, body: { intact: found.brokenAt === null, ...found } }
  },
})

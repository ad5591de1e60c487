import { z } from "zod"
import { refuse } from "../../../kit/problem.ts"
import { defineOperation } from "./operation.ts"

const report = z.object({
  intact: z.boolean(),
  records: z
    .number()
    .describe("How many records follow from one another, from the first on; those up to `after` are taken for good"),
  brokenAt: z.number().nullable().describe("`seq` of the first record that does not"),
  head: z
    .object({ seq: z.number(), hash: z.string() })
    .describe("The last good record; kept elsewhere, it also shows whether records were cut off the end"),
  next: z
    .object({ after: z.number(), hash: z.string() })
    .nullable()
    .describe("Query of the call that goes on; null: there is no more"),
})

const query = z.object({
  after: z
    .string()
    .regex(/^[1-9][0-9]{0,14}$/)
    .transform(Number)
    .optional()
    .describe("`seq` of a record that is known to be good: of `next`, or of a `head` that was kept"),
  hash: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional()
    .describe("Its hash, which it must still have"),
})

export const auditVerify = defineOperation({
  id: "audit.verify",
  method: "GET",
  path: "/v1/audit/verify",
  summary:
    "Recompute the audit's hash chain from its first record, or after one that is named, 10,000 records at a time",
  access: { who: "ops" },
  query,
  answers: { 200: { description: "What was found", shape: { name: "AuditReport", shape: report } } },
  handle: async ({ query: { after, hash }, deps }) => {
    if ((after === undefined) !== (hash === undefined)) {
      const pointer = after === undefined ? "/after" : "/hash"
      throw refuse("api.query-invalid", { errors: [{ pointer, detail: "is needed: a record is named by both" }] })
    }
    const from = after === undefined || hash === undefined ? undefined : { seq: after, hash }
    const found = await deps.store.audit.verify(from)
    return { status: 200, body: { intact: found.brokenAt === null, ...found } }
  },
})

import { listOf } from "../../../contracts/api.ts"
import { revocationShape } from "../../../contracts/api-identity.ts"
import type { RevocationEntry } from "../../../contracts/revocation.ts"
import { refuse } from "../../../kit/problem.ts"
import { defineOperation } from "./operation.ts"
import { pageQuery } from "./parameters.ts"

/** A sequence number; nothing to be hidden in it. */
const CURSOR = /^(0|[1-9]\d{0,15})$/

export const revocationsList = defineOperation({
  id: "revocations.list",
  method: "GET",
  path: "/v1/revocations",
  summary: "List revocations that may still matter, oldest first",
  access: { who: "ops" },
  query: pageQuery,
  answers: {
    200: { description: "A page of revocations", shape: { name: "RevocationList", shape: listOf(revocationShape) } },
  },
  problems: ["revocation.unavailable"],
  handle: async ({ query: { cursor = "0", limit }, deps }) => {
    if (!CURSOR.test(cursor))
      throw refuse("api.query-invalid", { errors: [{ pointer: "/cursor", detail: "was not given by this list" }] })
    let items: readonly RevocationEntry[]
    try {
      items = await deps.revocations.list({ after: Number(cursor), limit })
    } catch (cause) {
      throw refuse("revocation.unavailable", { cause, headers: { "retry-after": "2" } })
    }
    const last = items.at(-1)
    const nextCursor = items.length < limit || last === undefined ? null : String(last.seq)
    return { status: 200, body: { items: items.map(show), nextCursor } }
  },
})

function show({ seq, atMs, target, beforeMs, keptUntilMs, reason, actor }: RevocationEntry) {
  const iso = (ms: number) => new Date(ms).toISOString()
  const before = beforeMs === null || !Number.isFinite(beforeMs) ? null : iso(beforeMs)
  return { seq, at: iso(atMs), target, before, keptUntil: iso(keptUntilMs), reason, actor }
}

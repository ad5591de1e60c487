import { z } from "zod"
import { listOf } from "../../../contracts/api.ts"
import { revocationShape } from "../../../contracts/api-identity.ts"
import type { RevocationEntry } from "../../../contracts/revocation.ts"
import { refuse } from "../../../kit/problem.ts"
import type { Dependencies } from "../dependencies.ts"
import { defineOperation } from "./operation.ts"
import { pageQuery } from "./parameters.ts"

/** A sequence number; nothing to be hidden in it. */
const CURSOR = /^(0|[1-9]\d{0,15})$/
/** What the log gives at once: that there is more beyond so many is not seen, and assumed. */
const LOG_MOST = 1_000

/** The log is read forward alone: the newest are one page, with nothing before it. */
const query = pageQuery.extend({
  newest: z
    .enum(["true", "false"])
    .default("false")
    .describe("`true`: the newest first, `limit` of them and no further page"),
})

export const revocationsList = defineOperation({
  id: "revocations.list",
  method: "GET",
  path: "/v1/revocations",
  summary: "List revocations that may still matter, oldest first",
  access: { who: "ops" },
  query,
  answers: {
    200: { description: "A page of revocations", shape: { name: "RevocationList", shape: listOf(revocationShape) } },
  },
  problems: ["revocation.unavailable"],
  handle: async ({ query: { cursor, limit, newest }, deps }) => {
    if (newest === "true") {
      if (cursor !== undefined) throw refuse("api.query-invalid", { errors: [NO_CURSOR] })
      const items = await listed({ limit }, deps)
      return { status: 200, body: { items: items.map(show).reverse(), nextCursor: null } }
    }
    if (cursor !== undefined && !CURSOR.test(cursor))
      throw refuse("api.query-invalid", { errors: [{ pointer: "/cursor", detail: "was not given by this list" }] })
    // One more than asked for tells whether there is a next page.
    const found = await listed({ after: Number(cursor ?? "0"), limit: Math.min(limit + 1, LOG_MOST) }, deps)
    const items = found.slice(0, limit)
    const isMore = found.length > limit || found.length === LOG_MOST
    const last = items.at(-1)
    return {
      status: 200,
      body: { items: items.map(show), nextCursor: isMore && last !== undefined ? String(last.seq) : null },
    }
  },
})

const NO_CURSOR = { pointer: "/cursor", detail: "goes on with the oldest; the newest are one page" }

async function listed(
  wanted: Parameters<Dependencies["revocations"]["list"]>[0],
  deps: Dependencies,
): Promise<readonly RevocationEntry[]> {
  try {
    return await deps.revocations.list(wanted)
  } catch (cause) {
    throw refuse("revocation.unavailable", { cause, headers: { "retry-after": "2" } })
  }
}

function show({ seq, atMs, target, beforeMs, keptUntilMs, reason, actor }: RevocationEntry) {
  const iso = (ms: number) => new Date(ms).toISOString()
  const before = beforeMs === null || !Number.isFinite(beforeMs) ? null : iso(beforeMs)
  return { seq, at: iso(atMs), target, before, keptUntil: iso(keptUntilMs), reason, actor }
}

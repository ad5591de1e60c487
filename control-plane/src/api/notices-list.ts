import { z } from "zod"
import { listOf, type Notice, noticeShape, scriptNameShape, teamName } from "../../../contracts/api.ts"
import { noticesOf } from "../notices.ts"
import { readRegistry } from "../store/registry.ts"
import { defineOperation } from "./operation.ts"
import { pageQuery, scopeOf } from "./parameters.ts"

const query = pageQuery.extend({
  about: z
    .string()
    .max(200)
    .optional()
    .describe("Only about this thing: its path below `/v1`, such as `routes/web-pages`"),
  script: scriptNameShape.optional().describe("Only what concerns this script, routes to it included"),
  team: teamName.optional().describe("Only about what is this team's"),
})

export const noticesList = defineOperation({
  id: "notices.list",
  method: "GET",
  path: "/v1/notices",
  summary:
    "List what is in force and may not be meant, such as a route that nobody can pass or a switch that is thrown: all for ops, about the own things for a team",
  access: { who: "any" },
  query,
  answers: { 200: { description: "A page of notices", shape: { name: "NoticeList", shape: listOf(noticeShape) } } },
  handle: async ({ actor, query: { cursor = "", limit, about, script, team }, deps }) => {
    const all = noticesOf(await readRegistry(deps.db), scopeOf(actor), { about, script, team })
    // In the order of their keys, so that one that comes or goes meanwhile moves no other to another page.
    const rest = all.filter((notice) => keyOf(notice) > cursor)
    const items = rest.slice(0, limit)
    const last = items.at(-1)
    return {
      status: 200,
      body: { items, nextCursor: last === undefined || rest.length === items.length ? null : keyOf(last) },
    }
  },
})

function keyOf({ about, code }: Notice): string {
  return `${about} ${code}`
}

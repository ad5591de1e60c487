import { listOf, noticeShape } from "../../../contracts/api.ts"
import { noticesOf } from "../notices.ts"
import { readRegistry } from "../store/registry.ts"
import { defineOperation } from "./operation.ts"
import { scopeOf } from "./parameters.ts"

const MOST = 1_000

export const noticesList = defineOperation({
  id: "notices.list",
  method: "GET",
  path: "/v1/notices",
  summary: `List what is in force and may not be meant, such as a route that nobody can pass or a switch that is thrown: all for ops, about the own things for a team; the first ${MOST}, on one page`,
  access: { who: "any" },
  answers: { 200: { description: "The notices", shape: { name: "NoticeList", shape: listOf(noticeShape) } } },
  handle: async ({ actor, deps }) => {
    const items = noticesOf(await readRegistry(deps.db), scopeOf(actor)).slice(0, MOST)
    return { status: 200, body: { items, nextCursor: null } }
  },
})

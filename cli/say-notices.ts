/** What a change left behind that may not be meant, said below its answer. The change was made: nothing here makes it fail. */
import { listOf, type Notice, noticeShape } from "../contracts/api.ts"
import type { ApiClient } from "./api-client.ts"
import { printable } from "./failure.ts"
import type { Io } from "./io.ts"

/** The most that the API gives at once. */
const SAID_AT_MOST = 1000
const NONE: { readonly items: readonly Notice[]; readonly nextCursor: string | null } = { items: [], nextCursor: null }

const FIELDS = ["about", "script", "team"] as const
type Of = Readonly<Partial<Record<(typeof FIELDS)[number], string>>>

/** Of those of one thing: what it is about, the script or the team that it concerns. On standard error, where a program that reads the answer is not disturbed. A switch that is thrown is not said again: it was asked for, or is in the answer. */
export async function sayNotices(io: Io, api: ApiClient, of: Of): Promise<void> {
  const query = new URLSearchParams({ ...of, limit: String(SAID_AT_MOST) })
  const { items, nextCursor } = await api.get(`/v1/notices?${query}`, listOf(noticeShape)).then(
    ({ value }) => value,
    () => NONE,
  )
  const concerns = (notice: Notice) => FIELDS.every((field) => (of[field] ?? notice[field]) === notice[field])
  for (const notice of items)
    if (notice.code !== "switched-off" && concerns(notice))
      io.err(`notice: ${notice.about}: ${printable(notice.detail)}\n`)
  if (nextCursor !== null) io.err("notice: there are more: sallyport notices list\n")
}

/** What a change left behind that may not be meant, said below its answer. The change was made: nothing here makes it fail. */
import { type Notice, noticeShape } from "../contracts/api.ts"
import type { ApiClient } from "./api-client.ts"
import { printable } from "./failure.ts"
import type { Io } from "./io.ts"

const NONE: { readonly items: readonly Notice[] } = { items: [] }

/** On standard error, where a program that reads the answer is not disturbed. A switch that is thrown is not said again: it was asked for, or is in the answer. */
export async function sayNotices(io: Io, api: ApiClient, concerns: (notice: Notice) => boolean): Promise<void> {
  const { items } = await api.list("/v1/notices", noticeShape, Number.MAX_SAFE_INTEGER).catch(() => NONE)
  for (const notice of items)
    if (notice.code !== "switched-off" && concerns(notice))
      io.err(`notice: ${notice.about}: ${printable(notice.detail)}\n`)
}

import type { Command } from "commander"
import { configShape } from "../../contracts/api.ts"
import { type ListOptions, listCommandOf, listed } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson, printTable } from "../print.ts"

export function configHistory(io: Io): Command {
  return listCommandOf("history", "list config revisions, newest first", "config history --limit 20").action(
    async (options: ListOptions) => {
      const revisions = await listed("/v1/config/revisions", configShape, options, io)
      if (options.json) return printJson(io, revisions)
      printTable(
        io,
        ["REVISION", "DIGEST", "BYTES", "PUBLISHED", "BY", "REASON"],
        revisions.map((each) => [
          each.revision,
          each.digest.slice(0, 12),
          each.sizeBytes,
          each.publishedAt,
          each.publishedBy,
          each.reason,
        ]),
        "Nothing was published yet.",
      )
    },
  )
}

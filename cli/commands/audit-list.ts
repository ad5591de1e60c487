import type { Command } from "commander"
import { auditShape } from "../../contracts/api.ts"
import { type ListOptions, listCommandOf, listed } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson, printTable } from "../print.ts"

export function auditList(io: Io): Command {
  return listCommandOf("list", "list changes, newest first", "audit list --limit 20").action(
    async (options: ListOptions) => {
      const records = await listed("/v1/audit", auditShape, options, io)
      if (options.json) return printJson(io, records)
      printTable(
        io,
        ["SEQ", "AT", "ACTOR", "ACTION", "TARGET", "DETAIL"],
        records.map((each) => [
          each.seq,
          each.at,
          each.actor,
          each.action,
          each.target,
          JSON.stringify(each.detail).slice(0, 100),
        ]),
        "The audit is empty.",
      )
    },
  )
}

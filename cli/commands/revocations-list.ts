import type { Command } from "commander"
import { revocationShape } from "../../contracts/api-identity.ts"
import { apiOf, type ListOptions, listCommandOf } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson, printTable } from "../print.ts"

export function revocationsList(io: Io): Command {
  return listCommandOf("list", "list revocations that may still matter, oldest first", "revocations list").action(
    async (options: ListOptions) => {
      const found = await apiOf(io).list("/v1/revocations", revocationShape, options.limit)
      if (options.json) return printJson(io, found)
      printTable(
        io,
        ["SEQ", "AT", "KIND", "WHAT", "MADE UNTIL", "KEPT UNTIL", "BY", "REASON"],
        found.map(({ seq, at, target: { kind, ...names }, before, keptUntil, actor, reason }) => [
          ...[seq, at, kind],
          Object.values(names).join(" "),
          ...[before ?? "whenever", keptUntil, actor, reason],
        ]),
        "Nothing is revoked.",
      )
    },
  )
}

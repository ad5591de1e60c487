import type { Command } from "commander"
import { tokenShape } from "../../contracts/api.ts"
import { apiOf, type ListOptions, listCommandOf } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson, printTable } from "../print.ts"
import { tokensPath } from "../tokens-path.ts"

interface Options extends ListOptions {
  readonly team?: string
}

export function tokensList(io: Io): Command {
  return listCommandOf("list", "list tokens, revoked ones too", "tokens list --team web")
    .option("--team <team>", "of this team; without it, of your own, or for ops all")
    .action(async (options: Options) => {
      const tokens = await apiOf(io).list(tokensPath(options.team), tokenShape, options.limit)
      if (options.json) return printJson(io, tokens)
      printTable(
        io,
        ["TOKEN", "ROLE", "TEAM", "LABEL", "MADE BY", "CREATED", "EXPIRES", "REVOKED"],
        tokens.map((each) => [
          each.id,
          each.role,
          each.team,
          each.label,
          each.createdBy,
          each.createdAt,
          each.expiresAt,
          each.revokedAt,
        ]),
        "There are no tokens.",
      )
    })
}

import type { Command } from "commander"
import { tokenShape, whoamiShape } from "../../contracts/api.ts"
import { apiOf, type ListOptions, listCommandOf, listed } from "../command.ts"
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
      // All of them are shown to ops alone.
      const team = options.team ?? (await apiOf(io).get("/v1/whoami", whoamiShape)).value.team ?? undefined
      const tokens = await listed(tokensPath(team), tokenShape, options, io)
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

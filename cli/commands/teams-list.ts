import type { Command } from "commander"
import { teamShape } from "../../contracts/api.ts"
import { type ListOptions, listCommandOf, listed } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson, printTable } from "../print.ts"

export function teamsList(io: Io): Command {
  return listCommandOf("list", "list teams", "teams list").action(async (options: ListOptions) => {
    const teams = await listed("/v1/teams", teamShape, options, io)
    if (options.json) return printJson(io, teams)
    printTable(
      io,
      ["TEAM", "GRANTS", "EGRESS", "KILL", "CREATED"],
      teams.map((team) => [team.name, team.grants.join(" "), team.egress.join(" "), team.kill?.mode, team.createdAt]),
      "There are no teams yet. `sallyport teams set <team>` makes one.",
    )
  })
}

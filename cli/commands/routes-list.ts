import type { Command } from "commander"
import { routeShape } from "../../contracts/api.ts"
import { type ListOptions, listCommandOf, listed } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson, printTable } from "../print.ts"
import { releasesText } from "../releases.ts"

export function routesList(io: Io): Command {
  return listCommandOf("list", "list routes", "routes list").action(async (options: ListOptions) => {
    const routes = await listed("/v1/routes", routeShape, options, io)
    if (options.json) return printJson(io, routes)
    printTable(
      io,
      ["ROUTE", "HOSTNAME", "PATH", "SCRIPT", "TEAM", "AUTH", "RELEASES", "KILL"],
      routes.map((each) => [
        each.id,
        each.hostname,
        each.path,
        each.script,
        each.team,
        each.auth.mode,
        each.releases === undefined ? "the script's" : releasesText(each.releases),
        each.kill?.mode,
      ]),
      "There are no routes yet. `sallyport routes set --help` shows how to make one.",
    )
  })
}

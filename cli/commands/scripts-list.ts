import type { Command } from "commander"
import { scriptShape } from "../../contracts/api.ts"
import { type ListOptions, listCommandOf, listed } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson, printTable } from "../print.ts"
import { releasesText } from "../releases.ts"

export function scriptsList(io: Io): Command {
  return listCommandOf("list", "list scripts", "scripts list").action(async (options: ListOptions) => {
    const scripts = await listed("/v1/scripts", scriptShape, options, io)
    if (options.json) return printJson(io, scripts)
    printTable(
      io,
      ["SCRIPT", "TEAM", "RELEASES", "LATEST", "CREATED"],
      scripts.map((each) => [each.name, each.team, releasesText(each.releases), each.latestVersion, each.createdAt]),
      "There are no scripts yet. `wrangler deploy --dispatch-namespace <namespace>` uploads one.",
    )
  })
}

import type { Command } from "commander"
import { hostnameShape } from "../../contracts/api.ts"
import { type ListOptions, listCommandOf, listed } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson, printTable } from "../print.ts"

export function hostnamesList(io: Io): Command {
  return listCommandOf("list", "list hostnames", "hostnames list").action(async (options: ListOptions) => {
    const hostnames = await listed("/v1/hostnames", hostnameShape, options, io)
    if (options.json) return printJson(io, hostnames)
    printTable(
      io,
      ["HOSTNAME", "TEAM", "OPEN", "CREATED"],
      hostnames.map((each) => [each.hostname, each.team, each.open, each.createdAt]),
      "There are no hostnames yet. `sallyport hostnames set <hostname>` makes one.",
    )
  })
}

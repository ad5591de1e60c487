import type { Command } from "commander"
import { hostnameShape } from "../../contracts/api.ts"
import { apiOf, type CommonOptions, commandOf, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { printFields, printJson } from "../print.ts"

export function hostnamesGet(io: Io): Command {
  return commandOf("get", "show one hostname", "hostnames get api.example.com")
    .argument("<hostname>")
    .action(async (name: string, options: CommonOptions) => {
      const { value } = await apiOf(io).get(`/v1/hostnames/${segment(name)}`, hostnameShape)
      if (options.json) return printJson(io, value)
      printFields(io, { hostname: value.hostname, team: value.team, open: value.open, created: value.createdAt })
    })
}

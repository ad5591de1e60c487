import type { Command } from "commander"
import { teamShape } from "../../contracts/api.ts"
import { apiOf, type CommonOptions, commandOf, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { printFields, printJson } from "../print.ts"

export function teamsGet(io: Io): Command {
  return commandOf("get", "show one team", "teams get web")
    .argument("<team>")
    .action(async (name: string, options: CommonOptions) => {
      const { value } = await apiOf(io).get(`/v1/teams/${segment(name)}`, teamShape)
      if (options.json) return printJson(io, value)
      printFields(io, {
        team: value.name,
        grants: value.grants.join(" "),
        egress: value.egress.join(" "),
        "switched off": value.kill === null ? "no" : `${value.kill.mode}: ${value.kill.reason}`,
        created: value.createdAt,
      })
    })
}

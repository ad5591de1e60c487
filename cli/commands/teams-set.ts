import type { Command } from "commander"
import { teamShape } from "../../contracts/api.ts"
import { apiOf, type ChangeOptions, changeCommandOf, collect, messageOf, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { addKillOptions, type KillOptions, killOf } from "../kill-switch.ts"
import { printJson } from "../print.ts"
import { sayNotices } from "../say-notices.ts"

interface Options extends ChangeOptions, KillOptions {
  readonly grant?: readonly string[] | false
  readonly egress?: readonly string[] | false
}

/** Reads, changes what was named, and writes back what it read with If-Match: nobody's change in between is lost. */
export function teamsSet(io: Io): Command {
  const command = changeCommandOf(
    "set",
    "make a team, or replace its grants or egress origins, or switch it off or on",
    "teams set web --grant zones:read --grant audience:cell:us01 --egress https://cell.example:8443",
    "teams set web --no-egress",
    "teams set web --kill 'its token leaked, incident 42'",
  )
    .argument("<team>")
    .option("--grant <grant>", "a grant; repeatable; replaces all", collect)
    .option("--no-grant", "take all grants away")
    .option("--egress <origin>", "an origin the team's Workers may call; repeatable; replaces all", collect)
    .option("--no-egress", "let them call nothing")
  return addKillOptions(command, "all routes and scripts of the team").action(
    async (name: string, options: Options) => {
      const kill = killOf(options)
      const api = apiOf(io)
      const path = `/v1/teams/${segment(name)}`
      const before = await api.find(path, teamShape)
      const body = {
        grants: chosen(options.grant, before?.value.grants),
        egress: chosen(options.egress, before?.value.egress),
        ...(kill === undefined ? {} : { kill }),
        ...messageOf(options),
      }
      const { value } = await api.put(path, teamShape, { body, before })
      if (options.json) return printJson(io, value)
      const state = value.kill === null ? "" : `, switched off (${value.kill.mode})`
      io.out(`${before === null ? "Made" : "Changed"} team ${value.name}${state}\n`)
      await sayNotices(io, api, { team: name })
    },
  )
}

/** `--no-x` arrives as false, an absent option as undefined or (with a negation defined) true. */
function chosen(
  option: readonly string[] | boolean | undefined,
  before: readonly string[] | undefined,
): readonly string[] {
  if (option === false) return []
  return Array.isArray(option) ? option : (before ?? [])
}

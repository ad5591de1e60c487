import type { Command } from "commander"
import { teamShape } from "../../contracts/api.ts"
import { apiOf, type ChangeOptions, changeCommandOf, messageQuery, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

interface Options extends ChangeOptions {
  readonly dryRun?: true
}

/** Without `--yes`: the control plane refuses, and names, whatever anybody still has of it. */
export function teamsDelete(io: Io): Command {
  return changeCommandOf("delete", "remove a team that has nothing of its own any more", "teams delete wbe -m 'a slip'")
    .argument("<team>")
    .option("--dry-run", "check it, and remove nothing")
    .action(async (name: string, options: Options) => {
      const api = apiOf(io)
      const path = `/v1/teams/${segment(name)}`
      const { value, etag } = await api.get(path, teamShape)
      await api.delete(path + messageQuery(options), { before: { etag } })
      if (options.json) printJson(io, value)
      else io.out(`${options.dryRun ? "Would delete" : "Deleted"} team ${name}\n`)
    })
}

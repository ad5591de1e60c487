import type { Command } from "commander"
import { scriptShape } from "../../contracts/api.ts"
import { apiOf, type ChangeOptions, changeCommandOf, messageQuery, segment } from "../command.ts"
import { Failure } from "../failure.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"
import { releasesText } from "../releases.ts"

interface Options extends ChangeOptions {
  readonly yes?: true
}

/** Asks by refusing: the same line with `--yes` does it, whether a person or a program types. */
export function scriptsDelete(io: Io): Command {
  return changeCommandOf("delete", "take a script out of service", "scripts delete files --yes -m 'moved to pages'")
    .argument("<script>")
    .option("--yes", "really do it")
    .action(async (name: string, options: Options) => {
      const api = apiOf(io)
      const path = `/v1/scripts/${segment(name)}`
      const { value, etag } = await api.get(path, scriptShape)
      if (options.yes !== true)
        throw new Failure(`Nothing was deleted: script ${name} of team ${value.team}`, {
          why: `Its releases: ${releasesText(value.releases)}. Its versions stay stored, and its name stays with the team.`,
          fix: `Add --yes to take it out of service.`,
        })
      await api.delete(path + messageQuery(options), { before: { etag } })
      if (options.json) printJson(io, value)
      else io.out(`Deleted script ${name} of team ${value.team}\n`)
    })
}

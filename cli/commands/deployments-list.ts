import type { Command } from "commander"
import { deploymentShape } from "../../contracts/api.ts"
import { type ListOptions, listCommandOf, listed, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson, printTable } from "../print.ts"
import { releasesText } from "../releases.ts"

export function deploymentsList(io: Io): Command {
  return listCommandOf("list", "list a script's deployments, newest first", "deployments list files")
    .argument("<script>")
    .action(async (script: string, options: ListOptions) => {
      const path = `/v1/scripts/${segment(script)}/deployments`
      const deployments = await listed(path, deploymentShape, options, io)
      if (options.json) return printJson(io, deployments)
      printTable(
        io,
        ["DEPLOYMENT", "RELEASES", "PHASE", "CONFIG", "MESSAGE", "CREATED", "BY"],
        deployments.map((each) => [
          each.id,
          releasesText(each.releases),
          each.phase,
          each.configRevision,
          each.message,
          each.createdAt,
          each.createdBy,
        ]),
        `${script} has no deployment yet. \`sallyport deployments create ${script} <version>\` makes one.`,
      )
    })
}

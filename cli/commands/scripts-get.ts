import type { Command } from "commander"
import { scriptShape } from "../../contracts/api.ts"
import { apiOf, type CommonOptions, commandOf, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { printFields, printJson } from "../print.ts"
import { releasesText } from "../releases.ts"

export function scriptsGet(io: Io): Command {
  return commandOf("get", "show one script", "scripts get files")
    .argument("<script>")
    .action(async (name: string, options: CommonOptions) => {
      const { value } = await apiOf(io).get(`/v1/scripts/${segment(name)}`, scriptShape)
      if (options.json) return printJson(io, value)
      printFields(io, {
        script: value.name,
        team: value.team,
        releases: releasesText(value.releases),
        "latest version": value.latestVersion,
        "sticky by": value.stickyBy,
        limits: `${value.limits.cpuMs} ms CPU, ${value.limits.subRequests} subrequests`,
        timeout: `${value.timeoutMs} ms`,
        "deploy on upload": value.deployOnUpload,
        "keeps assets of": `${value.keepAssetVersions} earlier versions`,
        "keeps in place": `${value.keepPlacedVersions} versions, the last used first`,
        "asks of callers": value.access === null ? "nothing" : JSON.stringify(value.access),
        "switched off": value.kill === null ? "no" : `${value.kill.mode}: ${value.kill.reason}`,
        created: value.createdAt,
      })
    })
}

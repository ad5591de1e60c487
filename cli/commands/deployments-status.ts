import type { Command } from "commander"
import { deploymentShape, scriptShape } from "../../contracts/api.ts"
import { apiOf, type CommonOptions, commandOf, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { printFields, printJson } from "../print.ts"
import { releasesText } from "../releases.ts"
import { revisionAt } from "../wait-for-revision.ts"

/** The newest deployment, what is configured, and whether the edge has it. */
export function deploymentsStatus(io: Io): Command {
  return commandOf("status", "show what receives a script's traffic now", "deployments status files")
    .argument("<script>")
    .action(async (name: string, options: CommonOptions) => {
      const api = apiOf(io)
      const { edgeUrl } = api.connection
      const path = `/v1/scripts/${segment(name)}`
      const { value: script } = await api.get(path, scriptShape)
      const [newest = null] = (await api.list(`${path}/deployments`, deploymentShape, 1)).items
      const edgeRevision = edgeUrl === undefined ? null : await revisionAt(edgeUrl, io)
      if (options.json) return printJson(io, { releases: script.releases, newest, edgeRevision })
      printFields(io, {
        script: script.name,
        releases: releasesText(script.releases),
        "newest deployment": newest === null ? null : `${newest.id}, ${newest.phase}`,
        "config revision": newest?.configRevision,
        "edge enforces": edgeUrl === undefined ? "unknown; no edge is configured" : edgeRevision,
      })
    })
}

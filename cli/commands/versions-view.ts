import type { Command } from "commander"
import { versionShape } from "../../contracts/api.ts"
import { apiOf, type CommonOptions, commandOf, positive, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { printFields, printJson } from "../print.ts"

export function versionsView(io: Io): Command {
  return commandOf("view", "show one version", "versions view files 12")
    .argument("<script>")
    .argument("<version>", "its number", positive)
    .action(async (script: string, version: number, options: CommonOptions) => {
      const { value } = await apiOf(io).get(`/v1/scripts/${segment(script)}/versions/${version}`, versionShape)
      if (options.json) return printJson(io, value)
      printFields(io, {
        version: value.placedName,
        state: value.state,
        digest: value.digest,
        bytes: value.sizeBytes,
        tag: value.tag,
        message: value.message,
        created: `${value.createdAt} by ${value.createdBy}`,
      })
    })
}

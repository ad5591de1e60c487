import type { Command } from "commander"
import { versionShape } from "../../contracts/api.ts"
import { type ListOptions, listCommandOf, listed, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson, printTable } from "../print.ts"

export function versionsList(io: Io): Command {
  return listCommandOf("list", "list a script's versions", "versions list files")
    .argument("<script>")
    .action(async (script: string, options: ListOptions) => {
      const path = `/v1/scripts/${segment(script)}/versions`
      const versions = await listed(path, versionShape, options, io)
      if (options.json) return printJson(io, versions)
      printTable(
        io,
        ["VERSION", "STATE", "DIGEST", "BYTES", "TAG", "MESSAGE", "CREATED", "BY"],
        versions.map((each) => [
          each.version,
          each.state,
          each.digest.slice(0, 12),
          each.sizeBytes,
          each.tag,
          each.message,
          each.createdAt,
          each.createdBy,
        ]),
        `Nothing was uploaded as ${script} yet.`,
      )
    })
}

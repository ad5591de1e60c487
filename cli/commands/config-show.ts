import type { Command } from "commander"
import { configShape } from "../../contracts/api.ts"
import { apiOf, type CommonOptions, commandOf } from "../command.ts"
import type { Io } from "../io.ts"
import { printFields, printJson } from "../print.ts"
import { revisionAt } from "../wait-for-revision.ts"

export function configShow(io: Io): Command {
  return commandOf("show", "show the config revision in force", "config show").action(
    async (options: CommonOptions) => {
      const api = apiOf(io)
      const { edgeUrl } = api.connection
      const { value } = await api.get("/v1/config", configShape)
      const edgeRevision = edgeUrl === undefined ? null : await revisionAt(edgeUrl, io)
      if (options.json) return printJson(io, { ...value, edgeRevision })
      printFields(io, {
        revision: value.revision,
        digest: value.digest,
        bytes: value.sizeBytes,
        published: `${value.publishedAt} by ${value.publishedBy}`,
        reason: value.reason,
        "edge enforces": edgeUrl === undefined ? "unknown; no edge is configured" : edgeRevision,
      })
    },
  )
}

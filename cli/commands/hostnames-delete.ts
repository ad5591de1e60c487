import type { Command } from "commander"
import { hostnameShape } from "../../contracts/api.ts"
import { apiOf, type ChangeOptions, changeCommandOf, messageQuery, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

interface Options extends ChangeOptions {
  readonly dryRun?: true
}

/** Without `--yes`: the control plane refuses, and names, whatever anybody still has of it. */
export function hostnamesDelete(io: Io): Command {
  return changeCommandOf(
    "delete",
    "remove a hostname on which no route stands",
    "hostnames delete ap.procore.com -m 'a slip'",
  )
    .argument("<hostname>")
    .option("--dry-run", "check it, and remove nothing")
    .action(async (name: string, options: Options) => {
      const api = apiOf(io)
      const path = `/v1/hostnames/${segment(name)}`
      const { value, etag } = await api.get(path, hostnameShape)
      await api.delete(path + messageQuery(options), { before: { etag } })
      if (options.json) printJson(io, value)
      else io.out(`${options.dryRun ? "Would delete" : "Deleted"} hostname ${name}\n`)
    })
}

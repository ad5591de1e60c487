import type { Command } from "commander"
import { serviceAccountShape } from "../../contracts/api-identity.ts"
import { apiOf, type ChangeOptions, changeCommandOf, messageQuery, segment } from "../command.ts"
import { Failure } from "../failure.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

interface Options extends ChangeOptions {
  readonly yes?: true
}

export function serviceAccountsDelete(io: Io): Command {
  return changeCommandOf(
    "delete",
    "remove a service account with all its keys",
    "service-accounts delete export --yes -m 'replaced by sync'",
  )
    .argument("<name>")
    .option("--yes", "really do it")
    .action(async (name: string, options: Options) => {
      const api = apiOf(io)
      const path = `/v1/service-accounts/${segment(name)}`
      const { value, etag } = await api.get(path, serviceAccountShape)
      if (options.yes !== true)
        throw new Failure(`Nothing was removed: service account ${name}`, {
          why: `It has ${value.keys.length} keys, and whoever calls with one would be refused.`,
          fix: "Add --yes to remove it.",
        })
      await api.delete(path + messageQuery(options), { before: { etag } })
      if (options.json) printJson(io, value)
      else io.out(`Removed service account ${name} and its ${value.keys.length} keys\n`)
    })
}

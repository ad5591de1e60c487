import type { Command } from "commander"
import { serviceAccountShape } from "../../contracts/api-identity.ts"
import { apiOf, type CommonOptions, commandOf, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { printFields, printJson } from "../print.ts"

export function serviceAccountsGet(io: Io): Command {
  return commandOf("get", "show a service account and the ids of its keys", "service-accounts get export")
    .argument("<name>")
    .action(async (name: string, options: CommonOptions) => {
      const { value } = await apiOf(io).get(`/v1/service-accounts/${segment(name)}`, serviceAccountShape)
      if (options.json) return printJson(io, value)
      const keys = value.keys.map(({ id, expiresAt }) => `${id} until ${expiresAt}`)
      printFields(io, {
        name: value.name,
        scopes: value.scopes.join(" "),
        company: value.company,
        keys: keys.join(", "),
      })
    })
}

import type { Command } from "commander"
import { serviceAccountShape } from "../../contracts/api-identity.ts"
import { type ListOptions, listCommandOf, listed } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson, printTable } from "../print.ts"

export function serviceAccountsList(io: Io): Command {
  return listCommandOf("list", "list service accounts", "service-accounts list").action(
    async (options: ListOptions) => {
      const accounts = await listed("/v1/service-accounts", serviceAccountShape, options, io)
      if (options.json) return printJson(io, accounts)
      printTable(
        io,
        ["NAME", "SCOPES", "COMPANY", "KEYS"],
        accounts.map(({ name, scopes, company, keys }) => [name, scopes.join(" "), company, keys.length]),
        "There are no service accounts yet; `sallyport service-accounts set <name>` makes one.",
      )
    },
  )
}

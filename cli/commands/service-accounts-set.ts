import type { Command } from "commander"
import { serviceAccountShape } from "../../contracts/api-identity.ts"
import { apiOf, type ChangeOptions, changeCommandOf, collect, messageOf, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

interface Options extends ChangeOptions {
  readonly scope?: readonly string[] | boolean
  readonly company?: string | boolean
}

/** Reads, changes what was named, and writes back what it read with If-Match. Keys stay as they are. */
export function serviceAccountsSet(io: Io): Command {
  return changeCommandOf(
    "set",
    "make a service account, or replace what it may",
    "service-accounts set export --scope projects:read --company 100 -m 'nightly export'",
    "service-accounts set export --no-company",
  )
    .argument("<name>")
    .option("--scope <scope>", "a scope; repeatable; replaces all", collect)
    .option("--no-scope", "take all scopes away")
    .option("--company <id>", "bind it to this company")
    .option("--no-company", "bind it to none")
    .action(async (name: string, options: Options) => {
      const api = apiOf(io)
      const path = `/v1/service-accounts/${segment(name)}`
      const before = await api.find(path, serviceAccountShape)
      const { scope, company } = options
      const body = {
        scopes: scope === false ? [] : Array.isArray(scope) ? scope : (before?.value.scopes ?? []),
        company: company === false ? null : typeof company === "string" ? company : (before?.value.company ?? null),
        ...messageOf(options),
      }
      const { value } = await api.put(path, serviceAccountShape, { body, before })
      if (options.json) return printJson(io, value)
      io.out(`${before === null ? "Made" : "Changed"} service account ${value.name}\n`)
      if (value.keys.length === 0) io.err(`It has no key yet: sallyport service-accounts create-key ${value.name}\n`)
    })
}

/** The keys of service accounts: made once, seen once, taken away one by one. */
import type { Command } from "commander"
import { serviceAccountKeyCreated } from "../../contracts/api-identity.ts"
import { SERVICE_ACCOUNTS_IDP } from "../../contracts/dispatch-config.ts"
import {
  apiOf,
  type ChangeOptions,
  changeCommandOf,
  messageOf,
  messageQuery,
  positive,
  segment,
  validFor,
} from "../command.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

interface CreateOptions extends ChangeOptions {
  readonly expiresInDays?: number
}

export function serviceAccountsCreateKey(io: Io): Command {
  return changeCommandOf(
    "create-key",
    "make a key of a service account; it is shown this once",
    "service-accounts create-key export --expires-in-days 365",
  )
    .argument("<name>")
    .option("--expires-in-days <n>", "valid so long, at most 366; without it 366", positive)
    .action(async (name: string, options: CreateOptions) => {
      const body = { ...validFor(options.expiresInDays), ...messageOf(options) }
      const path = `/v1/service-accounts/${segment(name)}/keys`
      const { value } = await apiOf(io).post(path, serviceAccountKeyCreated, { body })
      if (options.json) return printJson(io, value)
      // The key alone on standard output, so that it can be piped into a secret store.
      io.err(`Key ${value.id} of ${name}; it is not shown again:\n`)
      io.out(`${value.key}\n`)
    })
}

export function serviceAccountsDeleteKey(io: Io): Command {
  return changeCommandOf(
    "delete-key",
    "take a key of a service account away",
    "service-accounts delete-key export k-018f2d3c -m 'leaked, incident 42'",
  )
    .argument("<name>")
    .argument("<key>", "its id, as `service-accounts get` lists it")
    .action(async (name: string, key: string, options: ChangeOptions) => {
      await apiOf(io).delete(`/v1/service-accounts/${segment(name)}/keys/${segment(key)}${messageQuery(options)}`)
      if (options.json) printJson(io, { id: key })
      else
        io.out(
          `Took key ${key} of ${name} away; the edge refuses it once it has the new config, which takes up to three minutes\n`,
        )
      // Beside the answer of a program, too: a leaked key is what this is used for in a hurry.
      io.err(
        `To refuse it within seconds: sallyport revocations create key ${SERVICE_ACCOUNTS_IDP} ${name}/${key} -m '…'\n`,
      )
    })
}

import type { Command } from "commander"
import { tokenCreated } from "../../contracts/api.ts"
import { apiOf, type ChangeOptions, changeCommandOf, messageOf, positive, validFor } from "../command.ts"
import { Failure } from "../failure.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"
import { tokensPath } from "../tokens-path.ts"

interface Options extends ChangeOptions {
  readonly team?: string
  readonly ops?: true
  readonly expiresInDays?: number
}

export function tokensCreate(io: Io): Command {
  return changeCommandOf(
    "create",
    "make a token; it is shown this once",
    "tokens create 'CI of web' --team web --expires-in-days 90",
  )
    .argument("<label>", "who or what will use it")
    .option("--team <team>", "for this team")
    .option("--ops", "for central ops instead of a team")
    .option("--expires-in-days <n>", "valid so long; without it until revoked", positive)
    .action(async (label: string, options: Options) => {
      if ((options.team === undefined) === (options.ops === undefined))
        throw new Failure("Say whose token it is to be", { fix: "Give either --team <team> or --ops." })
      const body = {
        role: options.ops ? "ops" : "team",
        label,
        ...validFor(options.expiresInDays),
        ...messageOf(options),
      }
      const { value } = await apiOf(io).post(tokensPath(options.team), tokenCreated, { body })
      if (options.json) return printJson(io, value)
      // The token alone on standard output, so that it can be piped into a secret store.
      io.err(`Token ${value.id} for ${value.team ?? "ops"}; it is not shown again:\n`)
      io.out(`${value.token}\n`)
    })
}

import type { Command } from "commander"
import { apiOf, type ChangeOptions, changeCommandOf, messageQuery, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

export function tokensRevoke(io: Io): Command {
  return changeCommandOf(
    "revoke",
    "refuse a token from now on, for ever",
    "tokens revoke t-01HZX -m 'leaked, incident 42'",
  )
    .argument("<id>", "the token's id, as `tokens list` shows it")
    .action(async (id: string, options: ChangeOptions) => {
      await apiOf(io).delete(`/v1/tokens/${segment(id)}${messageQuery(options)}`)
      if (options.json) printJson(io, { id, revoked: true })
      else io.out(`Revoked token ${id}\n`)
    })
}

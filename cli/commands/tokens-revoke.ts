import type { Command } from "commander"
import { apiOf, type CommonOptions, commandOf, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

export function tokensRevoke(io: Io): Command {
  return commandOf("revoke", "refuse a token from now on, for ever", "tokens revoke t-01HZX")
    .argument("<id>", "the token's id, as `tokens list` shows it")
    .action(async (id: string, options: CommonOptions) => {
      await apiOf(io).delete(`/v1/tokens/${segment(id)}`)
      if (options.json) printJson(io, { id, revoked: true })
      else io.out(`Revoked token ${id}\n`)
    })
}

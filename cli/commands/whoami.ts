import type { Command } from "commander"
import { whoamiShape } from "../../contracts/api.ts"
import { apiOf, type CommonOptions, commandOf } from "../command.ts"
import type { Io } from "../io.ts"
import { printFields, printJson } from "../print.ts"

export function whoami(io: Io): Command {
  return commandOf("whoami", "show whose token is in use", "whoami").action(async (options: CommonOptions) => {
    const api = apiOf(io)
    const { value } = await api.get("/v1/whoami", whoamiShape)
    if (options.json) printJson(io, value)
    else
      printFields(io, {
        "control plane": api.connection.url,
        token: value.tokenId,
        role: value.role,
        team: value.team,
      })
  })
}

import type { Command } from "commander"
import { pinShape } from "../../contracts/api.ts"
import { apiOf, type ChangeOptions, changeCommandOf, messageOf, positive, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

interface Options extends ChangeOptions {
  readonly lifetimeS: number
}

export function pinsCreate(io: Io): Command {
  return changeCommandOf(
    "create",
    "make a signed header that asks for one version, whatever the weights say",
    'pins create files 13 | xargs -I{} curl -H "{}" https://api.procore.com/',
  )
    .argument("<script>")
    .argument("<version>", "its number", positive)
    .option("--lifetime-s <n>", "seconds that it is valid, 10–86400", positive, 3600)
    .action(async (script: string, version: number, options: Options) => {
      const body = { version, lifetimeS: options.lifetimeS, ...messageOf(options) }
      const { value } = await apiOf(io).post(`/v1/scripts/${segment(script)}/pins`, pinShape, { body })
      if (options.json) return printJson(io, value)
      io.err(`Valid until ${value.expiresAt}\n`)
      io.out(`${value.header}: ${value.pin}\n`)
    })
}

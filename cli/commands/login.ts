import type { Command } from "commander"
import { whoamiShape } from "../../contracts/api.ts"
import { ApiClient } from "../api-client.ts"
import { type CommonOptions, commandOf } from "../command.ts"
import { originOf, store } from "../configuration.ts"
import { Failure } from "../failure.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

interface Options extends CommonOptions {
  readonly edge?: string
}

/** The token comes by standard input or the environment: on a command line other users of the machine could read it. */
export function login(io: Io): Command {
  return commandOf(
    "login",
    "store where the control plane is and a token for it",
    "login http://127.0.0.1:8788 --edge http://127.0.0.1:8787 < token.txt",
    "login https://control.example.com    (with SALLYPORT_TOKEN set)",
  )
    .argument("<url>", "origin of the control plane")
    .option("--edge <url>", "origin of the edge, for --wait, keys and passports")
    .action(async (url: string, options: Options) => {
      const origin = originOf(url)
      const edgeUrl = options.edge === undefined ? undefined : originOf(options.edge)
      const token = (io.env.SALLYPORT_TOKEN ?? (await tokenFromStdin(io))).trim()
      if (!/^[\x21-\x7e]{1,500}$/.test(token))
        throw new Failure("That is not a token", {
          fix: "Give the token alone, as `sallyport tokens create` printed it.",
        })
      const { value: who } = await new ApiClient({ url: origin, token, edgeUrl }, io.fetch).get(
        "/v1/whoami",
        whoamiShape,
      )
      const path = store({ url: origin, token, ...(edgeUrl === undefined ? {} : { edgeUrl }) }, io.env)
      if (options.json) printJson(io, { url: origin, path, ...who })
      else io.out(`Logged in to ${origin} as ${who.team ?? who.role} (token ${who.tokenId}); stored in ${path}\n`)
    })
}

async function tokenFromStdin(io: Io): Promise<string> {
  if (!io.interactive) return io.readStdin()
  io.err("Paste the token, then Enter (it is not shown):\n")
  return io.readSecret()
}

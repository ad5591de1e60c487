import type { Command } from "commander"
import { whoamiShape } from "../../contracts/api.ts"
import { ApiClient } from "../api-client.ts"
import { type CommonOptions, commandOf } from "../command.ts"
import { originOf, requireToken, store, storedEdgeOf } from "../configuration.ts"
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
    "login http://127.0.0.1:8788 --edge http://127.0.0.1:8787 < token.txt    (without SALLYPORT_TOKEN, which would win)",
    "login https://control.example.com    (with SALLYPORT_TOKEN set)",
  )
    .argument("<url>", "origin of the control plane")
    .option(
      "--edge <url>",
      "origin of the edge, for --wait, keys and passports; without it, the one stored before stays",
    )
    .action(async (url: string, options: Options) => {
      const origin = originOf(url)
      const edgeUrl = options.edge === undefined ? storedEdgeOf(origin, io.env) : originOf(options.edge)
      const given = await givenToken(io)
      const token = requireToken(given.token, given.from)
      const { value: who } = await new ApiClient({ url: origin, token, edgeUrl }, io.fetch).get(
        "/v1/whoami",
        whoamiShape,
      )
      const path = store({ url: origin, token, ...(edgeUrl === undefined ? {} : { edgeUrl }) }, io.env)
      if (options.json) return printJson(io, { url: origin, path, tokenFrom: given.from, ...who })
      const as = `${who.team ?? who.role} (token ${who.tokenId})`
      io.out(`Logged in to ${origin} as ${as}, with the token from ${given.from}; stored in ${path}\n`)
    })
}

/** The variable wins: standard input may be the caller's own, such as the lines of a loop that it is called in, and is only read where nothing else is given. */
async function givenToken(io: Io): Promise<{ readonly token: string; readonly from: string }> {
  const named = (io.env.SALLYPORT_TOKEN ?? "").trim()
  if (named !== "") return { token: named, from: "SALLYPORT_TOKEN" }
  const from = "standard input"
  if (!io.interactive) return { token: (await io.readStdin()).trim(), from }
  io.err("Paste the token, then Enter (it is not shown):\n")
  return { token: (await io.readSecret()).trim(), from }
}

import type { Command } from "commander"
import { hostnameShape } from "../../contracts/api.ts"
import { apiOf, type ChangeOptions, changeCommandOf, messageOf, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

interface Options extends ChangeOptions {
  readonly team?: string | false
  readonly open?: boolean
}

export function hostnamesSet(io: Io): Command {
  return changeCommandOf(
    "set",
    "make a hostname, or say who may attach routes to it",
    "hostnames set api.procore.com --team edge-routing",
    "hostnames set app.procore.com --open",
  )
    .argument("<hostname>")
    .option("--team <team>", "whose it is")
    .option("--no-team", "nobody's but ops'")
    .option("--open", "let every team attach routes")
    .option("--no-open", "do not")
    .action(async (hostname: string, options: Options) => {
      const api = apiOf(io)
      const path = `/v1/hostnames/${segment(hostname)}`
      const before = await api.find(path, hostnameShape)
      const team = typeof options.team === "string" ? options.team : (before?.value.team ?? null)
      const body = {
        team: options.team === false ? null : team,
        open: options.open ?? before?.value.open ?? false,
        ...messageOf(options),
      }
      const { value } = await api.put(path, hostnameShape, { body, before })
      if (options.json) return printJson(io, value)
      const whose = value.team === null ? "of ops" : `of team ${value.team}`
      io.out(
        `${before === null ? "Made" : "Changed"} hostname ${value.hostname}: ${whose}${value.open ? ", open" : ""}\n`,
      )
    })
}

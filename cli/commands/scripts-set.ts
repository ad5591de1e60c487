import { type Command, Option } from "commander"
import { type Script, scriptShape } from "../../contracts/api.ts"
import { stickyBy } from "../../contracts/dispatch-config.ts"
import { apiOf, type ChangeOptions, changeCommandOf, messageOf, positive, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

interface Options extends ChangeOptions {
  readonly team?: string
  readonly stickyBy?: string
  readonly cpuMs?: number
  readonly subRequests?: number
  readonly timeoutMs?: number
  readonly deployOnUpload?: boolean
}

/** Claims the name when nobody has it. Else it sends all settings, changed where an option says so, with If-Match: nobody's change in between is lost. */
export function scriptsSet(io: Io): Command {
  return changeCommandOf(
    "set",
    "claim a script's name, or change its settings",
    "scripts set files --timeout-ms 60000 --no-deploy-on-upload",
  )
    .argument("<script>")
    .option("--team <team>", "for whom to claim it; for ops only")
    .addOption(new Option("--sticky-by <key>", "what keeps a caller on one version").choices(stickyBy.options))
    .option("--cpu-ms <n>", "CPU milliseconds per request", positive)
    .option("--sub-requests <n>", "subrequests per request", positive)
    .option("--timeout-ms <n>", "milliseconds until response headers", positive)
    .option("--deploy-on-upload", "give an upload all traffic at once")
    .option("--no-deploy-on-upload", "make an upload a mere publish")
    .action(async (name: string, options: Options) => {
      const api = apiOf(io)
      const path = `/v1/scripts/${segment(name)}`
      const before = await api.find(path, scriptShape)
      const body = { ...settingsOf(before?.value, options), ...messageOf(options) }
      const { value } = await api.put(path, scriptShape, { body, before })
      if (options.json) return printJson(io, value)
      io.out(`${before === null ? "Claimed" : "Changed"} script ${value.name} of team ${value.team}\n`)
    })
}

function settingsOf(before: Script | undefined, options: Options): Record<string, unknown> {
  const cpuMs = options.cpuMs ?? before?.limits.cpuMs
  const subRequests = options.subRequests ?? before?.limits.subRequests
  const settings = {
    team: options.team,
    stickyBy: options.stickyBy ?? before?.stickyBy,
    limits: cpuMs === undefined && subRequests === undefined ? undefined : { cpuMs, subRequests },
    timeoutMs: options.timeoutMs ?? before?.timeoutMs,
    deployOnUpload: options.deployOnUpload ?? before?.deployOnUpload,
  }
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
}

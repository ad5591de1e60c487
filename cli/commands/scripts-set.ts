import { type Command, Option } from "commander"
import { scriptShape } from "../../contracts/api.ts"
import { stickyBy } from "../../contracts/dispatch-config.ts"
import { apiOf, type ChangeOptions, changeCommandOf, messageOf, positive, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

interface Options extends ChangeOptions {
  readonly stickyBy?: string
  readonly cpuMs?: number
  readonly subRequests?: number
  readonly timeoutMs?: number
  readonly deployOnUpload?: boolean
}

/** Sends the whole of the settings, changed where an option says so, with If-Match: nobody's change in between is lost. */
export function scriptsSet(io: Io): Command {
  return changeCommandOf(
    "set",
    "change a script's settings",
    "scripts set files --timeout-ms 60000 --no-deploy-on-upload",
  )
    .argument("<script>")
    .addOption(new Option("--sticky-by <key>", "what keeps a caller on one version").choices(stickyBy.options))
    .option("--cpu-ms <n>", "CPU milliseconds per request", positive)
    .option("--sub-requests <n>", "subrequests per request", positive)
    .option("--timeout-ms <n>", "milliseconds until response headers", positive)
    .option("--deploy-on-upload", "give an upload all traffic at once")
    .option("--no-deploy-on-upload", "make an upload a mere publish")
    .action(async (name: string, options: Options) => {
      const api = apiOf(io)
      const path = `/v1/scripts/${segment(name)}`
      const { value: before, etag } = await api.get(path, scriptShape)
      const body = {
        stickyBy: options.stickyBy ?? before.stickyBy,
        limits: {
          cpuMs: options.cpuMs ?? before.limits.cpuMs,
          subRequests: options.subRequests ?? before.limits.subRequests,
        },
        timeoutMs: options.timeoutMs ?? before.timeoutMs,
        deployOnUpload: options.deployOnUpload ?? before.deployOnUpload,
        ...messageOf(options),
      }
      const { value } = await api.put(path, scriptShape, { body, ifMatch: etag })
      if (options.json) return printJson(io, value)
      io.out(`Changed script ${value.name}\n`)
    })
}

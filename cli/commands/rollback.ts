import type { Command } from "commander"
import { deploymentShape } from "../../contracts/api.ts"
import { apiOf, messageOf, segment, waitCommandOf } from "../command.ts"
import type { ExitCode } from "../failure.ts"
import type { Io } from "../io.ts"
import { reportDeployment, type WaitOptions } from "../report-deployment.ts"
import { edgeToWaitFor } from "../wait-for-revision.ts"

interface Options extends WaitOptions {
  readonly to?: string
}

export function rollback(io: Io, finish: (code: ExitCode) => void): Command {
  return waitCommandOf(
    "rollback",
    "go back to the deployment before the current one, and further back when repeated; needs no upload",
    "rollback files --wait -m 'v13 loses parts'",
    "rollback files --to 12",
  )
    .argument("<script>")
    .option("--to <version or deployment>", "a version number, or a deployment's id")
    .action(async (script: string, options: Options) => {
      const api = apiOf(io)
      const edgeUrl = edgeToWaitFor(options, api.connection.edgeUrl)
      const body = { ...targetOf(options.to), ...messageOf(options) }
      const { value } = await api.postOnce(
        `/v1/scripts/${segment(script)}/rollback`,
        deploymentShape,
        { body },
        io.clock.sleep,
      )
      await reportDeployment(value, edgeUrl, options, api, io, finish)
    })
}

function targetOf(to: string | undefined): { version: number } | { deployment: string } | Record<string, never> {
  if (to === undefined) return {}
  const version = /^v?([1-9][0-9]{0,8})$/.exec(to)?.[1]
  return version === undefined ? { deployment: to } : { version: Number(version) }
}

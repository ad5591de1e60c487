import type { Command } from "commander"
import { deploymentShape } from "../../contracts/api.ts"
import { apiOf, messageOf, segment, waitCommandOf } from "../command.ts"
import type { ExitCode } from "../failure.ts"
import type { Io } from "../io.ts"
import { parseReleases } from "../releases.ts"
import { reportDeployment, type WaitOptions } from "../report-deployment.ts"
import { edgeToWaitFor } from "../wait-for-revision.ts"

export function deploymentsCreate(io: Io, finish: (code: ExitCode) => void): Command {
  return waitCommandOf(
    "create",
    "say which versions receive a script's traffic, in percent",
    "deployments create files 12=90 13=10 --wait -m 'canary of v13'",
    "deployments create files 13",
  )
    .argument("<script>")
    .argument("<version=percent...>", "percentages that sum to 100, or one version alone")
    .action(async (script: string, words: string[], options: WaitOptions) => {
      const api = apiOf(io)
      const body = { releases: parseReleases(words), ...messageOf(options) }
      const edgeUrl = edgeToWaitFor(options, api.connection.edgeUrl)
      const { value } = await api.postOnce(
        `/v1/scripts/${segment(script)}/deployments`,
        deploymentShape,
        { body },
        io.clock.sleep,
      )
      await reportDeployment(value, edgeUrl, options, api, io, finish)
    })
}

/** What `deployments create` and `rollback` do after the control plane answered: say what was deployed and, on request, wait for the edge. */
import { type Deployment, deploymentShape } from "../contracts/api.ts"
import type { ApiClient } from "./api-client.ts"
import { type ChangeOptions, segment } from "./command.ts"
import { type ExitCode, Failure } from "./failure.ts"
import type { Io } from "./io.ts"
import { printJson } from "./print.ts"
import { releasesText } from "./releases.ts"
import { edgeUrlOf, type Waited, waitForRevision } from "./wait-for-revision.ts"

export interface WaitOptions extends ChangeOptions {
  readonly wait?: true
  /** Seconds. */
  readonly timeout: number
  readonly edge?: string
}

const POLL_MS = 200

export async function reportDeployment(
  deployment: Deployment,
  options: WaitOptions,
  api: ApiClient,
  io: Io,
  finish: (code: ExitCode) => void,
): Promise<void> {
  const deadline = io.clock.now() + options.timeout * 1000
  const published = options.wait ? await whenPublished(deployment, deadline, api, io) : deployment
  const waited =
    options.wait && published.configRevision !== null
      ? await waitForRevision(
          edgeUrlOf(options.edge ?? api.connection.edgeUrl),
          published.configRevision,
          Math.max(0, deadline - io.clock.now()),
          io,
        )
      : null
  if (options.wait && waited?.inForce !== true) finish(2)
  if (options.json) printJson(io, waited === null ? published : { ...published, waited })
  else io.out(`${sentence(published)}\n${options.wait ? `${waitedSentence(waited)}\n` : ""}`)
}

/** The deployment once the control plane has put it into a config revision, or as it was when time ran out. */
async function whenPublished(first: Deployment, deadline: number, api: ApiClient, io: Io): Promise<Deployment> {
  let deployment = first
  while (deployment.phase === "recorded" && io.clock.now() < deadline) {
    await io.clock.sleep(POLL_MS)
    const path = `/v1/scripts/${segment(first.script)}/deployments/${segment(first.id)}`
    deployment = (await api.get(path, deploymentShape)).value
  }
  if (deployment.phase === "failed")
    throw new Failure(`Deployment ${deployment.id} of ${deployment.script} failed`, {
      why: "Traffic stays on the releases that it had.",
      fix: `\`sallyport audit list\` shows what happened; \`sallyport deployments status ${deployment.script}\` what is in force.`,
    })
  return deployment
}

function sentence({ id, script, releases, phase, configRevision }: Deployment): string {
  const where = configRevision === null ? "not yet in a config revision" : `in config revision ${configRevision}`
  return `${script}: ${releasesText(releases)}  (deployment ${id}, ${phase}, ${where})`
}

function waitedSentence(waited: Waited | null): string {
  if (waited === null) return "not published within the time given; the control plane goes on trying"
  if (waited.inForce) return `in force at the edge after ${waited.ms} ms`
  return `not seen at the edge after ${waited.ms} ms; it answers with revision ${waited.seen ?? "none"}`
}

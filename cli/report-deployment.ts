/** What `deployments create` and `rollback` do after the control plane answered: say what was deployed and, on request, wait for the edge. */
import { type Deployment, deploymentShape } from "../contracts/api.ts"
import type { ApiClient } from "./api-client.ts"
import { type ChangeOptions, segment } from "./command.ts"
import { type ExitCode, Failure, inOneLine, printable } from "./failure.ts"
import type { Io } from "./io.ts"
import { printJson } from "./print.ts"
import { releasesText } from "./releases.ts"
import { type Waited, waitForRevision } from "./wait-for-revision.ts"

export interface WaitOptions extends ChangeOptions {
  readonly wait?: true
  /** Seconds. */
  readonly timeout: number
  /** An origin. */
  readonly edge?: string
}

const POLL_MS = 200

/** `edgeUrl` is where to wait for it; null for not at all. The deployment is told whatever becomes of the wait, since it was made. */
export async function reportDeployment(
  deployment: Deployment,
  edgeUrl: string | null,
  options: WaitOptions,
  api: ApiClient,
  io: Io,
  finish: (code: ExitCode) => void,
): Promise<void> {
  if (edgeUrl === null) {
    if (options.json) printJson(io, deployment)
    else io.out(`${sentence(deployment)}\n`)
    return
  }
  const started = io.clock.now()
  const deadline = started + options.timeout * 1000
  const { published, fault } = await whenPublished(deployment, deadline, api, io)
  const { configRevision } = published
  const left = () => Math.max(0, deadline - io.clock.now())
  const waited =
    configRevision === null
      ? { inForce: false, ms: Math.round(io.clock.now() - started), seen: null, fault }
      : await waitForRevision(edgeUrl, configRevision, left(), io)
  if (!waited.inForce) finish(2)
  if (options.json) printJson(io, { ...published, waited })
  else io.out(`${sentence(published)}\n${printable(waitedSentence(published, waited))}\n`)
}

/** The deployment once the control plane has put it into a config revision, or as it was last known when time ran out; `fault` is why the last question then got no answer. */
async function whenPublished(
  first: Deployment,
  deadline: number,
  api: ApiClient,
  io: Io,
): Promise<{ readonly published: Deployment; readonly fault: string | null }> {
  let published = first
  let fault: string | null = null
  while (published.phase === "recorded" && io.clock.now() < deadline) {
    await io.clock.sleep(POLL_MS)
    const path = `/v1/scripts/${segment(first.script)}/deployments/${segment(first.id)}`
    try {
      published = (await api.get(path, deploymentShape)).value
      fault = null
    } catch (thrown) {
      fault = inOneLine(thrown)
    }
  }
  if (published.phase === "failed")
    throw new Failure(`Deployment ${published.id} of ${published.script} failed`, {
      why: "Traffic stays on the releases that it had.",
      fix: `\`sallyport audit list\` shows what happened; \`sallyport deployments status ${published.script}\` what is in force.`,
    })
  return { published, fault }
}

function sentence({ id, script, releases, phase, configRevision }: Deployment): string {
  const where = configRevision === null ? "not yet in a config revision" : `in config revision ${configRevision}`
  return `${script}: ${releasesText(releases)}  (deployment ${id}, ${phase}, ${where})`
}

function waitedSentence({ configRevision }: Deployment, { inForce, ms, seen, fault }: Waited): string {
  if (configRevision === null)
    return fault === null
      ? "not published within the time given; the control plane goes on trying"
      : `not known to be published within the time given: ${fault}`
  if (inForce) return `in force at the edge after ${ms} ms`
  return fault === null
    ? `not seen at the edge after ${ms} ms; it answers with revision ${seen ?? "none"}`
    : `not seen at the edge after ${ms} ms: ${fault}`
}

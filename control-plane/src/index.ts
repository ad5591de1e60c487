/** The control plane's entrypoint: the app, and the minute's schedule that finishes what was interrupted, looks at issuers' keys and at what stands at Cloudflare, and probes revocation. */
import { controlPlane } from "./app.ts"
import { healPublication } from "./config/heal-publication.ts"
import { type Dependencies, dependenciesOf } from "./dependencies.ts"
import { resumeDeployments } from "./deployment.ts"
import { doubtVersions } from "./doubt-versions.ts"
import { watchDrift } from "./drift/watch-drift.ts"
import type { Env } from "./env.ts"
import { watchIssuers } from "./issuers/watch-issuers.ts"
import { tendKeys } from "./keys/change-ring.ts"
import { probeRevocation } from "./probe.ts"
import { retireVersions } from "./retire-versions.ts"

const app = controlPlane()

export default {
  fetch(request, env, ctx) {
    const answer = Promise.resolve(app.fetch(request, env, ctx))
    // The platform ends what a client that goes away was waiting for: a change would be recorded and not published, and hold its turn of the ledger until that lapses.
    ctx.waitUntil(answer)
    return answer
  },
  async scheduled(_event, env) {
    const deps = dependenciesOf(env)
    // All but the first can take most of the minute, and wait for nobody: a deployment that hangs must not make keys stale.
    const works = [finishInterrupted, watchIssuers, probeRevocation, watchDrift]
    await Promise.all(works.map((work) => attempt(work, deps)))
  },
} satisfies ExportedHandler<Env>

/** One after the other: what is resumed publishes itself, and healing then finds the last of it. Doubt comes before what relies on the registry, and removing what nobody needs after all else. */
async function finishInterrupted(deps: Dependencies): Promise<void> {
  const works = [doubtVersions, resumeDeployments, tendKeys, healPublication, removeOldKeys, retireVersions]
  for (const work of works) await attempt(work, deps)
}

/** What one cannot mend must not keep the others from trying. */
async function attempt(work: (deps: Dependencies) => Promise<void>, deps: Dependencies): Promise<void> {
  await work(deps).catch((failure) => deps.log({ event: "schedule.failed", error: String(failure) }))
}

async function removeOldKeys(deps: Dependencies): Promise<void> {
  await deps.store.idempotency.removeOld()
}

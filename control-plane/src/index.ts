/** The control plane's entrypoint: the app, and the minute's schedule that finishes what was interrupted. */
import { controlPlane } from "./app.ts"
import { healPublication } from "./config/heal-publication.ts"
import { type Dependencies, dependenciesOf } from "./dependencies.ts"
import { resumeDeployments } from "./deployment.ts"
import type { Env } from "./env.ts"

const app = controlPlane()

export default {
  fetch: (request, env, ctx) => app.fetch(request, env, ctx),
  async scheduled(_event, env) {
    const deps = dependenciesOf(env)
    // One after the other: what is resumed publishes itself, and healing then finds the last of it.
    for (const work of [resumeDeployments, healPublication, removeOldKeys]) {
      // What one cannot mend must not keep the others from trying.
      await work(deps).catch((failure) => deps.log({ event: "schedule.failed", error: String(failure) }))
    }
  },
} satisfies ExportedHandler<Env>

async function removeOldKeys(deps: Dependencies): Promise<void> {
  await deps.store.idempotency.removeOld()
}

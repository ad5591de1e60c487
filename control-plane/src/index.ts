/** The control plane's entrypoint: the app, and the minute's schedule that finishes what was interrupted. */
import { controlPlane } from "./app.ts"
import { healPublication } from "./config/heal-publication.ts"
import { dependenciesOf } from "./dependencies.ts"
import { resumeDeployments } from "./deployment.ts"
import type { Env } from "./env.ts"

const app = controlPlane()

export default {
  fetch: (request, env, ctx) => app.fetch(request, env, ctx),
  async scheduled(_event, env) {
    const deps = dependenciesOf(env)
    // Independent of one another: what one cannot mend must not keep the others from trying.
    const results = await Promise.allSettled([
      resumeDeployments(deps),
      healPublication(deps),
      deps.store.idempotency.removeOld(),
    ])
    for (const result of results)
      if (result.status === "rejected") deps.log({ event: "schedule.failed", error: String(result.reason) })
  },
} satisfies ExportedHandler<Env>

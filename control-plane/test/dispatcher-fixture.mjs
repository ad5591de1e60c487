/**
 * Stands in for the dispatcher in the control plane's tests: the `Explain` entrypoint behind a real service binding, speaking the real protocol.
 * It repeats what it was asked, so that a test sees what arrived.
 */
import { WorkerEntrypoint } from "cloudflare:workers"

export class Explain extends WorkerEntrypoint {
  explain(request) {
    return {
      configRevision: 1,
      steps: [{ stage: "inbound", says: "The request was taken as it came.", facts: request }],
      outcome: { kind: "problem", code: "route.not-found", status: 404 },
    }
  }
}

/** The entrance: whatever is asked, nobody is known. */
// biome-ignore lint/style/noDefaultExport: the runtime finds the handlers of a Worker so
export default {
  fetch: () => new Response(null, { status: 401 }),
}

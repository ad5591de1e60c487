/** The outbound Worker of the dispatch namespace: its default export receives every `fetch()` of every user Worker. */
import { writeLog } from "../../kit/write-log.ts"
import { type EgressPolicy, handleEgress } from "./egress.ts"

export interface Env {
  /** Set per dispatch by the dispatcher (`outbound: { egress }`); absent when it gave none. */
  readonly egress?: EgressPolicy
}

export default {
  fetch(request, env) {
    return handleEgress(request, env.egress, {
      fetch: (outgoing) => fetch(outgoing),
      clock: { now: () => Date.now() },
      log: writeLog,
    })
  },
} satisfies ExportedHandler<Env>

/** The outbound Worker of the dispatch namespace: its default export receives every `fetch()` of every user Worker. */
import type { PassportExchangeApi } from "../../contracts/platform.ts"
import { writeLog } from "../../kit/write-log.ts"
import { type EgressPolicy, handleEgress } from "./egress.ts"
import { ExchangedPassports } from "./exchanged-passports.ts"

export interface Env {
  /** Set per dispatch by the dispatcher (`outbound: { egress, requestId }`); absent when it gave none. */
  readonly egress?: EgressPolicy
  /** As above. */
  readonly requestId?: string
  /** The dispatcher's entrypoint `PassportExchange`. */
  readonly EXCHANGE: PassportExchangeApi
}

const passports = new ExchangedPassports()

export default {
  fetch(request, env) {
    return handleEgress(request, env, {
      fetch: (outgoing) => fetch(outgoing),
      exchange: (...asked) => env.EXCHANGE.exchange(...asked),
      passports,
      clock: { now: () => Date.now() },
      log: writeLog,
    })
  },
} satisfies ExportedHandler<Env>

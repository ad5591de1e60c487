/**
 * The outbound Worker, in process: every `fetch()` of a user Worker comes here, and each hop of a redirect again, because the runtime follows them
 * on the user Worker's side. There is no `connect` handler: with an outbound Worker, production gives user Workers no TCP either.
 * Passports are exchanged at the dispatcher's own entrypoint, which is one of this Worker's.
 */
import { exports, WorkerEntrypoint } from "cloudflare:workers"
import type { PassportExchangeApi } from "../../../contracts/platform.ts"
import { type GivenParameters, handleEgress } from "../../../outbound/src/egress.ts"
import { ExchangedPassports } from "../../../outbound/src/exchanged-passports.ts"
import type { OutboundProps } from "../doors.ts"
import { egressRing } from "../rings.ts"

interface ExchangeExports {
  readonly PassportExchange: PassportExchangeApi
}
const passports = new ExchangedPassports()

export class Outbound extends WorkerEntrypoint<unknown, OutboundProps> {
  override fetch(request: Request): Promise<Response> {
    return handleEgress(request, this.ctx.props.parameters as GivenParameters, {
      fetch: (outgoing) => fetch(outgoing),
      exchange: (...asked) => (exports as unknown as ExchangeExports).PassportExchange.exchange(...asked),
      passports,
      clock: { now: () => Date.now() },
      log: (record) => egressRing.push(record),
    })
  }
}

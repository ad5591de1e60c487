/**
 * The outbound Worker, in process: every `fetch()` of a user Worker comes here, and each hop of a redirect again, because the runtime follows them
 * on the user Worker's side. There is no `connect` handler: with an outbound Worker, production gives user Workers no TCP either.
 */
import { WorkerEntrypoint } from "cloudflare:workers"
import { type EgressPolicy, handleEgress } from "../../../outbound/src/egress.ts"
import type { OutboundProps } from "../doors.ts"
import { egressRing } from "../rings.ts"

export class Outbound extends WorkerEntrypoint<unknown, OutboundProps> {
  override fetch(request: Request): Promise<Response> {
    const policy = this.ctx.props.parameters.egress as EgressPolicy | undefined
    return handleEgress(request, policy, {
      fetch: (outgoing) => fetch(outgoing),
      clock: { now: () => Date.now() },
      log: (record) => egressRing.push(record),
    })
  }
}

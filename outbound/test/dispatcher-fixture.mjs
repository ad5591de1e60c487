/** Stands in for the dispatcher in the outbound Worker's tests: the entrypoint behind a real service binding, speaking the real protocol. */
import { WorkerEntrypoint } from "cloudflare:workers"

export class PassportExchange extends WorkerEntrypoint {
  exchange(own, audience, caller) {
    if (audience === "refused") throw new Error("zone.country-refused")
    return { header: "x-passport", token: `${audience} for ${caller.script}, ${own.length}`, expiresS: 1e11 }
  }
}

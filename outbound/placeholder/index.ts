/**
 * Stands where the dispatcher will be, for the first deploy of an environment alone: the outbound Worker binds the dispatcher's entrypoint, the dispatcher names the outbound Worker,
 * and Cloudflare takes neither before the other is there (docs/deploy.md). It lets nobody in and makes no passport.
 */
import { WorkerEntrypoint } from "cloudflare:workers"
import type { PassportExchangeApi } from "../../contracts/platform.ts"

export class PassportExchange extends WorkerEntrypoint implements PassportExchangeApi {
  async exchange(): Promise<never> {
    throw new Error("platform.unavailable")
  }
}

export default {
  fetch: () => new Response("Nothing is here yet.\n", { status: 503 }),
} satisfies ExportedHandler

/** The door for those who revoke: the dispatcher, for teams with the grant, and the control plane. Who may what is decided there; here everything is checked once more. */
import { WorkerEntrypoint } from "cloudflare:workers"
import type { Appended, FeedStatus, RevocationEntry, RevocationsApi } from "../../contracts/revocation.ts"
import type { Env } from "./env.ts"
import { prepare } from "./prepare.ts"
import { LOG_NAME } from "./relay.ts"

export class Revocations extends WorkerEntrypoint<Env> implements RevocationsApi {
  async append(revocations: unknown, actor: unknown): Promise<Appended> {
    // Here and not in the log: hashing is most of the work, and there is one log.
    const prepared = await prepare(revocations, actor, Date.now())
    return this.#log().append(prepared)
  }

  async list(query: { readonly after?: number; readonly limit?: number } = {}): Promise<readonly RevocationEntry[]> {
    return this.#log().list(query)
  }

  async status(): Promise<FeedStatus> {
    return this.#log().status()
  }

  #log() {
    return this.env.LOG.getByName(LOG_NAME)
  }
}

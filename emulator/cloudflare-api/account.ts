/** The emulated account: one SQLite Durable Object that answers the REST API and what the namespace asks over RPC. */
import { DurableObject } from "cloudflare:workers"
import type { ScriptStore, StoredScript } from "../namespace/stored-script.ts"
import { type Dependencies, dependenciesOf } from "./dependencies.ts"
import type { Env } from "./env.ts"
import { handle } from "./handle.ts"
import { readStoredScript } from "./read-stored-script.ts"
import type { QueueSend } from "./resources.ts"
import { findAsset } from "./store/assets.ts"
import { findNamespace } from "./store/namespaces.ts"
import { enqueue } from "./store/queue-messages.ts"
import { findResource } from "./store/resources.ts"

export class Account extends DurableObject<Env> implements ScriptStore {
  readonly #deps: Dependencies

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#deps = dependenciesOf(ctx, env)
  }

  override fetch(request: Request): Promise<Response> {
    return handle(request, this.#deps)
  }

  getScript(namespace: string, name: string): Promise<StoredScript | null> {
    return readStoredScript(namespace, name, this.#deps)
  }

  async getAsset(namespace: string, hash: string): Promise<{ body: ArrayBuffer; contentType: string | null } | null> {
    const { sql, blobs } = this.#deps
    const owner = findNamespace(sql, namespace)
    const asset = owner === null ? null : findAsset(sql, owner.id, hash)
    const body = owner === null || asset === null ? null : await blobs.getAsset(owner.id, hash)
    return asset === null || body === null ? null : { body, contentType: asset.contentType }
  }

  queueSend(queueName: string, messages: QueueSend[]): void {
    const { sql, clock, ids } = this.#deps
    const queue = findResource(sql, "queue", "name", queueName)
    if (queue === null) throw new Error(`Queue '${queueName}' not found`)
    enqueue(
      sql,
      queue.id,
      messages.map((message) => ({ ...message, id: ids.hex32() })),
      clock.now(),
    )
  }
}

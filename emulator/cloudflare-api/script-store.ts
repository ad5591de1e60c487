/** RPC entrypoint by which the local dispatch namespace reads scripts and assets. */
import { WorkerEntrypoint } from "cloudflare:workers"
import type { ScriptStore as ScriptStoreApi, StoredScript } from "../namespace/stored-script.ts"
import type { Env } from "./env.ts"

export class ScriptStore extends WorkerEntrypoint<Env> implements ScriptStoreApi {
  async getScript(namespace: string, name: string): Promise<StoredScript | null> {
    return await this.env.ACCOUNT.getByName("account").getScript(namespace, name)
  }

  async getAsset(namespace: string, hash: string): Promise<{ body: ArrayBuffer; contentType: string | null } | null> {
    return await this.env.ACCOUNT.getByName("account").getAsset(namespace, hash)
  }
}

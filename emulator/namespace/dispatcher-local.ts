// biome-ignore-all lint/performance/noBarrelFile: the runtime finds a Worker's entrypoints by the exports of its main file
/**
 * The dispatcher as it runs on a laptop: production's Worker, unchanged, with `DISPATCHER` made from the Worker Loader and, around it, what Cloudflare's front
 * does before a Worker sees a request. The only file that knows both; everything else of this folder is the namespace.
 */

import { WorkerEntrypoint } from "cloudflare:workers"
import { dependenciesOf } from "../../dispatcher/src/dependencies.ts"
import dispatcher, {
  Explain as ProductionExplain,
  PassportExchange as ProductionPassportExchange,
  Platform as ProductionPlatform,
} from "../../dispatcher/src/index.ts"
import { writeLog } from "../../kit/write-log.ts"
import { SESSIONS_NAMESPACE_ID } from "../cloudflare-api/account-resources.ts"
import { kvClient } from "./clients/kv-client.ts"
import { asCloudflareWouldSend, withLocalLocation } from "./edge-front.ts"
import { answerLocalPath, isLocalPath } from "./local-endpoints.ts"
import { forget, type LocalEnv, namespaceOf } from "./local-isolate.ts"
import { tripRing } from "./rings.ts"
import type { NamespaceMemoryApi } from "./stored-script.ts"

export { AssetsDoor } from "./doors/assets-door.ts"
export { BrakeDoor } from "./doors/brake-door.ts"
export { CacheDoor } from "./doors/cache-door.ts"
export { ObjectDoor } from "./doors/object-door.ts"
export { ObjectHost } from "./doors/object-host.ts"
export { Outbound } from "./doors/outbound-door.ts"
export { ResourceDoor } from "./doors/resource-door.ts"

type DispatcherEnv = Parameters<typeof dependenciesOf>[0]
/** wrangler.toml of this folder: the dispatcher's bindings without the namespace, and those that make it. */
export type Env = Omit<DispatcherEnv, "DISPATCHER"> & LocalEnv & { readonly NAMESPACE_NAME: string }

let dispatcherEnv: DispatcherEnv | undefined

/** The dispatcher's own `env`, one object per isolate because its dependencies hang on it; trips go to memory and, when something went wrong, to the log. */
function withNamespace(env: Env): DispatcherEnv {
  if (dispatcherEnv === undefined) {
    dispatcherEnv = { ...env, DISPATCHER: namespaceOf(env, env.NAMESPACE_NAME), SESSIONS: sessionsOf(env) }
    void dependenciesOf(dispatcherEnv, {
      write(logged) {
        const { cause, ...record } = logged
        tripRing.push(record)
        if (cause !== undefined) writeLog(logged)
      },
    })
  }
  return dispatcherEnv
}

/** The very namespace that Workers of teams bind by its id: the emulated account keeps it, and a binding of this Worker's own would be another. */
function sessionsOf({ RESOURCES }: LocalEnv): KVNamespace {
  type Operation = (id: string, ...args: readonly unknown[]) => Promise<unknown>
  const call = (method: string, args: readonly unknown[]) =>
    (RESOURCES[method as keyof LocalEnv["RESOURCES"]] as Operation)(SESSIONS_NAMESPACE_ID, ...args)
  return kvClient({ call }) as unknown as KVNamespace
}

export default {
  async fetch(request, env, context) {
    if (isLocalPath(request.url)) return answerLocalPath(request.url)
    const response = await dispatcher.fetch(asCloudflareWouldSend(request), withNamespace(env), context)
    return withLocalLocation(response, request.url)
  },
} satisfies ExportedHandler<Env>

/** Production's, with the local namespace behind it. */
export class Platform extends ProductionPlatform {
  constructor(context: ExecutionContext, env: Env) {
    super(context as ConstructorParameters<typeof ProductionPlatform>[0], withNamespace(env))
  }
}

/** As above. */
export class Explain extends ProductionExplain {
  constructor(context: ExecutionContext, env: Env) {
    super(context as ConstructorParameters<typeof ProductionExplain>[0], withNamespace(env))
  }
}

/** As above; called by the door that is the outbound Worker here. */
export class PassportExchange extends ProductionPassportExchange {
  constructor(context: ExecutionContext, env: Env) {
    super(context as ConstructorParameters<typeof ProductionPassportExchange>[0], withNamespace(env))
  }
}

/** Told of every write by the local Cloudflare API, before it answers. */
export class NamespaceMemory extends WorkerEntrypoint<Env> implements NamespaceMemoryApi {
  async changed(namespace: string, name: string): Promise<void> {
    forget(namespace, name)
  }
}

/** Told by the front of the local control plane that something may have been published, before the client hears of it: what KV takes seconds for, a laptop shows at once. */
export class ConfigMemory extends WorkerEntrypoint<Env> {
  async changed(): Promise<void> {
    const deps = await dependenciesOf(withNamespace(this.env))
    deps.config.expire()
  }
}

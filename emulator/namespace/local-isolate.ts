/** The namespaces of this isolate: one each, shared by the dispatcher, the doors and the hosts of Durable Objects, because what it remembers must be one. */
import { exports, waitUntil } from "cloudflare:workers"
import type { ResourcesApi } from "../cloudflare-api/resources.ts"
import { createNamespace, type LocalNamespace } from "./create-namespace.ts"
import type { DoorExports, Services } from "./doors.ts"
import type { ScriptStore } from "./stored-script.ts"

/** What every entrypoint of this Worker finds in its `env`. */
export interface LocalEnv {
  readonly LOADER: WorkerLoader
  /** Entrypoint `ScriptStore` of the local Cloudflare API. */
  readonly ACCOUNT: ScriptStore
  /** Entrypoint `Resources` of the same. */
  readonly RESOURCES: ResourcesApi
  readonly OBJECTS: DurableObjectNamespace
}

const namespaces = new Map<string, LocalNamespace>()

/** Account Workers that a user Worker may be bound to: only the platform's own. */
const SERVICES: Services = {
  "sallyport-dispatcher#Platform": (props) => (exports as unknown as PlatformExports).Platform({ props }),
}
interface PlatformExports {
  readonly Platform: (options: { props: unknown }) => Fetcher
}

/** The namespace, made at first use. */
export function namespaceOf(env: LocalEnv, name: string): LocalNamespace {
  let namespace = namespaces.get(name)
  if (namespace === undefined) {
    namespace = createNamespace({
      loader: env.LOADER,
      exports: exports as unknown as DoorExports,
      store: env.ACCOUNT,
      namespace: name,
      services: SERVICES,
      waitUntil,
    })
    namespaces.set(name, namespace)
  }
  return namespace
}

/** Of all namespaces in memory: one that was never used remembers nothing. */
export function forget(namespace: string, script: string): void {
  namespaces.get(namespace)?.forget(script)
}

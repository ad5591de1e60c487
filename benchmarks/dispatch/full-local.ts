// biome-ignore-all lint/performance/noBarrelFile: the runtime finds a Worker's entrypoints by the exports of its main file
/**
 * Production's dispatcher on the local namespace, without the copy that the emulator makes of each request to play Cloudflare's front:
 * the load generator sends what the front would add, and workerd itself turns it into `request.cf`, for both arms alike.
 * Trips are made into the line that production logs; writing it is the platform's work and left out.
 */
import { dependenciesOf } from "../../dispatcher/src/dependencies.ts"
import dispatcher from "../../dispatcher/src/index.ts"
import { type LocalEnv, namespaceOf } from "../../emulator/namespace/local-isolate.ts"

export { CacheDoor } from "../../emulator/namespace/doors/cache-door.ts"
export { Outbound } from "../../emulator/namespace/doors/outbound-door.ts"

type DispatcherEnv = Parameters<typeof dependenciesOf>[0]

let dispatcherEnv: DispatcherEnv | undefined
/** Kept, so that the line is really made. */
const lastLine = [""]

function withNamespace(env: Omit<DispatcherEnv, "DISPATCHER"> & LocalEnv): DispatcherEnv {
  if (dispatcherEnv === undefined) {
    dispatcherEnv = { ...env, DISPATCHER: namespaceOf(env, "production") }
    void dependenciesOf(dispatcherEnv, {
      log: (record) => {
        lastLine[0] = JSON.stringify(record)
      },
    })
  }
  return dispatcherEnv
}

export default {
  fetch: (request, env, context) => dispatcher.fetch(request, withNamespace(env), context),
} satisfies ExportedHandler<Omit<DispatcherEnv, "DISPATCHER"> & LocalEnv>

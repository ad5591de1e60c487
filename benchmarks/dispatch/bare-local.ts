// biome-ignore-all lint/performance/noBarrelFile: the runtime finds a Worker's entrypoints by the exports of its main file
/** The baseline: the least that a dispatcher can do, on the same local namespace as the real one. */
import { type LocalEnv, namespaceOf } from "../../emulator/namespace/local-isolate.ts"

export { CacheDoor } from "../../emulator/namespace/doors/cache-door.ts"
export { Outbound } from "../../emulator/namespace/doors/outbound-door.ts"

export default {
  async fetch(request, env) {
    const worker = await namespaceOf(env, "production").get("empty--v1")
    return worker.fetch(request)
  },
} satisfies ExportedHandler<LocalEnv>

// biome-ignore-all lint/performance/noBarrelFile: the runtime finds a Worker's entrypoints by the exports of its main file
/**
 * Production's dispatcher on the local namespace, without the copy that the emulator makes of each request to play Cloudflare's front:
 * the load generator sends what the front would add, and workerd itself turns it into `request.cf`, for both arms alike.
 * Trips are made into the line that production logs; writing it is the platform's work and left out. They are counted too: what the benchmark
 * measures is a request that waits for nothing but the user Worker, and a cache that is too small for the load would otherwise go unseen.
 */
import { dependenciesOf } from "../../dispatcher/src/dependencies.ts"
import dispatcher from "../../dispatcher/src/index.ts"
import { type LocalEnv, namespaceOf } from "../../emulator/namespace/local-isolate.ts"
import { TRIPS_PATH, type TripCounts } from "./trip-counts.ts"

export { CacheDoor } from "../../emulator/namespace/doors/cache-door.ts"
export { Outbound } from "../../emulator/namespace/doors/outbound-door.ts"

type DispatcherEnv = Parameters<typeof dependenciesOf>[0]

let dispatcherEnv: DispatcherEnv | undefined
/** Kept, so that the line is really made. */
const lastLine = [""]
const trips = { total: 0, waited: 0, withFindings: 0 }

function withNamespace(env: Omit<DispatcherEnv, "DISPATCHER"> & LocalEnv): DispatcherEnv {
  if (dispatcherEnv === undefined) {
    dispatcherEnv = { ...env, DISPATCHER: namespaceOf(env, "production") }
    void dependenciesOf(dispatcherEnv, {
      write: (record) => {
        lastLine[0] = JSON.stringify(record)
        trips.total++
        if (record.findings.length > 0) trips.withFindings++
        for (const stage in record.msPerStage) if (stage !== "forward") trips.waited++
      },
    })
  }
  return dispatcherEnv
}

export default {
  fetch: (request, env, context) =>
    request.url.endsWith(TRIPS_PATH)
      ? Response.json({ ...trips, last: lastLine.join() } satisfies TripCounts)
      : dispatcher.fetch(request, withNamespace(env), context),
} satisfies ExportedHandler<Omit<DispatcherEnv, "DISPATCHER"> & LocalEnv>

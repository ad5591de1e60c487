/** One burst of load with autocannon; its options come as JSON on the command line. Started by load.ts. */
import autocannon from "autocannon"
import type { Load } from "./load.ts"
import { quantile } from "./statistics.ts"

const { url, headers, vary, connections, seconds } = JSON.parse(process.argv[2] ?? "{}") as Load
// autocannon's own percentiles are whole milliseconds.
const latenciesMs: number[] = []
let failed = 0

const requests = (vary?.values ?? [""]).map((value) => ({
  headers: vary === undefined ? { ...headers } : { ...headers, [vary.header]: value },
}))
let started = 0
/** Each connection begins at another place of the round: otherwise all would send the same first values, and a short burst no others. */
function setupClient(client: { setRequests(requests: unknown[]): void }): void {
  const first = Math.floor((started++ * requests.length) / connections)
  client.setRequests([...requests.slice(first), ...requests.slice(0, first)])
}
const instance = autocannon({ url, requests, connections, duration: seconds, setupClient }, (error, result) => {
  if (error !== null && error !== undefined) throw error
  process.stdout.write(
    JSON.stringify({
      requests: latenciesMs.length + failed,
      failed: failed + result.errors + result.timeouts,
      seconds: result.duration,
      p50Ms: latenciesMs.length === 0 ? 0 : quantile(latenciesMs, 0.5),
      p99Ms: latenciesMs.length === 0 ? 0 : quantile(latenciesMs, 0.99),
    }),
  )
})
instance.on("response", (_client, statusCode, _bytes, responseTimeMs) => {
  if (statusCode >= 200 && statusCode < 300) latenciesMs.push(responseTimeMs)
  else failed++
})

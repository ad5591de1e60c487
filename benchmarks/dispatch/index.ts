/**
 * What the gateway costs: the full request line (bearer, cached passport, routed among 1 000, dispatched to an empty Worker) against a bare
 * dispatch of the same Worker, in one workerd and in interleaved pairs. `ratio` is of requests per second, `cpu_ratio` of CPU per request.
 */
import { edgeRequest } from "../../emulator/edge-request.ts"
import type { Run } from "../benchmark.ts"
import { armMedian, compare } from "../compare.ts"
import { load } from "../load.ts"
import { rounded } from "../statistics.ts"
import { workerdCpuMeter } from "../workerd-cpu.ts"
import { type Arms, startArms } from "./arms.ts"
import { HOSTNAME } from "./bench-config.ts"
import { TRIPS_PATH, type TripCounts } from "./trip-counts.ts"

const CONNECTIONS = 32
/**
 * Clients behind the load, in the range for benchmarks (RFC 2544): so many that the brake has no reason to report any, so few that their passports fit the
 * isolate's memory. A passport is for one address.
 */
const ADDRESSES = Array.from({ length: 900 }, (_, index) => `198.18.${index >> 8}.${index & 255}`)

/** Share of requests that may be their client's first in a minute. */
const UNSTEADY_MOST = 0.05

export const run: Run = async ({ quick, say }) => {
  await using arms = await startArms()
  await assertComparable(arms)
  const seconds = quick ? 1 : 2
  const vary = { header: "cf-connecting-ip", values: ADDRESSES }
  const burst = (url: string) => ({ url, headers: arms.headers, vary, connections: CONNECTIONS, seconds })
  const baseline = burst(arms.bareUrl)
  const candidate = burst(arms.fullUrl)
  say(`warming both arms, ${seconds} s each`)
  await load(baseline)
  await load(candidate)
  // Each client's first request signs a passport: those of the warming are not what is measured.
  const warming = await tripsOf(arms)
  const comparison = await compare({
    baseline,
    candidate,
    pairs: quick ? 3 : 30,
    cpu: workerdCpuMeter(),
    onPair: ({ baseline: bare, candidate: full }, index) =>
      say(
        `pair ${index + 1}: bare ${bare.requestsPerSecond.toFixed(0)}/s, full ${full.requestsPerSecond.toFixed(0)}/s,` +
          ` ratio ${(full.requestsPerSecond / bare.requestsPerSecond).toFixed(3)}`,
      ),
  })
  assertSteady(since(warming, await tripsOf(arms)))
  const figure = (
    name: string,
    arm: "baseline" | "candidate",
    key: "requestsPerSecond" | "cpuUs" | "p50Ms" | "p99Ms",
  ) => {
    const value = armMedian(comparison.pairs, arm, (each) => each[key])
    return value === null ? {} : { [name]: rounded(value) }
  }
  return {
    figures: {
      ratio: rounded(comparison.ratio.median),
      ...(comparison.cpuRatio === null ? {} : { cpu_ratio: rounded(comparison.cpuRatio.median) }),
      ...figure("full_rps", "candidate", "requestsPerSecond"),
      ...figure("bare_rps", "baseline", "requestsPerSecond"),
      ...figure("full_cpu_us", "candidate", "cpuUs"),
      ...figure("bare_cpu_us", "baseline", "cpuUs"),
      ...figure("full_p50_ms", "candidate", "p50Ms"),
      ...figure("bare_p50_ms", "baseline", "p50Ms"),
      ...figure("full_p99_ms", "candidate", "p99Ms"),
      ...figure("bare_p99_ms", "baseline", "p99Ms"),
      ratio_q1: rounded(comparison.ratio.quartiles[0]),
      ratio_q3: rounded(comparison.ratio.quartiles[1]),
      pairs: comparison.pairs.length,
    },
    detail: { connections: CONNECTIONS, secondsPerBurst: seconds, comparison },
  }
}

/** Of the trips, those that are not what is measured: passports that had to be signed, a revocation feed behind its bound, reports of the brake. */
function assertSteady({ total, waited, withFindings, last }: TripCounts): void {
  if (waited + withFindings <= total * UNSTEADY_MOST) return
  throw new Error(
    `of ${total} trips ${waited} waited before forward and ${withFindings} have findings; the last: ${last}`,
  )
}

function since(before: TripCounts, now: TripCounts): TripCounts {
  return {
    total: now.total - before.total,
    waited: now.waited - before.waited,
    withFindings: now.withFindings - before.withFindings,
    last: now.last,
  }
}

async function tripsOf({ fullUrl }: Arms): Promise<TripCounts> {
  return (await (await fetch(new URL(TRIPS_PATH, fullUrl))).json()) as TripCounts
}

/** Both answer the empty Worker's answer, and the full line really authenticates: without the token it refuses. */
async function assertComparable({ bareUrl, fullUrl, headers }: Arms): Promise<void> {
  const { host: _host, authorization = "", ...front } = headers
  const rest = { ...front, "cf-connecting-ip": String(ADDRESSES[0]) }
  const ask = async (url: string, sent: Readonly<Record<string, string>>) => {
    const { origin, pathname } = new URL(url)
    const response = await edgeRequest(origin, `http://${HOSTNAME}${pathname}`, { headers: sent })
    return {
      status: response.status,
      body: await response.text(),
      release: response.headers.get("x-sallyport-release"),
    }
  }
  const bare = await ask(bareUrl, { ...rest, authorization })
  const full = await ask(fullUrl, { ...rest, authorization })
  const anonymous = await ask(fullUrl, rest)
  const comparable =
    bare.body === "ok" &&
    bare.release === null &&
    full.body === "ok" &&
    full.release === "empty--v1" &&
    anonymous.status === 401
  if (!comparable) throw new Error(`the arms do not do what they should: ${JSON.stringify({ bare, full, anonymous })}`)
}

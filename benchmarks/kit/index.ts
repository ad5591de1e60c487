/**
 * What the kit's middleware costs: all of it before one handler, in a Worker of workerd, against the same Worker without any, in interleaved pairs of one workerd;
 * and then the same with its spans exported. `chain_us` and `export_us` are differences of CPU per request. Beside
 * them the lines of each team Worker's own files, for which the kit is made.
 */
import { readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import { edgeRequest } from "../../emulator/edge-request.ts"
import type { Run } from "../benchmark.ts"
import { type Arm, armMedian, type Comparison, compare } from "../compare.ts"
import { type Load, load } from "../load.ts"
import { median, rounded } from "../statistics.ts"
import { workerdCpuMeter } from "../workerd-cpu.ts"
import { ANSWER, ORIGIN } from "./answer.ts"
import { type Arms, startArms } from "./arms.ts"

const CONNECTIONS = 32
const USER_WORKERS = path.join(import.meta.dirname, "..", "..", "user-workers")

export const run: Run = async ({ quick, say }) => {
  await using arms = await startArms()
  await assertComparable(arms)
  const seconds = quick ? 1 : 2
  const burst = (url: string): Load => ({
    url,
    connections: CONNECTIONS,
    seconds,
    // Read when a burst begins: a passport lives for a minute.
    get headers() {
      return arms.headers()
    },
  })
  const cpu = workerdCpuMeter()
  const pairsOf = (name: string, baseline: Load, candidate: Load, pairs: number) =>
    compare({
      baseline,
      candidate,
      pairs,
      cpu,
      onPair: (pair, index) => say(`${name} ${index + 1}: ${shown(pair.baseline)}, ${shown(pair.candidate)}`),
    })
  const [bare, chain, traced] = [burst(arms.bareUrl), burst(arms.chainUrl), burst(arms.tracedUrl)]
  say(`warming three arms, ${seconds} s each`)
  for (const each of [bare, chain, traced]) await load(each)
  const middleware = await pairsOf("without, with middleware", bare, chain, quick ? 3 : 20)
  const exporting = await pairsOf("without, with export", chain, traced, quick ? 2 : 8)
  return {
    figures: {
      ...difference("chain_us", middleware),
      ...cpuOf("bare_cpu_us", middleware, "baseline"),
      ...cpuOf("with_cpu_us", middleware, "candidate"),
      ratio: rounded(middleware.ratio.median),
      ...difference("export_us", exporting),
      pairs: middleware.pairs.length,
      ...linesOfWorkers(),
    },
    detail: { connections: CONNECTIONS, secondsPerBurst: seconds, middleware, exporting },
  }
}

/** Median over the pairs of what the candidate costs more; absent where CPU cannot be read. */
function difference(name: string, { pairs }: Comparison): Record<string, number> {
  const values = pairs.flatMap(({ baseline, candidate }) =>
    baseline.cpuUs === null || candidate.cpuUs === null ? [] : [candidate.cpuUs - baseline.cpuUs],
  )
  return values.length === 0 ? {} : { [name]: rounded(median(values)) }
}

function cpuOf(name: string, { pairs }: Comparison, arm: "baseline" | "candidate"): Record<string, number> {
  const value = armMedian(pairs, arm, (each) => each.cpuUs)
  return value === null ? {} : { [name]: rounded(value) }
}

function shown({ requestsPerSecond, cpuUs }: Arm): string {
  return `${requestsPerSecond.toFixed(0)}/s at ${cpuUs === null ? "?" : cpuUs.toFixed(1)} µs`
}

/** `lines_<name>` of each team Worker: all lines of its own TypeScript files but tests. */
function linesOfWorkers(): Record<string, number> {
  const workers = readdirSync(USER_WORKERS, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return Object.fromEntries(workers.map(({ name }) => [`lines_${name}`, linesBelow(path.join(USER_WORKERS, name))]))
}

function linesBelow(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts"))
    .filter(({ parentPath }) => !/[\\/](test|testing|node_modules|dist)([\\/]|$)/.test(parentPath))
    .map(({ parentPath, name }) => readFileSync(path.join(parentPath, name), "utf8").split("\n").length - 1)
    .reduce((sum, lines) => sum + lines, 0)
}

/** Every arm answers the same, the chain is really there, and only the last one exports. */
async function assertComparable(arms: Arms): Promise<void> {
  const ask = async (url: string, change: Record<string, string> = {}) => {
    const { origin, pathname } = new URL(url)
    const { host, ...headers } = { ...arms.headers(), ...change }
    const response = await edgeRequest(origin, `http://${host}${pathname}`, { headers })
    const allowed = response.headers.get("access-control-allow-origin")
    return { status: response.status, body: await response.text(), allowed }
  }
  const bare = await ask(arms.bareUrl)
  const chain = await ask(arms.chainUrl)
  const before = arms.exported()
  const traced = await ask(arms.tracedUrl)
  const refused = [
    await ask(arms.chainUrl, { "x-passport": "none" }),
    await ask(arms.chainUrl, { "procore-company-id": "43" }),
  ].map(({ status }) => status)
  const comparable =
    [bare, chain, traced].every(({ status, body }) => status === 200 && body === ANSWER) &&
    bare.allowed === null &&
    chain.allowed === ORIGIN &&
    before === 0 &&
    refused.every((status) => status >= 400 && status < 500)
  if (!comparable)
    throw new Error(`the arms do not do what they should: ${JSON.stringify({ bare, chain, traced, refused, before })}`)
  const untilMs = Date.now() + 2_000
  while (arms.exported() === 0) {
    if (Date.now() > untilMs) throw new Error("the traced arm exports nothing")
    await ask(arms.tracedUrl)
  }
}

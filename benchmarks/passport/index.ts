/**
 * What a passport costs: µs of CPU per request in the dispatcher with it in memory (`hit_us`) and when it must be made (`miss_us`, claims, signature and all), beside the bare
 * signature by either algorithm; and in a team's Worker the kit's check of one that it has not seen (`verify_us`) and of one that it has. In workerd, by the process's own CPU.
 */
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4MiniflareOptions } from "miniflare"
import { buildWorker } from "../../emulator/build.ts"
import type { Run } from "../benchmark.ts"
import { rounded, type Summary, summarize } from "../statistics.ts"
import { type CpuMeter, workerdCpuMeter } from "../workerd-cpu.ts"

/** How often each is done in a round: about a fifth of a second of CPU, well above /proc's grain of 10 ms. */
const TIMES: Readonly<Record<string, number>> = {
  hit: 500_000,
  miss: 6_000,
  sign_es256: 6_000,
  sign_eddsa: 6_000,
  verify: 6_000,
  verify_hit: 200_000,
  check_es256: 6_000,
  check_eddsa: 6_000,
}

export const run: Run = async ({ quick, say }) => {
  const built = await buildWorker("benchmarks/passport/mint.wrangler.toml")
  const worker = { ...built.options, name: built.name, modules: [...built.modules] }
  const options = { host: "127.0.0.1", port: 0, cf: false, workers: [worker] }
  const miniflare = new Miniflare({
    ...convertV4MiniflareOptions(options as V4MiniflareOptions),
    log: new Log(LogLevel.ERROR),
  })
  try {
    const url = await miniflare.ready
    const cpu = workerdCpuMeter()
    if (cpu === null) throw new Error("without /proc the CPU of workerd cannot be read")
    const rounds = quick ? 3 : 9
    const results: Record<string, Summary> = {}
    for (const [what, n] of Object.entries(TIMES)) {
      await ask(url, what, n)
      const values: number[] = []
      for (let round = 0; round < rounds; round++) values.push(await perTime(cpu, url, what, n))
      results[what] = summarize(values)
      say(`${what}: ${shown(results[what])}`)
    }
    const figures = Object.entries(results).map(([what, { median }]) => [`${what}_us`, rounded(median)])
    return { figures: Object.fromEntries(figures), detail: { rounds, times: TIMES, results } }
  } finally {
    await miniflare.dispose()
  }
}

/** Microseconds. What prepares the work (a key, passports to check) is counted in, and is little beside it; `verify` makes its passports first, so that is taken off. */
async function perTime(cpu: CpuMeter, url: URL, what: string, n: number): Promise<number> {
  const prepared = await cpuOf(cpu, () => ask(url, what, 0))
  const all = await cpuOf(cpu, () => ask(url, what, n))
  return (all - prepared) / n
}

async function cpuOf(cpu: CpuMeter, work: () => Promise<void>): Promise<number> {
  const before = cpu.read()
  await work()
  return cpu.read() - before
}

async function ask(url: URL, what: string, n: number): Promise<void> {
  const response = await fetch(new URL(`/${what}?n=${n}`, url))
  if (response.status !== 200) throw new Error(`${what} answered ${response.status}: ${await response.text()}`)
}

function shown({ median, quartiles: [low, high] }: Summary): string {
  return `${median.toFixed(2)} µs (${low.toFixed(2)} to ${high.toFixed(2)})`
}

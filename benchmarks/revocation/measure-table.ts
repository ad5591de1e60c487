/** What a million entries cost an isolate: bytes by its own count and by the process's memory, CPU per check, and how often it must ask although nothing was revoked. */
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4MiniflareOptions } from "miniflare"
import { buildWorker } from "../../emulator/build.ts"
import { cpuMs, residentMb, workerdPids } from "../upload/workerd-process.ts"

export interface TableFigures {
  /** Of the table's own arrays. */
  readonly bytesPerEntry: number
  /** By which the process grew; null where it cannot be read. */
  readonly residentMb: number | null
  /** CPU of one check of a credential with four hashes, none revoked. */
  readonly checkNs: number | null
  /** CPU to put in one entry. */
  readonly mergeNs: number | null
  /** With as many entries as a log holds at most: bytes in all, and wrong "ask" of a million. */
  readonly fullBytes: number
  readonly wrongPerMillion: number
}

const MILLION = 1_000_000
const LOG_MOST = 3 * MILLION

export async function measureTable(quick: boolean): Promise<TableFigures> {
  const built = await buildWorker("benchmarks/revocation/table.wrangler.toml")
  const worker = { ...built.options, name: built.name, modules: [...built.modules] }
  const miniflare = new Miniflare({
    ...convertV4MiniflareOptions({ host: "127.0.0.1", port: 0, cf: false, workers: [worker] } as V4MiniflareOptions),
    log: new Log(LogLevel.ERROR),
  })
  try {
    const url = await miniflare.ready
    const ask = async (path: string) => (await (await fetch(new URL(path, url))).json()) as Record<string, number>
    const [pid] = workerdPids()
    const cpuOf = async (work: () => Promise<unknown>) => {
      const before = pid === undefined ? 0 : cpuMs(pid)
      await work()
      return pid === undefined ? null : cpuMs(pid) - before
    }
    await ask("/fill?n=1000")
    const emptyMb = pid === undefined ? null : residentMb(pid)
    let bytes = 0
    const mergeMs = await cpuOf(async () => {
      bytes = (await ask(`/fill?n=${MILLION}`)).sizeBytes ?? 0
    })
    const grownMb = pid === undefined || emptyMb === null ? null : residentMb(pid) - emptyMb
    await ask("/check?n=1")
    const rounds = quick ? 2 : 20
    const checkMs = await cpuOf(() => ask(`/check?n=${rounds}`))
    const full = await ask(`/fill?n=${LOG_MOST}`)
    const { ask: wrong = 0 } = await ask(`/wrong?n=${MILLION}`)
    return {
      bytesPerEntry: bytes / MILLION,
      residentMb: grownMb,
      checkNs: checkMs === null ? null : checkMs / rounds,
      mergeNs: mergeMs,
      fullBytes: full.sizeBytes ?? 0,
      wrongPerMillion: wrong,
    }
  } finally {
    await miniflare.dispose()
  }
}

/** Memory and CPU time of one workerd of several below this process, from Linux's /proc. */
import { readdirSync, readFileSync } from "node:fs"
import { parseStat } from "../workerd-cpu.ts"

/** Milliseconds between two looks for the peak. */
const LOOK_EVERY_MS = 25

/** Process ids of the workerds below this process; none where there is no /proc. */
export function workerdPids(): readonly number[] {
  if (process.platform !== "linux") return []
  return readdirSync("/proc")
    .filter((entry) => /^[0-9]+$/.test(entry))
    .map((pid) => parseStat(readOrEmpty(`/proc/${pid}/stat`)))
    .flatMap((stat) => (stat !== null && stat.parent === process.pid && stat.command === "workerd" ? [stat.pid] : []))
}

/** Megabytes (2^20). Throws when the process has ended. */
export function residentMb(pid: number): number {
  const kilobytes = /^VmRSS:\s+([0-9]+) kB$/m.exec(readOrEmpty(`/proc/${pid}/status`))?.[1]
  if (kilobytes === undefined) throw new Error("workerd has ended")
  return Number(kilobytes) / 1024
}

/** Milliseconds of user and system time so far. Throws when the process has ended. */
export function cpuMs(pid: number): number {
  const stat = parseStat(readOrEmpty(`/proc/${pid}/stat`))
  if (stat === null) throw new Error("workerd has ended")
  return stat.cpuUs / 1000
}

/** The most that the process held while `work` ran. */
export async function peakWhile(pid: number, work: () => Promise<void>): Promise<number> {
  let peak = residentMb(pid)
  const timer = setInterval(() => {
    peak = Math.max(peak, residentMb(pid))
  }, LOOK_EVERY_MS)
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
  return peak
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return ""
  }
}

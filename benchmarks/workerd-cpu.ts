/** CPU time of the workerd process below this one, from Linux's /proc: steadier than throughput, because waiting does not count. */
import { readdirSync, readFileSync } from "node:fs"

/** USER_HZ: what /proc counts in, fixed at 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

export interface CpuMeter {
  /** Microseconds of user and system time so far. */
  read(): number
}

/** The meter of the only workerd below this process; null where there is no /proc. Throws when there is none or more than one. */
export function workerdCpuMeter(): CpuMeter | null {
  if (process.platform !== "linux") return null
  const found = readdirSync("/proc")
    .filter((entry) => /^[0-9]+$/.test(entry))
    .map((pid) => statOf(Number(pid)))
    .filter((stat) => stat !== null)
    .filter(({ parent, command }) => parent === process.pid && command === "workerd")
  const [only] = found
  if (only === undefined || found.length > 1) throw new Error(`${found.length} workerd processes run below this one`)
  return {
    read() {
      const stat = statOf(only.pid)
      if (stat === null) throw new Error("workerd has ended")
      return stat.cpuUs
    },
  }
}

interface Stat {
  readonly pid: number
  readonly command: string
  readonly parent: number
  readonly cpuUs: number
}

/** The parts of /proc/<pid>/stat that are needed (proc(5)); the command stands in parentheses and may itself hold some. */
export function parseStat(text: string): Stat | null {
  const match = /^([0-9]+) \((.*)\) (.*)$/s.exec(text.trim())
  if (match === null) return null
  const fields = (match[3] ?? "").split(" ")
  // After the command: field 3 is the state, 4 the parent, 14 and 15 the user and system time.
  const ticks = Number(fields[11]) + Number(fields[12])
  return {
    pid: Number(match[1]),
    command: match[2] ?? "",
    parent: Number(fields[1]),
    cpuUs: (ticks * 1_000_000) / TICKS_PER_SECOND,
  }
}

/** Null when the process ended meanwhile. */
function statOf(pid: number): Stat | null {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"))
  } catch {
    return null
  }
}

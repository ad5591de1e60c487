/** One platform per state folder: two would write the same databases. The lock names a process by pid and start: a pid alone is used again. */
import { execFile } from "node:child_process"
import { linkSync, rmSync } from "node:fs"
import { mkdir, readFile, writeFile } from "node:fs/promises"
import path from "node:path"
import { promisify } from "node:util"

export class StateInUseError extends Error {
  override readonly name = "StateInUseError"
}

/** Holds `stateDir` until the returned function is called or the process ends; a lock left by a killed process is taken over. */
export async function lockState(stateDir: string): Promise<() => void> {
  await mkdir(stateDir, { recursive: true })
  const file = path.join(stateDir, "running.pid")
  const own = `${file}.${process.pid}.${crypto.randomUUID()}`
  await writeFile(own, `${process.pid} ${(await startOf(process.pid)) ?? ""}`)
  try {
    for (let attempt = 0; attempt < 2; attempt++) {
      if (tryLink(own, file)) return releaseOf(file)
      const { pid, start } = await readHolder(file)
      if (await isRunning(pid, start)) {
        throw new StateInUseError(
          `Process ${pid} runs a platform on ${stateDir}. Stop it, or choose other state with --state <folder>.`,
        )
      }
      rmSync(file, { force: true })
    }
    throw new StateInUseError(`Another process is starting a platform on ${stateDir}.`)
  } finally {
    rmSync(own, { force: true })
  }
}

function releaseOf(file: string): () => void {
  const release = () => rmSync(file, { force: true })
  process.once("exit", release)
  return () => {
    process.off("exit", release)
    release()
  }
}

/** A link appears with its content: nobody reads a lock that is half written. */
function tryLink(own: string, file: string): boolean {
  try {
    linkSync(own, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false
    throw error
  }
}

async function readHolder(file: string): Promise<{ pid: number; start: string }> {
  const [pid, start] = (await readFile(file, "utf8").catch(() => "")).split(/ (.*)/s)
  return { pid: Number(pid), start: start ?? "" }
}

async function isRunning(pid: number, start: string): Promise<boolean> {
  if (!(pid > 0)) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false
  }
  const actual = await startOf(pid)
  return actual === null || actual === start
}

/** When a process began, as text to compare; null when that cannot be known, and "ended" for one that its parent has yet to notice. */
async function startOf(pid: number): Promise<string | null> {
  try {
    if (process.platform !== "linux")
      return (await promisify(execFile)("ps", ["-o", "lstart=", "-p", String(pid)])).stdout.trim()
    // proc(5): after the name, which may hold anything, field 3 is the state and field 22 the start in ticks since boot.
    const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).replace(/^.*\) /s, "").split(" ")
    return fields[0] === "Z" ? "ended" : (fields[19] ?? null)
  } catch {
    return null
  }
}

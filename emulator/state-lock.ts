/** One platform per state folder: two would write the same databases. */
import { rmSync } from "node:fs"
import { mkdir, readFile, writeFile } from "node:fs/promises"
import path from "node:path"

export class StateInUseError extends Error {
  override readonly name = "StateInUseError"
}

/** Holds `stateDir` until the returned function is called or the process ends; a lock left by a killed process is taken over. */
export async function lockState(stateDir: string): Promise<() => void> {
  await mkdir(stateDir, { recursive: true })
  const file = path.join(stateDir, "running.pid")
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      await writeFile(file, String(process.pid), { flag: "wx" })
      const release = () => rmSync(file, { force: true })
      process.once("exit", release)
      return () => {
        process.off("exit", release)
        release()
      }
    } catch {
      const holder = Number(await readFile(file, "utf8").catch(() => "0"))
      if (isAlive(holder)) {
        throw new StateInUseError(
          `Process ${holder} runs a platform on ${stateDir}. Stop it, or choose other state with --state <folder>.`,
        )
      }
      rmSync(file, { force: true })
    }
  }
  throw new StateInUseError(`Another process is starting a platform on ${stateDir}.`)
}

function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}

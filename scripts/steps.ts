/**
 * Runs the tools of `npm run check` and `npm test` one after another, their output passed through.
 * Called by scripts/check.ts and scripts/test.ts, on the runtime of the package `node`.
 */
import { spawn } from "node:child_process"
import path from "node:path"

export const ROOT = path.dirname(import.meta.dirname)

export interface Step {
  readonly name: string
  /** A command of node_modules/.bin and its parameters. */
  readonly command: readonly [string, ...string[]]
}

/** What every change must pass before its tests are looked at; the first line of each is its name. */
export const CHECKS: readonly Step[] = [
  { name: "format and lint (biome)", command: ["biome", "ci", "--error-on-warnings", "--log-level=warn"] },
  { name: "types of the Workers (tsc)", command: ["tsc", "-p", "tsconfig.json"] },
  { name: "types of the Node code (tsc)", command: ["tsc", "-p", "tsconfig.node.json"] },
]

/** Exit code of the step; 1 when it could not be started or was killed. */
export async function runStep(step: Step): Promise<number> {
  const [command, ...parameters] = step.command
  const child = spawn(path.join(ROOT, "node_modules", ".bin", command), parameters, {
    cwd: ROOT,
    stdio: "inherit",
  })
  return new Promise((resolve) => {
    child.once("error", () => resolve(1))
    child.once("exit", (code) => resolve(code ?? 1))
  })
}

/** Runs all steps, also after one failed, and names those that did. */
export async function runSteps(steps: readonly Step[]): Promise<string[]> {
  const failed: string[] = []
  for (const step of steps) {
    const startedAt = performance.now()
    const code = await runStep(step)
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    console.log(`${code === 0 ? "ok  " : "FAIL"} ${step.name}  ${seconds} s`)
    if (code !== 0) failed.push(step.name)
  }
  return failed
}

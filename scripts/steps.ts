/**
 * Runs the tools of `npm run check` and `npm test`: the checks at once, with what they say in their order, the tests with their output passed through.
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

/** Runs all steps at once, also on after one failed; prints of each what it said, in their order, and names those that failed. */
export async function runSteps(steps: readonly Step[]): Promise<string[]> {
  const failed: string[] = []
  for (const [index, running] of steps.map(runQuietly).entries()) {
    const { code, output, seconds } = await running
    const name = steps[index]?.name ?? ""
    process.stdout.write(output)
    console.log(`${code === 0 ? "ok  " : "FAIL"} ${name}  ${seconds.toFixed(1)} s`)
    if (code !== 0) failed.push(name)
  }
  return failed
}

async function runQuietly(step: Step): Promise<{ code: number; output: string; seconds: number }> {
  const startedAt = performance.now()
  const [command, ...parameters] = step.command
  const child = spawn(path.join(ROOT, "node_modules", ".bin", command), parameters, {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
  })
  let output = ""
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text
    })
  const code = await new Promise<number>((resolve) => {
    child.once("error", () => resolve(1))
    child.once("close", (exit) => resolve(exit ?? 1))
  })
  return { code, output, seconds: (performance.now() - startedAt) / 1000 }
}

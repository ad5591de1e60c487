/**
 * The end-to-end tests that count, at the size that is promised: `npm test` runs them smaller, for its time. Each test file runs as it stands, alone, with its size in the
 * environment; a test that fails ends the benchmark, so a result that is kept is one in which everything held. At full size it took six and a half minutes on two cores.
 */
import { spawn } from "node:child_process"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ROOT } from "../../scripts/steps.ts"
import type { Run } from "../benchmark.ts"
import { type Report, readFigures } from "./read-figures.ts"

interface Sized {
  readonly file: string
  /** The environment variable that holds the size. */
  readonly variable: string
  readonly full: number
  /** The smallest at which the test still shows something. */
  readonly quick: number
}

const SIZED: readonly Sized[] = [
  { file: "tests/e2e/canary.test.ts", variable: "SALLYPORT_CANARY_COMPANIES", full: 20_000, quick: 2_000 },
  { file: "tests/e2e/key-rotation.test.ts", variable: "SALLYPORT_ROTATION_REQUESTS", full: 100_000, quick: 500 },
  { file: "tests/e2e/upload-aborts.test.ts", variable: "SALLYPORT_UPLOAD_ABORTS", full: 10_000, quick: 60 },
  { file: "tests/e2e/files.test.ts", variable: "SALLYPORT_UPLOAD_ABORTS", full: 10_000, quick: 60 },
  { file: "tests/e2e/strangler.test.ts", variable: "SALLYPORT_SHADOW_REQUESTS", full: 10_000, quick: 100 },
]

export const run: Run = async ({ quick, say }) => {
  const figures: Record<string, number> = {}
  for (const sized of SIZED) {
    const size = quick ? sized.quick : sized.full
    say(`${sized.file} with ${sized.variable}=${size}`)
    const { code, report } = await test(sized, size)
    const found = report === null ? {} : readFigures(report)
    say(JSON.stringify(found))
    if (code !== 0) throw new Error(`${sized.file} failed at its size; vitest's words are above`)
    Object.assign(figures, found)
  }
  const sizes = SIZED.map(({ file, variable, full, quick: small }) => ({ file, variable, size: quick ? small : full }))
  return { figures, detail: { sizes } }
}

/** Vitest's exit code, and its report unless there is none. */
async function test({ file, variable }: Sized, size: number): Promise<{ code: number; report: Report | null }> {
  const folder = await mkdtemp(join(tmpdir(), "sallyport-full-size-"))
  const output = join(folder, "report.json")
  try {
    const reporters = ["--reporter=dot", "--reporter=json", `--outputFile.json=${output}`]
    const child = spawn(
      join(ROOT, "node_modules", ".bin", "vitest"),
      ["run", "--project", "node", "--silent=passed-only", ...reporters, file],
      { cwd: ROOT, env: { ...process.env, [variable]: String(size) }, stdio: "inherit" },
    )
    const code = await new Promise<number>((resolve, reject) => {
      child.once("error", reject)
      child.once("exit", (status) => resolve(status ?? 1))
    })
    const text = await readFile(output, "utf8").catch(() => null)
    return { code, report: text === null ? null : (JSON.parse(text) as Report) }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

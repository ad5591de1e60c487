/**
 * `npm test`: the checks, then every test. Ends with one line `N passed, N failed, N skipped` and a matching exit code.
 * Words after `--` go to vitest: `npm test -- tests/e2e`. A failed check counts as one failed.
 */
import { mkdir, readFile, rm } from "node:fs/promises"
import path from "node:path"
import { CHECKS, ROOT, runStep, runSteps, type Step } from "./steps.ts"

/** The part of vitest's JSON report that is counted. */
interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly {
    readonly status: string
    readonly assertionResults: readonly { readonly status: string }[]
  }[]
}

/** Every test that starts a platform runs these: made once here, instead of by each process of vitest at the same time. */
const BUNDLES: Step = { name: "bundles of the platform's Workers (wrangler)", command: ["node", "emulator/workers.ts"] }

const reportFile = path.join(ROOT, ".sallyport", "test-report.json")
await mkdir(path.dirname(reportFile), { recursive: true })
await rm(reportFile, { force: true })

const parameters = process.argv.slice(2)
const failedChecks = await runSteps(parameters.length === 0 ? [...CHECKS, BUNDLES] : CHECKS)
const exitCode = await runStep({
  name: "tests",
  command: [
    "vitest",
    "run",
    "--reporter=default",
    "--reporter=json",
    "--silent=passed-only",
    `--outputFile.json=${reportFile}`,
    ...parameters,
  ],
})
const counts = count(await readReport(), exitCode, failedChecks.length)
if (failedChecks.length > 0) console.log(`\nFailed before the tests: ${failedChecks.join(", ")}.`)
console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
process.exitCode = counts.failed === 0 ? 0 : 1

async function readReport(): Promise<Report | null> {
  try {
    return JSON.parse(await readFile(reportFile, "utf8")) as Report
  } catch {
    return null
  }
}

/**
 * A file that could not be loaded has no tests to fail, one whose platform did not start has skipped ones only, and an error outside a test fails none: each counts
 * as a failure all the same.
 */
function count(report: Report | null, code: number, failedChecks: number) {
  const unloadable =
    report?.testResults.filter(
      (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
    ) ?? []
  const failed = (report?.numFailedTests ?? 0) + unloadable.length + failedChecks
  return {
    passed: report?.numPassedTests ?? 0,
    failed: failed === 0 && code !== 0 ? 1 : failed,
    skipped: (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0),
  }
}

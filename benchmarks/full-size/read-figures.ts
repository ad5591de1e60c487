/** What tests counted, out of vitest's JSON report: whatever `counted` of tests/harness.ts gave it. */

/** The part of a test's report that is read. */
export interface TestReport {
  /** Milliseconds. */
  readonly duration?: number
  readonly meta: { readonly figures?: Readonly<Record<string, unknown>> & { readonly name: string } }
}
export interface Report {
  readonly testResults: readonly { readonly assertionResults: readonly TestReport[] }[]
}

/** `{name}_{figure}` for every figure of every test that gave some, and `{name}_seconds`, how long that test took. */
export function readFigures(report: Report): Record<string, number> {
  const figures: Record<string, number> = {}
  const put = (key: string, value: unknown) => {
    if (typeof value !== "number") throw new Error(`${key} is no number`)
    if (Object.hasOwn(figures, key)) throw new Error(`two tests gave ${key}`)
    figures[key] = value
  }
  for (const { duration = 0, meta } of report.testResults.flatMap((file) => file.assertionResults)) {
    if (meta.figures === undefined) continue
    const { name, ...counts } = meta.figures
    for (const [key, count] of Object.entries(counts)) put(`${name}_${key}`, count)
    put(`${name}_seconds`, Math.round(duration / 100) / 10)
  }
  if (Object.keys(figures).length === 0) throw new Error("the tests counted nothing")
  return figures
}

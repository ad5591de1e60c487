/** The few statistics that benchmarks report. Pairs are compared within a run and summarised by medians: throughput on a shared machine drifts, ratios of neighbours hold. */

/** Middle value; mean of the two middle ones for an even count. Throws RangeError for none. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Linear interpolation between closest ranks; `q` from 0 to 1. Throws RangeError for no values. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const position = (sorted.length - 1) * q
  const below = sorted[Math.floor(position)]
  const above = sorted[Math.ceil(position)]
  if (below === undefined || above === undefined) throw new RangeError("no values")
  return below + (above - below) * (position - Math.floor(position))
}

export interface Summary {
  readonly median: number
  /** Quarters of the values lie below the first and above the second. */
  readonly quartiles: readonly [number, number]
  readonly range: readonly [number, number]
}

export function summarize(values: readonly number[]): Summary {
  return {
    median: median(values),
    quartiles: [quantile(values, 0.25), quantile(values, 0.75)],
    range: [Math.min(...values), Math.max(...values)],
  }
}

/** Three significant digits, as a number: more would pretend to know. */
export function rounded(value: number): number {
  return Number(value.toPrecision(3))
}

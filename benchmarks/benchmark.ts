/** What a benchmark is: a folder here whose index.ts exports `run`. The runner prints its figures and keeps its result. */

export interface RunOptions {
  /** Fewer and shorter measurements: to see that it works, not to learn a figure. */
  readonly quick: boolean
  /** Progress, one line. */
  readonly say: (line: string) => void
}

export interface Result {
  /** In the order in which they are printed: `key=value key=value …`. */
  readonly figures: Readonly<Record<string, number>>
  /** What was set up, and every single measurement, so that the figures can be checked. */
  readonly detail: Readonly<Record<string, unknown>>
}

export type Run = (options: RunOptions) => Promise<Result>

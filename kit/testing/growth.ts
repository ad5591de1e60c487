/** For tests of what takes text from outside: how its time grows with the text. Held against itself and not against a clock, so that a slow machine fails nothing. */

/** Milliseconds that say nothing; the clock's grain in workerd is one. */
const FLOOR_MS = 10
/** Linear is 4, quadratic 16. */
const MOST_GROWTH = 8
const RUNS = 3

/** True when `work` takes much longer for a `size` than four times as long as for a quarter of it. `size` so that quadratic work takes 100 ms and more. */
export function growsFasterThan(size: number, work: (size: number) => void): boolean {
  const ms = bestMs(() => work(size))
  return ms > FLOOR_MS && ms > MOST_GROWTH * bestMs(() => work(size / 4))
}

/** What is left of the time when nothing else gets in between. */
function bestMs(work: () => void): number {
  let best = Number.POSITIVE_INFINITY
  for (let run = 0; run < RUNS && best > FLOOR_MS / 2; run++) {
    const startedAt = performance.now()
    work()
    best = Math.min(best, performance.now() - startedAt)
  }
  return best
}

/** For tests of what takes text from outside: how its time grows with the text. Held against itself and not against a clock, so that a slow machine fails nothing. */

/** Milliseconds: the clock's in workerd. */
const GRAIN_MS = 1
/** Milliseconds that say nothing. */
const FLOOR_MS = 10
/** Linear is 4, quadratic 16. */
const MOST_GROWTH = 8
const RUNS = 3
/** In turn, the longer and the shorter: a machine with more to do for a while slows both, and the best of each is what counts. */
const ATTEMPTS = 3

/** True when `work` takes much longer for a `size` than four times as long as for a quarter of it. `size` so that quadratic work takes 100 ms and more. */
export function growsFasterThan(size: number, work: (size: number) => void): boolean {
  let long = Number.POSITIVE_INFINITY
  let short = Number.POSITIVE_INFINITY
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    long = Math.min(
      long,
      bestMs(() => work(size)),
    )
    if (long <= FLOOR_MS) return false
    short = Math.min(
      short,
      bestMs(() => work(size / 4)),
    )
  }
  return long > MOST_GROWTH * (short + GRAIN_MS)
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

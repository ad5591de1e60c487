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
/** By the wall alone, what looks like growth is measured again for so many milliseconds: the shorter work fits between two interruptions where the longer seldom does. */
const DOUBT_MS = 1_000
/** Milliseconds of the thread's own time that are measured at the least: Linux counts it in steps of up to 4 ms. */
const OWN_MS = 60

/** True when `work` takes much longer for a `size` than four times as long as for a quarter of it. `size` so that quadratic work takes 100 ms and more. */
export function growsFasterThan(size: number, work: (size: number) => void): boolean {
  return growsFaster(
    () => work(size),
    () => work(size / 4),
    { floorMs: FLOOR_MS, grainMs: GRAIN_MS, runs: RUNS },
  )
}

export interface Precision {
  /** Milliseconds: what takes no longer says nothing, and is not measured again once it takes half of it. */
  readonly floorMs: number
  /** Milliseconds by which a short measurement may be too low. */
  readonly grainMs: number
  /** Of which the best counts. */
  readonly runs: number
}

/** The same of `long` and `short`, which do the same on a quarter. */
export function growsFaster(long: () => void, short: () => void, precision: Precision): boolean {
  const { floorMs, grainMs } = precision
  let longMs = Number.POSITIVE_INFINITY
  let shortMs = Number.POSITIVE_INFINITY
  const startedAt = performance.now()
  for (let attempt = 1; ; attempt++) {
    longMs = Math.min(longMs, bestMs(long, precision))
    if (longMs <= floorMs) return false
    shortMs = Math.min(shortMs, bestMs(short, precision))
    if (attempt < ATTEMPTS) continue
    if (longMs <= MOST_GROWTH * (shortMs + grainMs)) return false
    // What others take from the machine is no part of the thread's own time.
    if (COUNTS_OWN_TIME) return ownMsOf(long) > MOST_GROWTH * ownMsOf(short)
    if (performance.now() - startedAt >= DOUBT_MS) return true
  }
}

/** What is left of the time when nothing else gets in between. */
export function bestMs(work: () => void, { floorMs, runs }: Omit<Precision, "grainMs">): number {
  let best = Number.POSITIVE_INFINITY
  for (let run = 0; run < runs && best > floorMs / 2; run++) {
    const startedAt = performance.now()
    work()
    best = Math.min(best, performance.now() - startedAt)
  }
  return best
}

/** Milliseconds of this thread that one run takes, over as many as {@link OWN_MS} need. */
export function ownMsOf(work: () => void): number {
  const startedAt = ownMs()
  let spent = 0
  let runs = 0
  while (spent < OWN_MS) {
    work()
    runs++
    spent = ownMs() - startedAt
  }
  return spent / runs
}

/** Node's (from 23.9 on), in microseconds; the Workers that this is compiled with have no types of Node, and workerd's only throws. */
interface ThreadClock {
  readonly process: { threadCpuUsage(): { readonly user: number; readonly system: number } }
}

function ownMs(): number {
  const { user, system } = (globalThis as unknown as ThreadClock).process.threadCpuUsage()
  return (user + system) / 1_000
}

const COUNTS_OWN_TIME = countsOwnTime()

function countsOwnTime(): boolean {
  try {
    return ownMs() > 0
  } catch {
    return false
  }
}

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
/** What looks like growth is measured again for so many milliseconds: the shorter work fits between two interruptions where the longer seldom does. */
const DOUBT_MS = 1_000

/**
 * Milliseconds, of this thread alone where the runtime counts them (Node ≥ 23.9): what other processes take is no part of them. By the wall in workerd,
 * whose `process.threadCpuUsage` only throws.
 */
export const spentMs: () => number = countsOwnTime() ? ownMs : () => performance.now()

/** True when `work` takes much longer for a `size` than four times as long as for a quarter of it. `size` so that quadratic work takes 100 ms and more. */
export function growsFasterThan(size: number, work: (size: number) => void): boolean {
  return growsFaster(
    () => bestMs(() => work(size), FLOOR_MS / 2),
    () => bestMs(() => work(size / 4), FLOOR_MS / 2),
    { floorMs: FLOOR_MS, grainMs: GRAIN_MS },
  )
}

/** Both in milliseconds: up to which a measurement says nothing, and by how much a short one may be too low. */
export interface Precision {
  readonly floorMs: number
  readonly grainMs: number
}

/** The same of two measurements, in milliseconds, the first of four times as much as the second. */
export function growsFaster(
  measureLong: () => number,
  measureShort: () => number,
  { floorMs, grainMs }: Precision,
): boolean {
  let long = Number.POSITIVE_INFINITY
  let short = Number.POSITIVE_INFINITY
  const startedAt = spentMs()
  for (let attempt = 1; attempt <= ATTEMPTS || spentMs() - startedAt < DOUBT_MS; attempt++) {
    long = Math.min(long, measureLong())
    if (long <= floorMs) return false
    short = Math.min(short, measureShort())
    if (attempt >= ATTEMPTS && long <= MOST_GROWTH * (short + grainMs)) return false
  }
  return true
}

/** What is left of the time when nothing else gets in between; `enoughMs` and less is not measured again. */
function bestMs(work: () => void, enoughMs: number): number {
  let best = Number.POSITIVE_INFINITY
  for (let run = 0; run < RUNS && best > enoughMs; run++) {
    const startedAt = spentMs()
    work()
    best = Math.min(best, spentMs() - startedAt)
  }
  return best
}

/** Node's, in microseconds; the Workers that this is compiled with have no types of Node. */
interface ThreadClock {
  readonly process: { threadCpuUsage(): { readonly user: number; readonly system: number } }
}

function ownMs(): number {
  const { user, system } = (globalThis as unknown as ThreadClock).process.threadCpuUsage()
  return (user + system) / 1_000
}

function countsOwnTime(): boolean {
  try {
    return ownMs() > 0
  } catch {
    return false
  }
}

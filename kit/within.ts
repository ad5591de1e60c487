/** A bound for whatever may never answer. What was asked goes on: nobody waits for it any more. */

const LATE = Symbol("late")

/** Settles as `work` does, or rejects with an Error after `ms` milliseconds. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const answer = await raceWithTimer(ms, work)
  if (answer === LATE) throw new Error(`no answer within ${ms} ms`)
  return answer
}

/** Settles as `work` does, or with undefined after `ms` milliseconds; at once where none are left. */
export async function awaitFor<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  if (ms <= 0) return undefined
  const answer = await raceWithTimer(ms, work)
  return answer === LATE ? undefined : answer
}

/** The timer belongs to the request that waits: no other request's can wake it. */
async function raceWithTimer<T>(ms: number, work: Promise<T>): Promise<T | typeof LATE> {
  const { promise: late, resolve } = Promise.withResolvers<typeof LATE>()
  const timer = setTimeout(() => resolve(LATE), ms)
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** A bound for whatever may never answer. What was asked goes on: nobody waits for it any more. */

/** Settles as `work` does, or rejects with an Error after `ms` milliseconds. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms)
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

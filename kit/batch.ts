/**
 * Many single asks inside one request become few calls. A batch belongs to the request that made it: it holds promises and, through `load`, that request's bindings,
 * which no other request may wait for. What shall outlive a request goes to `VolatileCache`.
 */

export interface BatchOptions<K, V> {
  /** Keys per call, at least 1; a full batch goes at once. */
  readonly maxSize: number
  /** Milliseconds that the first key of a batch waits for others, at least 0: with 0, for what is asked before the runtime's next turn. */
  readonly maxWaitMs: number
  /** Values in the order of `keys`, which are distinct and in the order in which they were first asked; an `Error` in a place fails that key alone. */
  readonly load: (keys: readonly K[]) => Promise<readonly (V | Error)[]>
}

interface Waiting<K, V> {
  readonly key: K
  readonly resolve: (value: V) => void
  readonly reject: (reason: unknown) => void
}

/**
 * Makes the function that asks for one key. A key is asked for once, whoever asks and however often, unless it failed. When `load` rejects, or answers with another number
 * of values than it was asked for, every key of that call fails. Throws `TypeError` for bounds that can never be right.
 *
 * ```ts
 * app.get("/people/", async (c) => {
 *   const personOf = batch<string, Person>({ maxSize: 50, maxWaitMs: 1, load: (ids) => loadPeople(c.env, ids) })
 *   return c.json(await Promise.all((await tasksOf(c.env)).map(async (task) => ({ ...task, owner: await personOf(task.ownerId) }))))
 * })
 * ```
 */
export function batch<K extends string | number | bigint, V>(options: BatchOptions<K, V>): (key: K) => Promise<V> {
  const { maxSize, maxWaitMs, load } = options
  if (!Number.isInteger(maxSize) || maxSize < 1) throw new TypeError("batch: maxSize is a whole number from 1")
  if (!(maxWaitMs >= 0)) throw new TypeError("batch: maxWaitMs is from 0")
  const asked = new Map<K, Promise<V>>()
  let waiting: Waiting<K, V>[] = []
  let timer: number | null = null

  return function ask(key) {
    const before = asked.get(key)
    if (before !== undefined) return before
    const { promise, resolve, reject } = Promise.withResolvers<V>()
    asked.set(key, promise)
    promise.catch(() => asked.delete(key))
    waiting.push({ key, resolve, reject })
    if (waiting.length >= maxSize) send()
    else timer ??= setTimeout(send, maxWaitMs)
    return promise
  }

  function send(): void {
    if (timer !== null) clearTimeout(timer)
    timer = null
    const sent = waiting
    waiting = []
    void settle(sent, load)
  }
}

/** Never rejects: each key's own promise tells its caller. */
async function settle<K, V>(sent: readonly Waiting<K, V>[], load: BatchOptions<K, V>["load"]): Promise<void> {
  try {
    const values = await load(sent.map(({ key }) => key))
    if (values.length !== sent.length)
      throw new TypeError(`batch: asked for ${sent.length} values, the answer holds ${values.length}`)
    for (const [index, { resolve, reject }] of sent.entries()) {
      const value = values[index]
      if (value instanceof Error) reject(value)
      else resolve(value as V)
    }
  } catch (cause) {
    for (const { reject } of sent) reject(cause)
  }
}

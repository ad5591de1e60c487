/**
 * Writes to one namespace happen one after another, so that an operation may read, wait and write without losing another's change.
 * Reads and other namespaces do not wait.
 */
import type { Operation } from "./call.ts"

/** Runs pieces of work with the same key in the order in which they came; one that fails does not stop the next. */
export class Queue {
  readonly #last = new Map<string, Promise<unknown>>()

  run<T>(key: string, work: () => T | Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve()
    const result = before.then(work)
    const settled = result.then(
      () => {},
      () => {},
    )
    this.#last.set(key, settled)
    void settled.then(() => {
      if (this.#last.get(key) === settled) this.#last.delete(key)
    })
    return result
  }
}

/** The same operation, in its turn among the writes to the namespace in its path. */
export function oneAtATime(operation: Operation): Operation {
  return (call, deps) => deps.writes.run(call.param("namespace"), () => operation(call, deps))
}

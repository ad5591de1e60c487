/** The last records of one kind, in memory, newest last. */
export class Ring<T> {
  readonly #capacity: number
  #records: T[] = []

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  push(record: T): void {
    this.#records.push(record)
    // Cut in blocks: moving the array for every record would cost each request.
    if (this.#records.length >= this.#capacity * 2) this.#records = this.#records.slice(-this.#capacity)
  }

  /** At most `limit` records that `matches` accepts, newest first. */
  find(matches: (record: T) => boolean, limit: number): T[] {
    return this.#records.slice(-this.#capacity).reverse().filter(matches).slice(0, limit)
  }
}

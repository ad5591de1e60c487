/**
 * A map that never holds more than `2 × capacity` entries: when the young generation is full it becomes the old one and the
 * former old one is dropped, in constant time. What is read is kept. Values carry their own expiry; this cache knows none.
 */
export class BoundedCache<V> {
  readonly #capacity: number
  #young = new Map<string, V>()
  #old = new Map<string, V>()

  /** `capacity`: entries per generation, ≥ 1. */
  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get(key: string): V | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    if (old !== undefined) this.set(key, old)
    return old
  }

  set(key: string, value: V): void {
    if (this.#young.size >= this.#capacity && !this.#young.has(key)) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }

  clear(): void {
    this.#young.clear()
    this.#old.clear()
  }
}

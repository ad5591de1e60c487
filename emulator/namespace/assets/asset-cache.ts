/** Asset bodies in memory, named by their content's hash and so never stale; the oldest go first. */

/** Bytes kept. */
const CAPACITY_BYTES = 64 * 1024 * 1024

export class AssetCache {
  readonly #bodies = new Map<string, ArrayBuffer>()
  #sizeBytes = 0

  /** The body, read by `read` when it is not in memory; undefined when there is none. */
  async read(key: string, read: () => Promise<ArrayBuffer | undefined>): Promise<ArrayBuffer | undefined> {
    const known = this.#bodies.get(key)
    if (known !== undefined) return known
    const body = await read()
    if (body !== undefined) this.#keep(key, body)
    return body
  }

  #keep(key: string, body: ArrayBuffer): void {
    if (body.byteLength > CAPACITY_BYTES || this.#bodies.has(key)) return
    this.#bodies.set(key, body)
    this.#sizeBytes += body.byteLength
    for (const [oldest, { byteLength }] of this.#bodies) {
      if (this.#sizeBytes <= CAPACITY_BYTES) return
      this.#bodies.delete(oldest)
      this.#sizeBytes -= byteLength
    }
  }
}

/** Short names for outbound parameters, equal for equal content: they are part of a loaded Worker's identity, because its outbound door holds them. */

export type OutboundParameters = Readonly<Record<string, unknown>>

export class ParameterKeys {
  readonly #byObject = new WeakMap<object, string>()
  readonly #byContent = new Map<string, string>()

  /** The dispatcher passes one frozen object per release, so that this costs one look-up; anything that could still change is read each time. */
  keyOf(parameters: OutboundParameters | undefined): string {
    if (parameters === undefined) return "none"
    const known = this.#byObject.get(parameters)
    if (known !== undefined) return known
    const content = JSON.stringify(parameters)
    let key = this.#byContent.get(content)
    if (key === undefined) {
      key = `p${this.#byContent.size}`
      this.#byContent.set(content, key)
    }
    if (isFrozenThroughout(parameters)) this.#byObject.set(parameters, key)
    return key
  }
}

function isFrozenThroughout(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true
  return Object.isFrozen(value) && Object.values(value).every(isFrozenThroughout)
}

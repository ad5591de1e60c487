/**
 * Short names for outbound parameters, equal for equal content: they are part of a loaded Worker's identity, because its outbound door holds them.
 * The request's id is not among them: it is another with each dispatch, and a Worker loaded for each would be a new one for every request (emulator/README.md, Gaps).
 */
import { isRecord } from "../../contracts/is-record.ts"

export type OutboundParameters = Readonly<Record<string, unknown>>

/** What of a dispatch's parameters a loaded Worker's door holds. */
export function heldParameters(parameters: OutboundParameters | undefined): OutboundParameters {
  const egress = parameters?.egress
  return isRecord(egress) ? { egress } : {}
}

export class ParameterKeys {
  readonly #byObject = new WeakMap<object, string>()
  readonly #byContent = new Map<string, string>()

  /** The dispatcher passes one frozen policy per release, so that this costs one look-up; one that could still change is read each time. */
  keyOf(parameters: OutboundParameters | undefined): string {
    const egress = parameters?.egress
    if (!isRecord(egress)) return "none"
    const known = this.#byObject.get(egress)
    if (known !== undefined) return known
    const content = JSON.stringify(egress)
    let key = this.#byContent.get(content)
    if (key === undefined) {
      key = `p${this.#byContent.size}`
      this.#byContent.set(content, key)
    }
    if (isFrozenThroughout(egress)) this.#byObject.set(egress, key)
    return key
  }
}

function isFrozenThroughout(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true
  return Object.isFrozen(value) && Object.values(value).every(isFrozenThroughout)
}

/**
 * Which bindings a script has after an upload: those sent, those inherited by name, and those whose type is to be kept.
 * Pure; run again where the row is written, so that a secret set in the meantime is not lost.
 */
import type { StoredBinding } from "../../namespace/stored-script.ts"
import { fail } from "../envelope.ts"

export interface BindingRequest {
  readonly bindings: readonly StoredBinding[]
  /** Types whose earlier bindings stay unless their name is sent again. */
  readonly keepTypes: readonly string[]
  /** `bindings_inherit=strict`: an `inherit` that names nothing fails; otherwise it is dropped. */
  readonly strict: boolean
}

/** @throws ApiFailure inheritUnresolved */
export function resolveBindings(previous: readonly StoredBinding[], request: BindingRequest): StoredBinding[] {
  const resolved = request.bindings.flatMap((binding) =>
    binding.type === "inherit" ? inherit(previous, binding, request.strict) : [binding],
  )
  const taken = new Set(request.bindings.map(({ name }) => name))
  const kept = previous.filter(({ name, type }) => request.keepTypes.includes(type) && !taken.has(name))
  return [...resolved, ...kept]
}

function inherit(previous: readonly StoredBinding[], binding: StoredBinding, strict: boolean): StoredBinding[] {
  const source = typeof binding.old_name === "string" ? binding.old_name : binding.name
  const found = previous.find(({ name }) => name === source)
  if (found !== undefined) return [{ ...found, name: binding.name }]
  if (!strict) return []
  throw fail("inheritUnresolved", {
    message: `Inherited binding '${binding.name}' does not exist on the previous version of the Worker.`,
  })
}

/** Secrets of a script: bindings whose value no answer ever shows. Setting one changes the script for the next request. */
import type { StoredBinding } from "../../namespace/stored-script.ts"
import { type Call, jsonBody, type Operation } from "../call.ts"
import type { Dependencies } from "../dependencies.ts"
import { fail, ok } from "../envelope.ts"
import { describeBindings, isSecret } from "./describe-script.ts"
import { saveChanged } from "./save-changed.ts"
import { requireScript } from "./scripts.ts"

export const list: Operation = (call, deps) =>
  ok(describeBindings(requireScript(call, deps).script.metadata.bindings.filter(isSecret)))

export const put: Operation = async (call, deps) => {
  const body = await jsonBody(call)
  const secret = checkSecret(String(body.name ?? ""), body)
  await change(call, deps, (bindings) => withSecret(bindings, secret))
  return ok(describeBindings([secret])[0])
}

export const read: Operation = (call, deps) => {
  const name = secretName(call)
  const found = requireScript(call, deps).script.metadata.bindings.find((one) => isSecret(one) && one.name === name)
  if (found === undefined) throw missing(name)
  return ok(describeBindings([found])[0])
}

export const remove: Operation = async (call, deps) => {
  const name = secretName(call)
  await change(call, deps, (bindings) => {
    if (!bindings.some((one) => isSecret(one) && one.name === name)) throw missing(name)
    return bindings.filter((one) => one.name !== name)
  })
  return ok(null)
}

/** A merge patch of `secrets`: null deletes, a value sets. All or nothing. @see RFC 7396 */
export const patchMany: Operation = async (call, deps) => {
  const patch = (await jsonBody(call)).secrets
  if (patch === undefined || patch === null || typeof patch !== "object")
    throw fail("malformed", { message: "secrets must be an object" })
  const entries = Object.entries(patch as Record<string, Record<string, unknown> | null>)
  const changed = await change(call, deps, (bindings) =>
    entries.reduce<readonly StoredBinding[]>(
      (current, [name, value]) =>
        value === null
          ? current.filter((one) => !isSecret(one) || one.name !== name)
          : withSecret(current, checkSecret(name, value)),
      bindings,
    ),
  )
  const secrets = describeBindings(changed.filter(isSecret))
  return ok(Object.fromEntries(secrets.map((secret) => [secret.name, secret])))
}

async function change(
  call: Call,
  deps: Dependencies,
  edit: (bindings: readonly StoredBinding[]) => readonly StoredBinding[],
): Promise<readonly StoredBinding[]> {
  const { namespace, script } = requireScript(call, deps)
  const bindings = edit(script.metadata.bindings)
  await saveChanged(namespace, { ...script, metadata: { ...script.metadata, bindings } }, deps)
  return bindings
}

function withSecret(bindings: readonly StoredBinding[], secret: StoredBinding): readonly StoredBinding[] {
  const taken = bindings.find(({ name }) => name === secret.name)
  if (taken !== undefined && !isSecret(taken))
    throw fail("nameInUse", {
      message: `Binding name '${secret.name}' already in use. Please use a different name and try again.`,
    })
  return [...bindings.filter(({ name }) => name !== secret.name), secret]
}

function checkSecret(name: string, value: Readonly<Record<string, unknown>>): StoredBinding {
  const { type = "secret_text" } = value
  if (name === "") throw fail("validation", { message: "a secret must have a name" })
  if (type === "secret_text") {
    if (typeof value.text !== "string") throw fail("validation", { message: `secret ${name} must have a text` })
    return { name, type, text: value.text }
  }
  if (type !== "secret_key")
    throw fail("validation", { message: `secret ${name} must be of type secret_text or secret_key` })
  const { format, algorithm, usages, key_base64, key_jwk } = value
  if (
    format === undefined ||
    algorithm === undefined ||
    !Array.isArray(usages) ||
    (key_base64 ?? key_jwk) === undefined
  )
    throw fail("validation", { message: `secret ${name} must have format, algorithm, usages and a key` })
  return { ...value, name, type }
}

function secretName(call: Call): string {
  const name = call.param("secret")
  return call.query.get("url_encoded") === "true" ? decodeURIComponent(name) : name
}

function missing(name: string) {
  return fail("secretMissing", { message: `Binding '${name}' not found` })
}

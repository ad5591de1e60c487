/** Tags of a script. */
import type { Operation } from "../call.ts"
import { fail, ok } from "../envelope.ts"
import { checkTags } from "../upload/check-metadata.ts"
import { saveChanged } from "./save-changed.ts"
import { requireScript } from "./scripts.ts"

export const list: Operation = (call, deps) => ok(requireScript(call, deps).script.metadata.tags ?? [])

/** The body is a bare JSON array. */
export const replace: Operation = async (call, deps) => {
  const tags = checkTags(await call.request.json().catch(() => null))
  const { namespace, script } = requireScript(call, deps)
  await saveChanged(namespace, { ...script, metadata: { ...script.metadata, tags } }, deps)
  return ok(tags)
}

export const add: Operation = async (call, deps) => {
  const { namespace, script } = requireScript(call, deps)
  const tags = checkTags([...(script.metadata.tags ?? []), call.param("tag")])
  await saveChanged(namespace, { ...script, metadata: { ...script.metadata, tags } }, deps)
  return ok(null)
}

export const remove: Operation = async (call, deps) => {
  const { namespace, script } = requireScript(call, deps)
  const tags = script.metadata.tags ?? []
  const tag = call.param("tag")
  if (!tags.includes(tag)) throw fail("validation", { status: 404, message: `tag ${tag} not found` })
  const left = tags.filter((one) => one !== tag)
  await saveChanged(namespace, { ...script, metadata: { ...script.metadata, tags: left } }, deps)
  return ok(null)
}

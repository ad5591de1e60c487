/** Scripts of a namespace: list, read, delete one, delete many by tag. */
import type { Call, Operation } from "../call.ts"
import type { Dependencies } from "../dependencies.ts"
import { fail, ok } from "../envelope.ts"
import type { NamespaceRow } from "../store/namespaces.ts"
import { deleteScript, findScript, listScripts, type ScriptDocument } from "../store/scripts.ts"
import { describeScript } from "./describe-script.ts"
import { requireNamespace } from "./namespaces.ts"

const PAGE = 1000
/** Production deletes in portions and says `has_more`; the portion is our choice. */
const DELETE_PORTION = 100

/** The namespace and script in the path. @throws ApiFailure namespaceMissing, namespacedScriptMissing */
export function requireScript(call: Call, deps: Dependencies): { namespace: NamespaceRow; script: ScriptDocument } {
  const namespace = requireNamespace(call, deps)
  const script = findScript(deps.sql, namespace.id, call.param("script"))
  if (script === null) throw fail("namespacedScriptMissing")
  return { namespace, script }
}

export const list: Operation = (call, deps) => {
  const namespace = requireNamespace(call, deps)
  const limit = limitOf(call, PAGE)
  const cursor = call.query.get("cursor")
  const matching = listScripts(deps.sql, namespace.id, cursor === null ? "" : fromCursor(cursor)).filter(
    tagFilter(call.query.get("tags")),
  )
  const page = matching.slice(0, limit)
  const last = page.at(-1)
  const next = matching.length > limit && last !== undefined ? { cursor: toCursor(last.name) } : {}
  return ok(
    page.map((script) => describeInNamespace(script, namespace)),
    { count: page.length, ...next },
  )
}

export const read: Operation = (call, deps) => {
  const { namespace, script } = requireScript(call, deps)
  return ok(describeInNamespace(script, namespace))
}

export const remove: Operation = async (call, deps) => {
  const namespace = requireNamespace(call, deps)
  const name = call.param("script")
  if (findScript(deps.sql, namespace.id, name) === null) throw fail("scriptMissing")
  deleteScript(deps.sql, namespace.id, name)
  await deps.namespace?.changed(namespace.name, name)
  return ok(null)
}

/** Answers without an envelope, as Cloudflare describes this one operation. A filter is required: nothing may empty a namespace by omission. */
export const removeByTag: Operation = async (call, deps) => {
  const namespace = requireNamespace(call, deps)
  const tags = call.query.get("tags")
  if (tags === null || tags === "")
    throw fail("validation", { message: "tags must be given to delete scripts in bulk" })
  const matching = listScripts(deps.sql, namespace.id).filter(tagFilter(tags))
  const portion = matching.slice(0, limitOf(call, DELETE_PORTION))
  deps.transaction(() => {
    for (const { name } of portion) deleteScript(deps.sql, namespace.id, name)
  })
  for (const { name } of portion) await deps.namespace?.changed(namespace.name, name)
  return Response.json({
    deleted: portion.map(({ tag }) => ({ id: tag })),
    deleted_count: portion.length,
    has_more: matching.length > portion.length,
  })
}

/** `a:yes,b:no`: all with `yes` must be there, none with `no`. @throws ApiFailure validation */
export function tagFilter(expression: string | null): (script: ScriptDocument) => boolean {
  if (expression === null || expression === "") return () => true
  const terms = expression.split(",").map((term) => {
    const match = /^(.+):(yes|no)$/.exec(term)
    if (match?.[1] === undefined)
      throw fail("validation", { message: `tags must look like tag:yes or tag:no, not ${term}` })
    return { tag: match[1], wanted: match[2] === "yes" }
  })
  return ({ metadata }) => terms.every(({ tag, wanted }) => (metadata.tags ?? []).includes(tag) === wanted)
}

function describeInNamespace(script: ScriptDocument, namespace: NamespaceRow): Record<string, unknown> {
  return {
    created_on: script.createdOn,
    modified_on: script.modifiedOn,
    dispatch_namespace: namespace.name,
    script: describeScript(script),
  }
}

function limitOf(call: Call, most: number): number {
  const text = call.query.get("limit")
  if (text === null) return most
  const limit = Number(text)
  if (!Number.isInteger(limit) || limit < 1 || limit > PAGE)
    throw fail("validation", { message: `limit must be a whole number from 1 to ${PAGE}` })
  return limit
}

function toCursor(name: string): string {
  return btoa(encodeURIComponent(name))
}

/** @throws ApiFailure validation */
function fromCursor(cursor: string): string {
  try {
    return decodeURIComponent(atob(cursor))
  } catch {
    throw fail("validation", { message: "the cursor is not one that this API gave" })
  }
}

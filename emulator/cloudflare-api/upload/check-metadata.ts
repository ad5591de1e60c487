/** What production checks in an upload's metadata or settings without looking at code or resources. Unknown keys pass: wrangler sends new ones. */
import type { StoredBinding } from "../../namespace/stored-script.ts"
import { fail } from "../envelope.ts"

/** The documented limit; Cloudflare's own description of the API says 10. */
const MAX_TAGS = 8
const MAX_TAG_LENGTH = 1024

/** @throws ApiFailure validation */
export function checkMetadata(metadata: Readonly<Record<string, unknown>>, nowMs: number): void {
  checkCompatibility(metadata, nowMs)
  const { bindings, tags } = metadata
  if (bindings !== undefined) checkBindingShapes(bindings)
  if (tags !== undefined && tags !== null) checkTags(tags)
}

/** @throws ApiFailure validation */
export function checkTags(tags: unknown): readonly string[] {
  if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === "string" && tag !== ""))
    throw invalid("tags must be a list of non-empty strings")
  if (new Set(tags).size > MAX_TAGS) throw invalid(`a Worker may have at most ${MAX_TAGS} tags`)
  if (tags.some((tag: string) => tag.length > MAX_TAG_LENGTH))
    throw invalid(`a tag may have at most ${MAX_TAG_LENGTH} characters`)
  return [...new Set(tags as string[])]
}

function checkCompatibility(
  { compatibility_date, compatibility_flags }: Readonly<Record<string, unknown>>,
  nowMs: number,
): void {
  if (compatibility_date !== undefined) {
    const date = compatibility_date
    if (typeof date !== "string" || !/^\d{4}-\d{2}-\d{2}$/.test(date) || Number.isNaN(Date.parse(date)))
      throw invalid(`Invalid compatibility date: ${String(date)}`)
    if (date > new Date(nowMs).toISOString().slice(0, 10))
      throw invalid(`Can't set compatibility date in the future: ${date}`)
  }
  if (compatibility_flags !== undefined && !isStringList(compatibility_flags))
    throw invalid("compatibility_flags must be a list of strings")
}

function checkBindingShapes(bindings: unknown): asserts bindings is StoredBinding[] {
  if (!Array.isArray(bindings)) throw invalid("bindings must be a list")
  const names = new Set<string>()
  for (const binding of bindings as Record<string, unknown>[]) {
    const { name, type } = binding ?? {}
    if (typeof name !== "string" || name === "" || typeof type !== "string")
      throw invalid("each binding must have a name and a type")
    if (names.has(name))
      throw fail("nameInUse", {
        message: `Binding name '${name}' already in use. Please use a different name and try again.`,
      })
    names.add(name)
  }
}

function isStringList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string")
}

function invalid(message: string) {
  return fail("validation", { message })
}

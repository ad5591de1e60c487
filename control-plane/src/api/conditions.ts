/** Conditional requests (RFC 9110 §13): the ETag of a representation, and the conditions under which a change is made. */
import { refuse } from "../../../kit/problem.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import { canonicalJson } from "../canonical-json.ts"

/** Strong: 128 bits of the digest of the canonical representation. */
export async function etagOf(representation: unknown): Promise<string> {
  return `"${(await sha256Hex(canonicalJson(representation))).slice(0, 32)}"`
}

/**
 * Holds a change to its `If-Match` and `If-None-Match`. `current` is the representation that a GET would answer, null when there is none.
 * To be called where the change is decided, so that nothing can come in between. Throws `api.precondition-failed`.
 */
export async function checkConditions(headers: Headers, current: unknown): Promise<void> {
  const ifMatch = headers.get("if-match")
  const ifNoneMatch = headers.get("if-none-match")
  if (ifMatch === null && ifNoneMatch === null) return
  const etag = current === null ? null : await etagOf(current)
  if (ifMatch !== null && !matches(ifMatch, etag)) throw refuse("api.precondition-failed", { headers: tag(etag) })
  if (ifNoneMatch !== null && matches(ifNoneMatch, etag))
    throw refuse("api.precondition-failed", { headers: tag(etag) })
}

/** For a GET: true when the client holds this representation already. */
export function isNotModified(headers: Headers, etag: string): boolean {
  const ifNoneMatch = headers.get("if-none-match")
  return ifNoneMatch !== null && matches(ifNoneMatch.replaceAll("W/", ""), etag)
}

/** `*` stands for any that exists. Weak tags never match a strong one. */
function matches(list: string, etag: string | null): boolean {
  if (etag === null) return false
  return list.trim() === "*" || list.split(",").some((each) => each.trim() === etag)
}

function tag(etag: string | null): Record<string, string> {
  return etag === null ? {} : { etag }
}

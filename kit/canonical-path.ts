/**
 * The one reading of a path. Rules, routing and logs use what comes out of here; the request goes on with the spelling that the client chose, but for
 * what the URL standard escapes, and is by then proven to decode to the same. A path that a second decoder could read as another one is refused.
 */
import { refuse } from "./problem.ts"

/** Nothing to decode, no dot segment, no empty one: such a path is its own canonical form. A leading dot (`/.well-known`) takes the long way. */
const NEEDS_A_LOOK = /[^A-Za-z0-9\-_.~!*'():@&=+$,/]|\/[./]/
/** Seen before decoding, because afterwards they cannot be told from the real thing. */
const ENCODED_SLASH_OR_FRAGMENT = /%2f|#/i
/**
 * Seen after decoding, each a way to be read twice: control characters and backslashes, `;parameters` that some servers cut off before they match
 * (`/admin;x/y` is `/admin/y` to them), empty segments, an escape that a second decoding would
 * find (also in the `%u` spelling of some servers), and dot segments. Plain ones too: clients resolve
 * them, and whether the runtime did depends on what stands in front of it (a bare workerd socket does not).
 */
const AMBIGUOUS = /[\p{Cc}\\;]|\/\/|%[0-9a-f]{2}|%u[0-9a-f]{4}|\/\.{1,2}(?:\/|$)/iu
const QUERY_OR_FRAGMENT = /[?#]/g

/**
 * The canonical form of `path`, which begins with a slash and has no query: percent-escapes stand only for what cannot be written plainly in a path,
 * in upper-case hex, and never for a slash. Idempotent. Refuses `edge.path-ambiguous`.
 */
export function canonicalPath(path: string): string {
  return NEEDS_A_LOOK.test(path) ? decodeOnce(path) : path
}

function decodeOnce(path: string): string {
  if (ENCODED_SLASH_OR_FRAGMENT.test(path)) throw refuse("edge.path-ambiguous")
  try {
    // Throws for a malformed escape, for invalid and overlong UTF-8, and for surrogates.
    const decoded = decodeURIComponent(path)
    if (!AMBIGUOUS.test(decoded)) return encodeURI(decoded).replace(QUERY_OR_FRAGMENT, encodeURIComponent)
  } catch (cause) {
    throw refuse("edge.path-ambiguous", { cause })
  }
  throw refuse("edge.path-ambiguous")
}

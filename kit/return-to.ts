/**
 * Where a person goes after logging in or out, of all that a link may say. Only a path on the own origin, in its canonical spelling, so that no
 * parser between here and the browser can read another origin into it. Of open redirects, the WHATWG parser decides what the text means: the same one that the browser has.
 * @see https://url.spec.whatwg.org/#url-parsing, CWE-601
 */
import { canonicalPath } from "./canonical-path.ts"
import { Refusal } from "./problem.ts"

/** Characters; longer ones are links of nobody. */
const MAX_LENGTH = 2_000

/**
 * Path and query on `origin` for a `Location`, always beginning with exactly one slash; `/` for whatever is absent, leads elsewhere, is not canonical (kit/canonical-path.ts)
 * or lies below one of `never`. A fragment is dropped: no server sees one.
 */
export function returnTo(wanted: string | null | undefined, origin: string, never: readonly string[] = []): string {
  if (wanted == null || wanted.length > MAX_LENGTH) return "/"
  const url = URL.parse(wanted, `${origin}/`)
  if (url === null || url.origin !== origin || !/^https?:$/.test(url.protocol)) return "/"
  const path = canonical(url.pathname)
  if (path === null || never.some((below) => path === below || path.startsWith(`${below}/`))) return "/"
  return path + url.search
}

function canonical(path: string): string | null {
  try {
    return canonicalPath(path)
  } catch (thrown) {
    if (thrown instanceof Refusal) return null
    throw thrown
  }
}

/** How `_redirects` and `_headers` write an URL, read as Cloudflare's parsers do. @see packages/workers-shared/utils/configuration/validateURL.ts */

/** Longest line that is read. */
export const MAX_LINE_CHARS = 2000

interface Allowed {
  readonly absolute: boolean
  /** Whether an absolute URL may name a port. */
  readonly port: boolean
  /** Whether query and fragment are kept. */
  readonly query: boolean
}

const ABSOLUTE = /^https:\/\/+(?<host>[^/]+)\/?(?<path>.*)/

/** The URL in canonical form: `/path`, or `https://host/path`; null when it is not acceptable here. */
export function ruleUrl(token: string, allowed: Allowed): string | null {
  const groups = ABSOLUTE.exec(token)?.groups
  if (groups?.host !== undefined) {
    if (!allowed.absolute || (!allowed.port && /:\d+$/.test(groups.host))) return null
    const path = pathOf(groups.path ?? "", allowed.query)
    return path === null ? null : `https://${groups.host}${path}`
  }
  if (token.startsWith("/")) return pathOf(token, allowed.query)
  return allowed.absolute ? null : pathOf(`/${token}`, allowed.query)
}

export function isAbsolute(url: string): boolean {
  return ABSOLUTE.test(url)
}

/** True for patterns such as `/blog/*` or `/:year/:slug`. */
export function isPattern(path: string): boolean {
  return /\*|:[A-Za-z]\w*/.test(path)
}

function pathOf(path: string, query: boolean): string | null {
  const rooted = path.startsWith("/") ? path : `/${path}`
  if (!URL.canParse(`//${rooted}`, "relative://")) return null
  const url = new URL(`//${rooted}`, "relative://")
  return query ? `${url.pathname}${url.search}${url.hash}` : url.pathname
}

/**
 * Tells clients that an endpoint is going to go: `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and a `Link` to what to do, by path, as ops set them.
 */

export interface Deprecation {
  /** `/a/b` alone, or `/a/*` for `/a` and all below. */
  readonly path: string
  /** Complete header values. */
  readonly deprecation: string
  readonly sunset: string | null
  readonly link: string | null
}

const MEMBERS: ReadonlySet<string> = new Set(["path", "since", "sunset", "link"])

let parsedLast: { readonly text: string; readonly list: readonly Deprecation[] } = { text: "[]", list: [] }

/**
 * From `[{ "path": "/rest/v1.0/old/*", "since": "2026-01-31T00:00:00Z", "sunset": "2026-12-31T00:00:00Z", "link": "https://…" }]`, of which `sunset` and `link` may be
 * left out. Throws TypeError or SyntaxError for anything else, and for a sunset before the deprecation (RFC 9745 §4). The same text again costs nothing.
 */
export function parseDeprecations(text: string): readonly Deprecation[] {
  if (parsedLast.text === text) return parsedLast.list
  const list: unknown = JSON.parse(text)
  if (!Array.isArray(list)) throw new TypeError("deprecations must be an array")
  parsedLast = { text, list: list.map(parseDeprecation) }
  return parsedLast.list
}

function parseDeprecation(entry: unknown): Deprecation {
  if (typeof entry !== "object" || entry === null) throw new TypeError("deprecations: each entry must be an object")
  const stray = Object.keys(entry).find((name) => !MEMBERS.has(name))
  if (stray !== undefined) throw new TypeError(`deprecations: unknown member ${stray}`)
  const { path, since, sunset, link } = entry as Record<string, unknown>
  if (typeof path !== "string" || !/^(\/\*|\/[^*?#]*(\/\*)?)$/.test(path))
    throw new TypeError("deprecations: path is malformed")
  const sinceMs = instant("since", since)
  const sunsetMs = sunset === undefined ? null : instant("sunset", sunset)
  if (sunsetMs !== null && sunsetMs < sinceMs) throw new TypeError("deprecations: sunset lies before since")
  return {
    path,
    // RFC 9651 §3.3.7: a Date is seconds since the epoch behind an at sign.
    deprecation: `@${Math.floor(sinceMs / 1000)}`,
    sunset: sunsetMs === null ? null : new Date(sunsetMs).toUTCString(),
    link: link === undefined ? null : `<${address(link)}>; rel="deprecation"`,
  }
}

/** Milliseconds since the epoch. */
function instant(name: string, value: unknown): number {
  const ms = typeof value === "string" && /^\d{4}-\d{2}-\d{2}T/.test(value) ? Date.parse(value) : Number.NaN
  if (Number.isNaN(ms))
    throw new TypeError(`deprecations: ${name} must be a date and time such as 2026-12-31T00:00:00Z`)
  return ms
}

function address(value: unknown): string {
  const url = typeof value === "string" ? URL.parse(value) : null
  if (url?.protocol !== "https:") throw new TypeError("deprecations: link must be an https address")
  return url.href
}

/** The response with the headers of the first entry that holds `path`; itself when none does, or when it is a WebSocket's. A cell that says so itself is not overruled. */
export function announceDeprecation(response: Response, path: string, deprecations: readonly Deprecation[]): Response {
  const found = deprecations.find((each) => covers(each.path, path))
  if (found === undefined || response.webSocket !== null || response.headers.has("deprecation")) return response
  const copy = new Response(response.body, response)
  copy.headers.set("deprecation", found.deprecation)
  if (found.sunset !== null) copy.headers.set("sunset", found.sunset)
  if (found.link !== null) copy.headers.append("link", found.link)
  return copy
}

function covers(pattern: string, path: string): boolean {
  if (!pattern.endsWith("/*")) return path === pattern
  const stem = pattern.slice(0, -2)
  return path === stem || path.startsWith(`${stem}/`)
}

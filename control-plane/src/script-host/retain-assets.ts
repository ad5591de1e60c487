/**
 * Which files of earlier versions a new version goes on serving: those that their own `_headers` file called immutable. A tab that was opened before a
 * deploy still asks for the hashed names of its page, and every version is a script of its own that serves only its own files.
 * Pure. The version's manifest and digest do not know of it: the same content stays the same version, whatever came before it.
 */
import type { Manifest, ManifestAsset } from "../../../contracts/manifest.ts"

export type Assets = NonNullable<Manifest["assets"]>

export const RETAIN_LIMITS = {
  /** Of one version, its own included: what one upload may have. */
  files: 20_000,
  /** Of the kept files together, so that a team's releases do not add up for ever. */
  bytes: 256 * 1024 * 1024,
} as const

/** Of a `_headers` file, as Cloudflare reads it. */
const MAX_RULES = 100
const MAX_LINE_CHARS = 2000
/** Of a rule with placeholders; what it costs to compare is bounded by it. */
const MAX_SEGMENTS = 16

/**
 * The files to place beside `own`, newest first. `earlier` are the assets of earlier versions, newest first, each judged by its own `_headers`; asked for one at
 * a time, because the lists of several large versions together are more than an isolate holds.
 * A path that is there already is never replaced. HTML is never kept: a page that was taken away has to be gone. What exceeds {@link RETAIN_LIMITS} is left out, oldest first.
 */
export async function retainedAssets(
  own: Assets,
  earlier: AsyncIterable<Assets> | Iterable<Assets>,
): Promise<ManifestAsset[]> {
  const taken = new Set(own.files.map(({ path }) => path))
  const kept: ManifestAsset[] = []
  let bytes = 0
  for await (const { files, config } of earlier) {
    const isImmutable = immutablePaths(config._headers)
    for (const file of files) {
      if (taken.has(file.path) || isPage(file) || !isImmutable(file.path)) continue
      if (taken.size >= RETAIN_LIMITS.files || bytes + file.sizeBytes > RETAIN_LIMITS.bytes) return kept
      taken.add(file.path)
      kept.push(file)
      bytes += file.sizeBytes
    }
  }
  return kept
}

function isPage({ path, contentType }: ManifestAsset): boolean {
  return contentType?.startsWith("text/html") === true || /\.html?$/i.test(path)
}

/** `segments` are the path's. */
type Matcher = (path: string, segments: readonly string[]) => boolean

interface Rule {
  /** Null for a form that is not read here. */
  readonly matches: Matcher | null
  /** What the section says of Cache-Control; null while it says nothing. */
  verdict: "immutable" | "other" | null
}

/** True for a path of which every rule that speaks of Cache-Control says `immutable`, and at least one does. No file, or none that can be read, keeps nothing. */
export function immutablePaths(headers: unknown): (path: string) => boolean {
  const rules = typeof headers === "string" ? readRules(headers) : []
  // What such a rule takes `immutable` from cannot be told, and may be anything.
  if (rules.some(({ matches, verdict }) => matches === null && verdict === "other")) return () => false
  return (path) => {
    const segments = path.split("/")
    const verdicts = rules.filter((rule) => rule.matches?.(path, segments)).map((rule) => rule.verdict)
    return verdicts.length > 0 && verdicts.every((verdict) => verdict === "immutable")
  }
}

function readRules(text: string): Rule[] {
  const rules: Rule[] = []
  let current: Rule | null = null
  for (const raw of text.split("\n")) {
    const line = raw.trim()
    if (line === "" || line.startsWith("#") || line.length > MAX_LINE_CHARS) continue
    if (/^(\/|[^\s:]+:\/\/)/.test(line)) {
      current = { matches: matcherOf(line), verdict: null }
      if (rules.length < MAX_RULES) rules.push(current)
    } else if (current !== null && /^(! *)?cache-control\b/i.test(line)) {
      const says = /^cache-control *:.*\bimmutable\b/i.test(line) && !/\b(no-store|no-cache|private)\b/i.test(line)
      current.verdict = says && current.verdict !== "other" ? "immutable" : "other"
    }
  }
  return rules.filter(({ verdict }) => verdict !== null)
}

/**
 * By whole text or by segments, so that no pattern of a team's can be slow: `*`, once, is anything; `:name` is any one segment, and goes with a `*` at the end only.
 * Null for Cloudflare's other forms, a hostname among them, and for more segments than a person writes.
 */
function matcherOf(rule: string): Matcher | null {
  const star = rule.indexOf("*")
  if (!rule.startsWith("/") || star !== rule.lastIndexOf("*")) return null
  if (!rule.includes("/:"))
    return star === -1 ? (path) => path === rule : around(rule.slice(0, star), rule.slice(star + 1))
  const wanted = rule.split("/")
  if ((star !== -1 && star !== rule.length - 1) || wanted.length > MAX_SEGMENTS) return null
  return (_path, segments) => {
    if (star === -1 && segments.length !== wanted.length) return false
    return wanted.every((each, index) => {
      const segment = segments[index]
      if (segment === undefined) return false
      if (each.endsWith("*")) return segment.startsWith(each.slice(0, -1))
      return /^:[A-Za-z]\w*$/.test(each) ? segment !== "" : segment === each
    })
  }
}

function around(prefix: string, suffix: string): Matcher {
  const least = prefix.length + suffix.length
  return (path) => path.length >= least && path.startsWith(prefix) && path.endsWith(suffix)
}

/**
 * The `_redirects` file as the asset Worker's configuration. Lines that Cloudflare would skip are skipped here.
 * @see packages/workers-shared/utils/configuration/{parseRedirects,constructConfiguration}.ts of cloudflare/workers-sdk
 */
import { isAbsolute, isPattern, MAX_LINE_CHARS, ruleUrl } from "./rule-url.ts"

interface Target {
  readonly status: number
  readonly to: string
}
export interface RedirectRules {
  readonly version: 1
  /** Exact paths; `lineNumber` decides which of an exact and an earlier pattern wins. */
  readonly staticRules: Record<string, Target & { readonly lineNumber: number }>
  readonly rules: Record<string, Target>
}

const STATUS_CODES: ReadonlySet<number> = new Set([200, 301, 302, 303, 307, 308])
const MAX_STATIC_RULES = 2000
const MAX_PATTERN_RULES = 100

/** Undefined when there is no rule. `htmlHandling` decides whether a redirect to `/index` would lead back to itself. */
export function parseRedirectRules(
  text: string | undefined,
  htmlHandling: string | undefined,
): RedirectRules | undefined {
  const found: RedirectRules = { version: 1, staticRules: {}, rules: {} }
  const seen = new Set<string>()
  // After the first pattern even exact paths are kept in order with the patterns.
  let inOrder = false
  for (const [index, raw] of (text ?? "").split("\n").entries()) {
    const rule = parseLine(raw.trim(), htmlHandling)
    if (rule === null || seen.has(rule.from)) continue
    const { from, status, to } = rule
    inOrder ||= isPattern(from)
    if (inOrder ? Object.keys(found.rules).length >= MAX_PATTERN_RULES : seen.size >= MAX_STATIC_RULES) continue
    seen.add(from)
    if (inOrder) found.rules[from] = { status, to }
    else found.staticRules[from] = { status, to, lineNumber: index + 1 }
  }
  return seen.size === 0 ? undefined : found
}

function parseLine(line: string, htmlHandling: string | undefined): (Target & { from: string }) | null {
  if (line === "" || line.startsWith("#") || line.length > MAX_LINE_CHARS) return null
  const tokens = line.replace(/\s+#.*$/, "").split(/\s+/)
  const [fromText, toText, statusText = "302"] = tokens
  if (fromText === undefined || toText === undefined || tokens.length > 3) return null
  const from = ruleUrl(fromText, { absolute: false, port: false, query: false })
  const to = ruleUrl(toText, { absolute: true, port: true, query: true })
  const status = Number(statusText)
  if (from === null || to === null || !STATUS_CODES.has(status)) return null
  if (status === 200 && isAbsolute(to)) return null
  return leadsBack(from, to, htmlHandling) ? null : { from, to, status }
}

/** `/index` is itself redirected to `/`, which such a rule would send back to `/index`. */
function leadsBack(from: string, to: string, htmlHandling: string | undefined): boolean {
  if (isAbsolute(to) || !/\/index(\.html)?$/.test(to)) return false
  return from.endsWith("/*") || (from.endsWith("/") && htmlHandling !== "none")
}

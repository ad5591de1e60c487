/**
 * The `_headers` file as the asset Worker's configuration. Lines that Cloudflare would skip are skipped here.
 * @see packages/workers-shared/utils/configuration/{parseHeaders,constructConfiguration}.ts of cloudflare/workers-sdk
 */
import { MAX_LINE_CHARS, ruleUrl } from "./rule-url.ts"

export interface HeaderRules {
  readonly version: 2
  readonly rules: Record<string, { set?: Record<string, string>; unset?: string[] }>
}

interface Section {
  readonly path: string
  readonly set: Record<string, string>
  readonly unset: string[]
}

const MAX_RULES = 100
const LOOKS_LIKE_PATH = /^([^\s]+:\/\/|^\/)/

/** Undefined when there is no rule. */
export function parseHeaderRules(text: string | undefined): HeaderRules | undefined {
  const sections: Section[] = []
  let current: Section | null = null
  for (const raw of (text ?? "").split("\n")) {
    const line = raw.trim()
    if (line === "" || line.startsWith("#") || line.length > MAX_LINE_CHARS) continue
    if (LOOKS_LIKE_PATH.test(line)) {
      current = openSection(line)
      if (current !== null) sections.push(current)
    } else if (current !== null) addHeader(line, current)
  }
  const used = sections.filter((each) => Object.keys(each.set).length > 0 || each.unset.length > 0)
  if (used.length === 0) return undefined
  const rules: HeaderRules["rules"] = {}
  for (const { path, set, unset } of used.slice(0, MAX_RULES)) {
    rules[path] = {
      ...(Object.keys(set).length > 0 ? { set } : {}),
      ...(unset.length > 0 ? { unset } : {}),
    }
  }
  return { version: 2, rules }
}

/** Null for a path that is no rule: the headers below it belong to nobody. */
function openSection(line: string): Section | null {
  const path = ruleUrl(line, { absolute: true, port: false, query: false })
  if (path === null) return null
  const wildcards = path.split("*").length - 1
  if (wildcards > 1 || (wildcards > 0 && /:splat(?!\w)/.test(path))) return null
  return { path, set: {}, unset: [] }
}

function addHeader(line: string, section: Section): void {
  const colon = line.indexOf(":")
  if (colon < 0) {
    if (line.startsWith("! ")) section.unset.push(line.slice(2))
    return
  }
  const name = line.slice(0, colon).trim().toLowerCase()
  const value = line.slice(colon + 1).trim()
  if (name === "" || value === "" || name.includes(" ")) return
  const before = section.set[name]
  section.set[name] = before === undefined ? value : `${before}, ${value}`
}

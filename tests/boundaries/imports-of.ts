/**
 * What a TypeScript source imports, and the graph of a whole tree of them. Knows syntax only: whether an import is
 * allowed is said in rules.ts.
 */
import { posix } from "node:path"
import { parseSync } from "oxc-parser"

export interface Import {
  /** As written: `./a.ts`, `hono`, `cloudflare:workers`. */
  readonly specifier: string
  /** Path of the imported file from the repository's root, or null for a package. */
  readonly target: string | null
  /** True when nothing of it exists at run time. */
  readonly typeOnly: boolean
}

/** Imports by file; both are paths from the repository's root with `/`. */
export type ImportGraph = ReadonlyMap<string, readonly Import[]>

/** Throws when a source does not parse, naming the file. */
export function graphOf(sources: ReadonlyMap<string, string>): ImportGraph {
  return new Map([...sources].map(([file, source]) => [file, importsOf(file, source)]))
}

function importsOf(file: string, source: string): Import[] {
  const parsed = parseSync(file, source)
  const fault = parsed.errors[0]
  if (fault !== undefined) throw new Error(`${file} does not parse: ${fault.message}`)
  const found: Import[] = []
  const add = (specifier: string, typeOnly: boolean) =>
    found.push({ specifier, target: targetOf(file, specifier), typeOnly })
  for (const each of parsed.module.staticImports) {
    const typeOnly = each.entries.length > 0 && each.entries.every((entry) => entry.isType)
    add(each.moduleRequest.value, typeOnly)
  }
  for (const each of parsed.module.staticExports)
    for (const entry of each.entries) if (entry.moduleRequest !== null) add(entry.moduleRequest.value, entry.isType)
  for (const each of parsed.module.dynamicImports) {
    const argument = source.slice(each.moduleRequest.start, each.moduleRequest.end)
    // An import of a computed name cannot be judged here; the launchers that need one are plain JavaScript.
    const literal = /^["'`]([^"'`$]*)["'`]$/.exec(argument)?.[1]
    add(literal ?? `(computed) ${argument}`, false)
  }
  return found
}

function targetOf(file: string, specifier: string): string | null {
  return /^\.{1,2}\//.test(specifier) ? posix.normalize(posix.join(posix.dirname(file), specifier)) : null
}

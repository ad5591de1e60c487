/** Finds the operation for a method and path. Patterns are path templates: `:name` is one segment, `*name` the rest. */
import type { Operation } from "./call.ts"

export interface RouteEntry {
  /** `*` matches every method. */
  readonly method: string
  /** Below `/client/v4`. */
  readonly path: string
  readonly operation: Operation
  /** `none`: the operation checks a credential of its own. */
  readonly auth?: "none"
}

export interface Route {
  readonly route: RouteEntry
  /** Decoded. */
  readonly params: Readonly<Record<string, string>>
}

const PREFIX = "/client/v4"

/** The first entry that matches, or null. */
export function matchRoute(routes: readonly RouteEntry[], method: string, path: string): Route | null {
  if (!path.startsWith(`${PREFIX}/`)) return null
  const segments = path.slice(PREFIX.length + 1).split("/")
  for (const route of routes) {
    if (route.method !== "*" && route.method !== method) continue
    const params = matchSegments(route.path.slice(1).split("/"), segments)
    if (params !== null) return { route, params }
  }
  return null
}

function matchSegments(pattern: readonly string[], segments: readonly string[]): Record<string, string> | null {
  const params: Record<string, string> = {}
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index]
    if (segment === undefined || segment === "") return null
    if (part.startsWith("*")) {
      params[part.slice(1)] = decode(segments.slice(index).join("/"))
      return params
    }
    if (part.startsWith(":")) params[part.slice(1)] = decode(segment)
    else if (part !== segment) return null
  }
  return pattern.length === segments.length ? params : null
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

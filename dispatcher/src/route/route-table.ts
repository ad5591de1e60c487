/**
 * From hostname and path to a route, in a handful of map lookups however many routes there are.
 * A hostname's maps are built when it is first asked for: most isolates see few of the hostnames they know.
 */
import type { DispatchConfig, RouteConfig } from "../../../contracts/dispatch-config.ts"

export interface RouteMatch {
  readonly hostname: string
  /** Team whose hostname it is, if any. */
  readonly owner: string | null
  readonly config: RouteConfig
}

interface HostTable {
  /** `/a/b` → route of that path alone. */
  readonly exact: ReadonlyMap<string, RouteMatch>
  /** `/a` → route of `/a/*`; `""` → route of `/*`. */
  readonly prefixes: ReadonlyMap<string, RouteMatch>
  /** Characters of the longest prefix; -1 without any. */
  readonly longest: number
}

export class RouteTable {
  readonly #hostnames: DispatchConfig["hostnames"]
  readonly #built = new Map<string, HostTable>()

  constructor(hostnames: DispatchConfig["hostnames"]) {
    this.#hostnames = hostnames
  }

  /** Null when nothing is served on `hostname` (exact match, canonical form). */
  #host(hostname: string): HostTable | null {
    const built = this.#built.get(hostname)
    if (built !== undefined) return built
    if (!Object.hasOwn(this.#hostnames, hostname)) return null
    const { team = null, routes = [] } = this.#hostnames[hostname] ?? {}
    const table = buildHost(hostname, team, routes)
    this.#built.set(hostname, table)
    return table
  }

  /**
   * The most specific route: the exact path, else the longest prefix that ends at a segment boundary.
   * `unknown` when the hostname is not served at all, `none` when no route of it matches. `path` is canonical.
   */
  find(hostname: string, path: string): RouteMatch | "unknown" | "none" {
    const host = this.#host(hostname)
    if (host === null) return "unknown"
    const exact = host.exact.get(path)
    if (exact !== undefined) return exact
    // No longer prefix is there to be found: a path of thousands of segments costs no more than the routes are long.
    let end = path.length <= host.longest ? path.length : host.longest < 0 ? -1 : path.lastIndexOf("/", host.longest)
    while (end >= 0) {
      const prefix = host.prefixes.get(path.slice(0, end))
      if (prefix !== undefined) return prefix
      if (end === 0) return "none"
      end = path.lastIndexOf("/", end - 1)
    }
    return "none"
  }

  /** Every route of the hostname whose pattern matches, most specific first; for `explain`. */
  matching(hostname: string, path: string): RouteMatch[] {
    const host = this.#host(hostname)
    if (host === null) return []
    const exact = host.exact.get(path)
    const prefixes = [...host.prefixes]
      .filter(([prefix]) => prefix === "" || path === prefix || path.startsWith(`${prefix}/`))
      .sort(([a], [b]) => b.length - a.length)
      .map(([, match]) => match)
    return exact === undefined ? prefixes : [exact, ...prefixes]
  }
}

function buildHost(hostname: string, owner: string | null, routes: readonly RouteConfig[]): HostTable {
  const exact = new Map<string, RouteMatch>()
  const prefixes = new Map<string, RouteMatch>()
  let longest = -1
  for (const config of routes) {
    if (config.path.endsWith("/*")) {
      const prefix = config.path.slice(0, -2)
      prefixes.set(prefix, { hostname, owner, config })
      longest = Math.max(longest, prefix.length)
    } else exact.set(config.path, { hostname, owner, config })
  }
  return { exact, prefixes, longest }
}

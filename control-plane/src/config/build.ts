/**
 * Registry → dispatch config. Pure: the same rows give the same text, whatever order they were written in, so that an unchanged registry is known by its digest.
 * Called by change.ts before anything is committed and by publish.ts to make a lost document again.
 */
import {
  CONFIG_FORMAT,
  type DispatchConfig,
  type PolicySection,
  type RouteConfig,
  type TracingConfig,
} from "../../../contracts/dispatch-config.ts"
import { canonicalJson } from "../canonical-json.ts"
import type { Registry } from "../store/registry.ts"
import { DEFAULT_POLICY } from "./default-policy.ts"

/** What the registry decides; a revision number and a time make it a {@link DispatchConfig}. */
export type ConfigContent = Omit<DispatchConfig, "revision" | "publishedAt" | "tracing"> & {
  /** Only where it is not as {@link DEFAULT_POLICY} has it. */
  readonly tracing?: TracingConfig
}

/** The content may still be invalid: the parser of the contract has the last word. */
export function buildContent(registry: Registry, passportIssuer: string): ConfigContent {
  return {
    format: CONFIG_FORMAT,
    passportIssuer,
    ...policyOf(registry),
    hostnames: hostnamesOf(registry),
    scripts: scriptsOf(registry),
    teams: Object.fromEntries(
      [...registry.teams.values()].map(({ name, grants, egress }) => [name, { grants, egress }]),
    ),
  }
}

/** The exact bytes of a revision, as text. */
export function documentOf(content: ConfigContent, revision: number, publishedAt: string): string {
  return canonicalJson({ ...content, revision, publishedAt })
}

/** `tracing` is younger than the format: a dispatcher of before refuses a config that names it. So it is named only while it says more than its absence does, and till then either side can be rolled back. */
function policyOf(registry: Registry): Pick<ConfigContent, PolicySection> {
  const { tracing: quiet, ...always } = DEFAULT_POLICY
  const put = Object.fromEntries([...registry.policy.values()].map((row) => [row.section, row.document]))
  const { tracing = quiet, ...rest } = { ...always, ...put }
  return canonicalJson(tracing) === canonicalJson(quiet) ? rest : { ...rest, tracing }
}

function hostnamesOf(registry: Registry): DispatchConfig["hostnames"] {
  const hostnames: Record<string, { team: string | null; routes: RouteConfig[] }> = Object.fromEntries(
    [...registry.hostnames.values()].map(({ hostname, team }) => [hostname, { team, routes: [] }]),
  )
  for (const { hostname, ...route } of registry.routes.values()) hostnames[hostname]?.routes.push(route)
  for (const { routes } of Object.values(hostnames)) routes.sort((a, b) => (a.path < b.path ? -1 : 1))
  return hostnames
}

/** Only those that a request can reach: claiming a name or uploading a version publishes nothing. */
function scriptsOf(registry: Registry): DispatchConfig["scripts"] {
  const routed = new Set([...registry.routes.values()].map((route) => route.script))
  const scripts: DispatchConfig["scripts"] = {}
  for (const { name, team, settings, deletedAt } of registry.scripts.values()) {
    const current = registry.current.get(name)
    if (deletedAt !== null || (current === undefined && !routed.has(name))) continue
    const { stickyBy, limits, timeoutMs, access, kill } = settings
    const releases = current === undefined ? null : [...current.releases]
    const conditions = { ...(access === null ? {} : { access }), ...(kill === null ? {} : { kill }) }
    scripts[name] = { team, releases, stickyBy, limits, timeoutMs, ...conditions }
  }
  return scripts
}

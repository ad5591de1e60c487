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
import { zoneInForce } from "../route-zone.ts"
import type { Registry } from "../store/registry.ts"
import { type RouteSpec, specOf } from "../store/rows.ts"
import { DEFAULT_POLICY, YOUNGER_SECTIONS } from "./default-policy.ts"

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
    issuers: issuersOf(registry),
    hostnames: hostnamesOf(registry),
    scripts: scriptsOf(registry),
    ...passportKeysOf(registry),
    teams: Object.fromEntries(
      [...registry.teams.values()].map(({ name, grants, egress, kill }) => [
        name,
        { grants, egress, ...(kill === null ? {} : { kill }) },
      ]),
    ),
  }
}

/** JSON pointer to a route that the content holds. */
export function pointerToRoute(content: ConfigContent, { id, hostname }: RouteSpec): string {
  const index = content.hostnames[hostname]?.routes.findIndex((route) => route.id === id)
  return `/hostnames/${hostname}/routes/${index}`
}

/** The exact bytes of a revision, as text. */
export function documentOf(content: ConfigContent, revision: number, publishedAt: string): string {
  return canonicalJson({ ...content, revision, publishedAt })
}

/** What ops put over what they did not; a younger section only where it is not as its absence. */
function policyOf(registry: Registry): Pick<ConfigContent, PolicySection> {
  const put = Object.fromEntries([...registry.policy.values()].map((row) => [row.section, row.document]))
  const all = { ...DEFAULT_POLICY, ...put }
  const named = Object.entries(all).filter(
    ([section, document]) =>
      !YOUNGER_SECTIONS.includes(section as PolicySection) ||
      canonicalJson(document) !== canonicalJson(DEFAULT_POLICY[section as PolicySection]),
  )
  return Object.fromEntries(named) as Pick<ConfigContent, PolicySection>
}

/** Each with the keys that were last found where it publishes them. Those that ops wrote stand until there are any: an issuer that took a key back must not have it believed for ever. */
function issuersOf({ policy, issuerKeys }: Registry): ConfigContent["issuers"] {
  const issuers = (policy.get("issuers")?.document ?? DEFAULT_POLICY.issuers) as ConfigContent["issuers"]
  return Object.fromEntries(
    Object.entries(issuers).map(([id, issuer]) => {
      const found = issuerKeys.get(id)
      return [
        id,
        issuer.jwksUri !== undefined && found?.jwksUri === issuer.jwksUri ? { ...issuer, jwks: found.jwks } : issuer,
      ]
    }),
  )
}

/** Nothing before the first rotation: a dispatcher from before there were keys in the config can load it until then. */
function passportKeysOf({ passportKeys }: Registry): Pick<ConfigContent, "passportKeys"> {
  const rows = [...passportKeys.values()].sort((a, b) => a.signsFromMs - b.signsFromMs || (a.kid < b.kid ? -1 : 1))
  const keys = rows.map(({ askedBy: _by, changedAt: _at, ...key }) => key)
  return keys.length === 0 ? {} : { passportKeys: keys }
}

function hostnamesOf(registry: Registry): DispatchConfig["hostnames"] {
  const hostnames: Record<string, { team: string | null; routes: RouteConfig[] }> = Object.fromEntries(
    [...registry.hostnames.values()].map(({ hostname, team }) => [hostname, { team, routes: [] }]),
  )
  for (const row of registry.routes.values()) {
    const { hostname, zone: _, ...route } = specOf(row)
    const zone = zoneInForce(row, registry)
    hostnames[hostname]?.routes.push(zone === undefined ? route : { ...route, zone })
  }
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

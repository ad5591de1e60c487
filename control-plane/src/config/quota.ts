/**
 * How much of the one dispatch config a team may fill, and what still passes when it is nearly full: no team may keep the others from changing anything.
 * Pure; called by change.ts, the one place through which every change of the config goes.
 */
import { CONFIG_LIMITS } from "../../../contracts/dispatch-config.ts"
import { refuse } from "../../../kit/problem.ts"
import { type Actor, SYSTEM } from "../actor.ts"
import { canonicalJson } from "../canonical-json.ts"
import type { Registry } from "../store/registry.ts"
import { type RouteRow, type ScriptRow, specOf } from "../store/rows.ts"

/** Of each bound of the config, the share from which on only ops let it grow. */
const NEARLY_FULL = 0.9

export const QUOTA = {
  /** Routes of one team. The largest we know of has some dozens; 200 teams at the limit would still be within `CONFIG_LIMITS.routes`. */
  routesPerTeam: 500,
  /**
   * Bytes of one team's routes and of its scripts in service, whole, as JSON in UTF-8: 500 routes of the usual 250 bytes. One team takes a 32nd of `CONFIG_LIMITS.bytes`; what may go
   * beyond are kill switches ({@link QUOTA.killBytes} each) and the weights of its scripts, of 500 routes and 200 scripts at most. With all of them it has a tenth.
   */
  bytesPerTeam: 128 * 1024,
  /** Bytes of one kill switch that nothing keeps anyone from: as many as one with the longest reason has, unless the reason is such that JSON writes it longer. */
  killBytes: 300,
  /** Bytes from which on only ops let the config grow. The rest, some 400 KiB, is room for kill switches and for weights of what exists: more than one team can fill with them. */
  nearlyFullBytes: Math.floor(CONFIG_LIMITS.bytes * NEARLY_FULL),
  nearlyFullRoutes: Math.floor(CONFIG_LIMITS.routes * NEARLY_FULL),
  nearlyFullScripts: Math.floor(CONFIG_LIMITS.scripts * NEARLY_FULL),
} as const

/**
 * Holds a change to the quota of its teams and, once the config is nearly full in bytes, routes or scripts, to what must always be possible: ops may do anything; others whatever adds no
 * route, enlarges none, and puts no script in service that was not nor has one ask more of its callers. Kill switches of usual length and weights count towards a team's bytes, and are
 * refused in no case. `sizeBytes` is the size that the config would have.
 * Throws `route.quota-exceeded`, `config.nearly-full`.
 */
export function admitSize(before: Registry, after: Registry, sizeBytes: number, actor: Actor): void {
  // The schedule acts as ops, but for teams: it must not carry through what they were refused.
  if (actor.role === "ops" && actor !== SYSTEM) return
  const served = inService(after)
  const routes = grownRoutes(before, after)
  const scripts = grownScripts(before, after, served)
  if (routes.length + scripts.length === 0) return
  const teams = [...routes.map(({ team }) => team), ...scripts.map((name) => after.scripts.get(name)?.team)]
  for (const team of new Set(teams)) if (team !== undefined) admitTeamSize(team, after, served)
  const isNearlyFull =
    sizeBytes >= QUOTA.nearlyFullBytes ||
    after.routes.size >= QUOTA.nearlyFullRoutes ||
    served.size >= QUOTA.nearlyFullScripts
  if (isNearlyFull) throw refuse("config.nearly-full")
}

function admitTeamSize(team: string, registry: Registry, served: ReadonlySet<string>): void {
  const routes = [...registry.routes.values()].filter((route) => route.team === team)
  if (routes.length > QUOTA.routesPerTeam)
    throw refuse("route.quota-exceeded", { detail: `A team may have ${QUOTA.routesPerTeam} routes.` })
  const scripts = [...registry.scripts.values()].filter((script) => script.team === team && served.has(script.name))
  const sizes = [
    ...routes.map((route) => bytesOf(specOf(route))),
    ...scripts.map((script) => bytesOf(inConfig(script, registry))),
  ]
  const sizeBytes = sizes.reduce((sum, each) => sum + each, 0)
  if (sizeBytes > QUOTA.bytesPerTeam)
    throw refuse("route.quota-exceeded", {
      detail: `The team's routes and scripts in service would take ${sizeBytes} bytes of ${QUOTA.bytesPerTeam}.`,
    })
}

/** Those that are new, or larger than they were. */
function grownRoutes(before: Registry, after: Registry): RouteRow[] {
  return [...after.routes.values()].filter((route) => {
    const was = before.routes.get(route.id)
    return was !== route && (was === undefined || weightOf(route) > weightOf(was))
  })
}

/** Everything of a route but what nothing keeps anyone from. */
function weightOf(route: RouteRow): number {
  return bytesOf({ ...specOf(route), kill: undefined }) + excessOf(route.kill)
}

/** Names of those that enter service, or ask more of callers than they did. */
function grownScripts(before: Registry, after: Registry, served: ReadonlySet<string>): string[] {
  const servedBefore = inService(before)
  return [...served].filter((name) => {
    const [was, is] = [before.scripts.get(name), after.scripts.get(name)]
    return !servedBefore.has(name) || (is !== was && asksOf(is) > asksOf(was))
  })
}

function asksOf(script: ScriptRow | undefined): number {
  if (script === undefined) return 0
  const { access, kill } = script.settings
  return (access === null ? 0 : bytesOf(access)) + excessOf(kill)
}

/** Bytes of a kill switch beyond those that it may always have. */
function excessOf(kill: ScriptRow["settings"]["kill"] | undefined): number {
  return kill == null ? 0 : Math.max(0, bytesOf({ kill }) - QUOTA.killBytes)
}

/** What the config has of a script, under its name. */
function inConfig({ name, team, settings }: ScriptRow, { current }: Registry): Readonly<Record<string, unknown>> {
  const { stickyBy, limits, timeoutMs, access, kill } = settings
  const conditions = { access: access ?? undefined, kill: kill ?? undefined }
  return { [name]: { team, releases: current.get(name)?.releases ?? null, stickyBy, limits, timeoutMs, ...conditions } }
}

/** Names of the scripts that the config holds: those with a deployment or a route. One that is idle or deleted takes nothing of it. */
function inService({ current, routes, scripts }: Registry): Set<string> {
  const named = new Set([...current.keys(), ...[...routes.values()].map((route) => route.script)])
  return new Set([...named].filter((name) => (scripts.get(name)?.deletedAt ?? null) === null))
}

function bytesOf(value: unknown): number {
  return new TextEncoder().encode(canonicalJson(value)).byteLength
}

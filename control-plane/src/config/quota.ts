/**
 * How much of the one dispatch config a team may fill, and what still passes when it is nearly full: no team may keep the others from changing anything.
 * Pure; called by change.ts, the one place through which every change of the config goes.
 */
import { CONFIG_LIMITS } from "../../../contracts/dispatch-config.ts"
import { refuse } from "../../../kit/problem.ts"
import { type Actor, SYSTEM } from "../actor.ts"
import { canonicalJson } from "../canonical-json.ts"
import type { Registry } from "../store/registry.ts"
import { type RouteRow, specOf } from "../store/rows.ts"

export const QUOTA = {
  /** Routes of one team. The largest we know of has some dozens; 200 teams at the limit would still be within `CONFIG_LIMITS.routes`. */
  routesPerTeam: 500,
  /** Bytes of one team's routes, and of the `access` of its scripts in service, as JSON in UTF-8: 500 of the usual 250 bytes. One team takes a 32nd of `CONFIG_LIMITS.bytes` at most. */
  routeBytesPerTeam: 128 * 1024,
  /** Bytes from which on only ops let the config grow. The rest, some 400 KiB, is room for kill switches (300 bytes each) and for weights of what exists. */
  nearlyFullBytes: Math.floor(CONFIG_LIMITS.bytes * 0.9),
} as const

/**
 * Holds a change to the quota of its teams and, from `QUOTA.nearlyFullBytes` on, to what must always be possible: ops may do anything; others whatever adds no route,
 * enlarges none and puts no script in service that was not. Kill switches never count. `sizeBytes` is the size that the config would have.
 * Throws `route.quota-exceeded`, `config.nearly-full`.
 */
export function admitSize(before: Registry, after: Registry, sizeBytes: number, actor: Actor): void {
  // The schedule acts as ops, but for teams: it must not carry through what they were refused.
  if (actor.role === "ops" && actor !== SYSTEM) return
  const changed = [...after.routes.values()].filter((route) => before.routes.get(route.id) !== route)
  const grownRoutes = changed.filter((route) => bytesOf(route) > bytesOf(before.routes.get(route.id)))
  const accessBefore = accessBytesOf(before)
  const grownScripts = [...accessBytesOf(after)].flatMap(([name, asks]) =>
    asks.bytes > (accessBefore.get(name)?.bytes ?? 0) ? [asks] : [],
  )
  const grown = [...grownRoutes, ...grownScripts]
  for (const team of new Set(grown.map((each) => each.team))) admitTeamSize(team, after)
  if (sizeBytes < QUOTA.nearlyFullBytes) return
  const entersService = [...inService(after)].some((script) => !inService(before).has(script))
  if (grown.length > 0 || entersService) throw refuse("config.nearly-full")
}

function admitTeamSize(team: string, registry: Registry): void {
  const routes = [...registry.routes.values()].filter((route) => route.team === team)
  if (routes.length > QUOTA.routesPerTeam)
    throw refuse("route.quota-exceeded", { detail: `A team may have ${QUOTA.routesPerTeam} routes.` })
  const asks = [...accessBytesOf(registry).values()].filter((each) => each.team === team)
  const sizes = [...routes.map(bytesOf), ...asks.map(({ bytes }) => bytes)]
  const sizeBytes = sizes.reduce((sum, each) => sum + each, 0)
  if (sizeBytes > QUOTA.routeBytesPerTeam)
    throw refuse("route.quota-exceeded", {
      detail: `The team's routes, and what its scripts ask of callers, would take ${sizeBytes} bytes of ${QUOTA.routeBytesPerTeam}.`,
    })
}

/** Of what the config holds of it, without its kill switch, which a full quota must not keep anyone from. An absent route has none. */
function bytesOf(route: RouteRow | undefined): number {
  if (route === undefined) return 0
  return new TextEncoder().encode(canonicalJson({ ...specOf(route), kill: undefined })).byteLength
}

/** What the scripts in the config ask of callers, by name. A script that is idle or deleted takes nothing of it, and counts from when it enters service. */
function accessBytesOf(registry: Registry): Map<string, { readonly team: string; readonly bytes: number }> {
  const asks = new Map<string, { readonly team: string; readonly bytes: number }>()
  for (const name of inService(registry)) {
    const script = registry.scripts.get(name)
    if (script === undefined || script.deletedAt !== null || script.settings.access === null) continue
    const bytes = new TextEncoder().encode(canonicalJson(script.settings.access)).byteLength
    asks.set(name, { team: script.team, bytes })
  }
  return asks
}

function inService({ current, routes }: Registry): Set<string> {
  return new Set([...current.keys(), ...[...routes.values()].map((route) => route.script)])
}

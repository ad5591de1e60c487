/**
 * Who may attach what where: any team a Worker of its own to any open place, and nobody in front of another's.
 * Pure; called inside the change, on the registry that the change is made to.
 */
import { refuse } from "../../kit/problem.ts"
import { type Actor, actsFor } from "./actor.ts"
import type { Registry } from "./store/registry.ts"
import type { RouteRow } from "./store/rows.ts"

/**
 * Holds `wanted` to every rule. Throws `api.conflict` (id of another team's route), `route.hostname-closed`, `api.body-invalid` (no such hostname, team or script),
 * `route.taken`, `route.under-another-team`.
 */
export function admitRoute(wanted: RouteRow, actor: Actor, registry: Registry): void {
  const found = registry.routes.get(wanted.id)
  if (found !== undefined && !actsFor(actor, found.team))
    throw refuse("api.conflict", { detail: "This id belongs to a route of another team." })
  admitTeam(wanted, actor, registry)
  admitHostname(wanted, actor, registry)
  admitScript(wanted, found, actor, registry)
  const neighbours = [...registry.routes.values()].filter(
    (route) => route.hostname === wanted.hostname && route.id !== wanted.id,
  )
  if (neighbours.some((route) => route.path === wanted.path)) throw refuse("route.taken")
  const above = nearestAbove(wanted.path, neighbours)
  if (above !== null && !above.open && above.team !== wanted.team && actor.role !== "ops")
    throw refuse("route.under-another-team")
}

function admitTeam(wanted: RouteRow, actor: Actor, registry: Registry): void {
  if (!actsFor(actor, wanted.team))
    throw refuse("api.forbidden", { detail: "A route belongs to the token's own team." })
  if (!registry.teams.has(wanted.team))
    throw refuse("api.body-invalid", { errors: [{ pointer: "/team", detail: "no such team" }] })
}

/** To a team, a hostname that it may not use looks like one that does not exist. */
function admitHostname(wanted: RouteRow, actor: Actor, registry: Registry): void {
  const hostname = registry.hostnames.get(wanted.hostname)
  if (hostname !== undefined && (hostname.open || actsFor(actor, hostname.team))) return
  if (actor.role !== "ops") throw refuse("route.hostname-closed")
  throw refuse("api.body-invalid", { errors: [{ pointer: "/hostname", detail: "no such hostname" }] })
}

/** A team names scripts of its own, or keeps the one that ops gave its route. Another team's script looks like none. */
function admitScript(wanted: RouteRow, found: RouteRow | undefined, actor: Actor, registry: Registry): void {
  const script = registry.scripts.get(wanted.script)
  if (script?.deletedAt === null && (actsFor(actor, script.team) || found?.script === wanted.script)) return
  throw refuse("api.body-invalid", {
    errors: [{ pointer: "/script", detail: "no such script of this team; upload or claim it first" }],
  })
}

/** The route that gets the requests for `path` now: the longest `/…/*` that covers it. Those further up have already lost them to it. */
function nearestAbove(path: string, routes: readonly RouteRow[]): RouteRow | null {
  let nearest: RouteRow | null = null
  for (const route of routes)
    if (covers(route.path, path) && (nearest === null || route.path.length > nearest.path.length)) nearest = route
  return nearest
}

/** True when every request for `path` also matches `prefix`: `/a/*` covers `/a`, `/a/b` and `/a/b/*`, and not `/apiary`. */
export function covers(prefix: string, path: string): boolean {
  if (!prefix.endsWith("/*")) return false
  const base = prefix.slice(0, -2)
  const plain = path.endsWith("/*") ? path.slice(0, -2) : path
  return plain === base || plain.startsWith(`${base}/`)
}

/**
 * The zone that a route names goes into the passports of all who come by it, and its Worker may reach siblings in that zone without a grant of its own.
 * So a team needs the grant `zone:<zone>` for it, as it does to name a zone when it dispatches. Pure; asked where a route is put, and where the config is built.
 */
import { refuse } from "../../kit/problem.ts"
import type { Actor } from "./actor.ts"
import type { Registry } from "./store/registry.ts"
import type { RouteRow, RouteSpec } from "./store/rows.ts"

/**
 * Whether ops answer for the zone of `wanted`, or its team's grant does. A zone that stays with a route that stays where it is passes, whatever has become
 * of the grant: a team must be able to switch its route off. `staying` is the route as it was, null where it is new or attached elsewhere than before.
 * Throws `api.forbidden` when a team without the grant would set or change the zone, or take it along.
 */
export function isZoneByOps(wanted: RouteSpec, staying: RouteRow | null, actor: Actor, registry: Registry): boolean {
  if (wanted.zone === undefined) return false
  if (actor.role === "ops") return true
  if (staying?.zone === wanted.zone) return staying.zoneByOps
  if (holdsZone(wanted.team, wanted.zone, registry)) return false
  throw refuse("api.forbidden", {
    detail: "To say that a route is of a zone, a team needs the grant for it; ask the operators.",
    errors: [{ pointer: "/zone", detail: `the team does not hold the grant zone:${wanted.zone}` }],
  })
}

/**
 * The zone that the config names, undefined for none. One that ops gave is in force until ops take it off. One that a team named by its grant falls with the grant, in
 * the revision that takes the grant away, as an `audience:` grant and `egress` do; the row keeps it, so that it is back with the grant, and publishing never fails for it.
 */
export function zoneInForce({ team, zone, zoneByOps }: RouteRow, registry: Registry): string | undefined {
  return zone !== undefined && (zoneByOps || holdsZone(team, zone, registry)) ? zone : undefined
}

function holdsZone(team: string, zone: string, { teams }: Registry): boolean {
  return teams.get(team)?.grants.includes(`zone:${zone}`) === true
}

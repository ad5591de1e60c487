/**
 * The zone that a route names goes into the passports of all who come by it, and its Worker may reach siblings in that zone without a grant of its own.
 * So a team needs the grant `zone:<zone>` for it, as it does to name a zone when it dispatches. Pure; asked where a route is put, and where the config is built.
 */
import { refuse } from "../../kit/problem.ts"
import type { Actor } from "./actor.ts"
import type { Registry } from "./store/registry.ts"
import type { RouteRow, RouteSpec } from "./store/rows.ts"

/**
 * Whether ops answer for the zone of `wanted`, or its team's grant does. A zone that stays with a route that stays where it is passes as it was, whatever has become
 * of the grant: a team must be able to switch its route off, and ops who do must not make its zone theirs, as a PUT is the whole document. They make it theirs by
 * changing it (one that has fallen: off, and on again), or by moving the route where the grant is missing. `found` is the route as it was, undefined where it is new.
 * Throws `api.forbidden` when a team without the grant would set or change the zone, or take it along.
 */
export function isZoneByOps(
  wanted: RouteSpec,
  found: RouteRow | undefined,
  staysWhereItIs: boolean,
  actor: Actor,
  registry: Registry,
): boolean {
  if (wanted.zone === undefined) return false
  const isGranted = holdsZone(wanted.team, wanted.zone, registry)
  const isSame = found?.zone === wanted.zone
  if (isSame && (staysWhereItIs || (actor.role === "ops" && isGranted))) return found.zoneByOps
  if (actor.role === "ops") return true
  if (isGranted) return false
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

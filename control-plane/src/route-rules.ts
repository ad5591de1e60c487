/**
 * Who may attach what where: any team a Worker of its own to any open place, and nobody in front of another's.
 * Pure; called inside the change, on the registry that the change is made to.
 */
import { refuse } from "../../kit/problem.ts"
import { type Actor, actsFor } from "./actor.ts"
import { canonicalJson } from "./canonical-json.ts"
import { isKilledByOps } from "./killed-by-ops.ts"
import { isZoneByOps } from "./route-zone.ts"
import type { Registry } from "./store/registry.ts"
import { type RouteRow, type RouteSpec, specOf } from "./store/rows.ts"

/** What a team may still change of a route that ops led to another team's script: it answers for its callers, not for that script. */
const ITS_OWN_WITH_A_FOREIGN_SCRIPT: ReadonlySet<string> = new Set(["kill", "timeoutMs"])

/**
 * Holds `wanted` to every rule, and answers it as a row. Throws `api.conflict` (id of another team's route), `api.forbidden` (for another team, more of a route to a
 * foreign script than it may change, a zone without the grant, or what would undo or go round a switch that ops threw), `route.hostname-closed`, `api.body-invalid` (no such hostname, team or script), `route.taken`, `route.under-another-team`, `route.above-another-team`, `route.path-reserved`.
 */
export function admitRoute(wanted: RouteSpec, actor: Actor, registry: Registry): RouteRow {
  const found = registry.routes.get(wanted.id)
  if (found !== undefined && !actsFor(actor, found.team))
    throw refuse("api.conflict", { detail: "This id belongs to a route of another team." })
  admitTeam(wanted, actor, registry)
  const killedByOps = admitSwitch(wanted, found, actor, registry)
  // What others have put around a route since must never keep its team from switching it off.
  const staysWhereItIs = found !== undefined && isAttachedAs(found, wanted)
  if (!staysWhereItIs) admitHostname(wanted, actor, registry)
  admitScript(wanted, found, actor, registry)
  if (!staysWhereItIs) admitPlace(wanted, found, actor, registry)
  const zoneByOps = isZoneByOps(wanted, found, staysWhereItIs, actor, registry)
  return { ...wanted, killedByOps, zoneByOps }
}

/** What ops switched off stays attached, or it would come back attached anew and switched on. Throws `api.forbidden`. */
export function admitDetaching(found: RouteRow, actor: Actor, registry: Registry): void {
  if (isOffByOps(found, registry) && actor.role !== "ops")
    throw refuse("api.forbidden", { detail: `Ops switched ${offBy(found)} off; only they detach the route.` })
}

/** Nor does it leave its place, where the same could then be attached, or a script that is off for another with the same code. Answers whether the route's switch is ops'. */
function admitSwitch(wanted: RouteSpec, found: RouteRow | undefined, actor: Actor, registry: Registry): boolean {
  if (found !== undefined && actor.role !== "ops") {
    if (!isInPlaceOf(found, wanted) && isOffByOps(found, registry))
      throw refuse("api.forbidden", { detail: `Ops switched ${offBy(found)} off; only they move the route.` })
    if (found.script !== wanted.script && isOffWithItsScript(found, registry))
      throw refuse("api.forbidden", {
        detail: "Ops switched the script of this route off; only they lead it to another.",
        errors: [{ pointer: "/script", detail: "may be changed by ops alone" }],
      })
  }
  const before = { kill: found?.kill ?? null, killedByOps: found?.killedByOps ?? false }
  return isKilledByOps("route", before, wanted.kill ?? null, actor)
}

function isOffByOps(route: RouteRow, registry: Registry): boolean {
  return route.killedByOps || isOffWithItsScript(route, registry)
}

/** Of its own team's script: a team that ops gave a route to another's is not the reason, and may give it up. */
function isOffWithItsScript(route: RouteRow, { scripts }: Registry): boolean {
  const script = scripts.get(route.script)
  return script?.settings.killedByOps === true && script.team === route.team
}

/** Of one that `isOffByOps`. */
function offBy({ killedByOps }: RouteRow): string {
  return killedByOps ? "this route" : "the script of this route"
}

function isAttachedAs(found: RouteRow, wanted: RouteSpec): boolean {
  return isInPlaceOf(found, wanted) && found.script === wanted.script && found.team === wanted.team
}

function isInPlaceOf(found: RouteRow, wanted: RouteSpec): boolean {
  return found.hostname === wanted.hostname && found.path === wanted.path
}

/** Among the other routes of the hostname: nobody takes requests that another team's route gets, or would get once it is gone. */
function admitPlace(wanted: RouteSpec, found: RouteRow | undefined, actor: Actor, registry: Registry): void {
  const neighbours = [...registry.routes.values()].filter(
    (route) => route.hostname === wanted.hostname && route.id !== wanted.id,
  )
  if (neighbours.some((route) => route.path === wanted.path)) throw refuse("route.taken")
  if (actor.role === "ops") return
  const above = nearestAbove(wanted.path, neighbours)
  // What lay below before goes on, and may get another script: it serves nothing that the switch above took away.
  const comesHere = found === undefined || !isInPlaceOf(found, wanted)
  if (comesHere && above !== null && above.team === wanted.team && isOffByOps(above, registry))
    throw refuse("api.forbidden", { detail: `Ops switched off ${above.id}, which lies above; only they attach here.` })
  if (above !== null && !above.open && above.team !== wanted.team) throw refuse("route.under-another-team")
  const lendersBase = baseLentBy(above, wanted, registry)
  if (lendersBase !== null && isReserved(wanted.path, lendersBase)) throw refuse("route.path-reserved")
  if (neighbours.some((route) => route.team !== wanted.team && covers(wanted.path, route.path)))
    throw refuse("route.above-another-team")
}

/** Path of the place that is another's and open: the nearest route above, or else the hostname (`""`). Null where the team is at home. */
function baseLentBy(above: RouteRow | null, wanted: RouteSpec, registry: Registry): string | null {
  if (above !== null) return above.team === wanted.team ? null : baseOf(above.path)
  return registry.hostnames.get(wanted.hostname)?.team === wanted.team ? null : ""
}

/**
 * True for what speaks for the whole of a lent place: its root, all of it, a single file in it (`/sw.js` has the place as its scope, `/login` looks like the place's own),
 * and `/.well-known` of the hostname. A guest has a path of its own, such as `/hello/*`.
 */
function isReserved(path: string, lendersBase: string): boolean {
  const segments = baseOf(path)
    .slice(lendersBase.length)
    .split("/")
    .filter((segment) => segment !== "")
  const isPrefix = path.endsWith("/*")
  return segments.length < (isPrefix ? 1 : 2) || (lendersBase === "" && segments[0] === ".well-known")
}

function admitTeam(wanted: RouteSpec, actor: Actor, registry: Registry): void {
  if (!actsFor(actor, wanted.team))
    throw refuse("api.forbidden", { detail: "A route belongs to the token's own team." })
  if (!registry.teams.has(wanted.team))
    throw refuse("api.body-invalid", { errors: [{ pointer: "/team", detail: "no such team" }] })
}

/** To a team, a hostname that it may not use looks like one that does not exist. */
function admitHostname(wanted: RouteSpec, actor: Actor, registry: Registry): void {
  const hostname = registry.hostnames.get(wanted.hostname)
  if (hostname !== undefined && (hostname.open || actsFor(actor, hostname.team))) return
  if (actor.role !== "ops") throw refuse("route.hostname-closed")
  throw refuse("api.body-invalid", { errors: [{ pointer: "/hostname", detail: "no such hostname" }] })
}

/** A team names scripts of its own, or keeps the one that ops gave its route, as it is. Another team's script looks like none. */
function admitScript(wanted: RouteSpec, found: RouteRow | undefined, actor: Actor, registry: Registry): void {
  if (found !== undefined && !actsFor(actor, registry.scripts.get(found.script)?.team ?? null)) {
    const errors = changedFields(found, wanted)
      .filter((field) => !ITS_OWN_WITH_A_FOREIGN_SCRIPT.has(field))
      .map((field) => ({ pointer: `/${field}`, detail: "may be changed by ops alone" }))
    if (errors.length === 0) return
    throw refuse("api.forbidden", { detail: "Ops led this route to a script of another team.", errors })
  }
  const script = registry.scripts.get(wanted.script)
  if (script?.deletedAt === null && actsFor(actor, script.team)) return
  throw refuse("api.body-invalid", {
    errors: [{ pointer: "/script", detail: "no such script of this team; upload or claim it first" }],
  })
}

function changedFields(found: RouteRow, wanted: RouteSpec): string[] {
  const before = new Map(Object.entries(specOf(found)))
  const after = new Map(Object.entries(wanted))
  return [...new Set([...before.keys(), ...after.keys()])].filter(
    (field) => canonicalJson({ value: before.get(field) }) !== canonicalJson({ value: after.get(field) }),
  )
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
  const plain = baseOf(path)
  return plain === base || plain.startsWith(`${base}/`)
}

/** The path without the end that makes it a prefix: `""` for `/*`. */
function baseOf(path: string): string {
  return path.endsWith("/*") ? path.slice(0, -2) : path
}

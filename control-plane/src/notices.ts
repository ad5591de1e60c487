/**
 * What of the registry does not do what whoever wrote it will think: valid, published, and yet a route that nobody can pass, a zone that fell with its grant. Such a change is not refused,
 * because tightening must always be possible and a kill switch must never hang on it; so it is said here. Pure.
 */
import type { Notice } from "../../contracts/api.ts"
import type { IssuerConfig, KillSwitch, RouteAuth, ScriptAccess } from "../../contracts/dispatch-config.ts"
import { zoneInForce } from "./route-zone.ts"
import type { Registry } from "./store/registry.ts"
import type { RouteRow } from "./store/rows.ts"

type Kind = NonNullable<ScriptAccess["kinds"]>[number]

/** All there are, by what they are about; `team` null: of all teams. */
export function noticesOf(registry: Registry, team: string | null): Notice[] {
  const notices = [...switchesThrown(registry), ...routesInVain(registry)]
  const own = team === null ? notices : notices.filter((notice) => notice.team === team)
  return own.sort((a, b) => (`${a.about} ${a.code}` < `${b.about} ${b.code}` ? -1 : 1))
}

function* switchesThrown({ teams, scripts, routes }: Registry): Generator<Notice> {
  for (const { name, kill } of teams.values()) if (kill !== null) yield off(`teams/${name}`, name, null, kill, true)
  for (const { name, team, settings, deletedAt } of scripts.values())
    if (deletedAt === null && settings.kill !== null)
      yield off(`scripts/${name}`, team, name, settings.kill, settings.killedByOps)
  for (const { id, team, script, kill, killedByOps } of routes.values())
    if (kill !== undefined) yield off(`routes/${id}`, team, script, kill, killedByOps)
}

function off(about: string, team: string, script: string | null, { mode, reason }: KillSwitch, byOps: boolean): Notice {
  const what = mode === "enforce" ? "switched off" : "would be switched off (log)"
  return { about, team, script, code: "switched-off", detail: `${what} by ${byOps ? "ops" : "its team"}: ${reason}` }
}

function* routesInVain(registry: Registry): Generator<Notice> {
  const issuers = issuersOf(registry)
  for (const route of registry.routes.values()) {
    const { id, team, script, zone } = route
    const about = `routes/${id}`
    if (zone !== undefined && zoneInForce(route, registry) === undefined)
      yield {
        about,
        team,
        script,
        code: "zone-fallen",
        detail: `its zone ${zone} is not in force: team ${team} no longer holds the grant zone:${zone}`,
      }
    if (route.releases === undefined && !registry.current.has(script))
      yield { about, team, script, code: "not-deployed", detail: `no version of ${script} is deployed` }
    const why = whyNobodyPasses(route, registry.scripts.get(script)?.settings.access ?? null, issuers)
    if (why !== null) yield { about, team, script, code: "nobody-passes", detail: why }
  }
}

/** Null when somebody can: by what route and script ask of a credential, and which credentials the route looks at. Which scopes a subject has, nobody knows here. */
function whyNobodyPasses(
  { auth, script }: RouteRow,
  access: ScriptAccess | null,
  issuers: Readonly<Record<string, IssuerConfig>>,
): string | null {
  const comes = kindsThrough(auth, issuers).filter((kind) => auth.kinds?.includes(kind) ?? true)
  if (auth.kinds !== undefined && comes.length === 0)
    return `it is for ${auth.kinds.join(" or ")} credentials, and looks at none of these (auth.accept, auth.issuers)`
  if (access === null) return null
  const { kinds, minLevel, maxAuthAgeS } = access
  const asksSession = minLevel !== undefined || maxAuthAgeS !== undefined
  const asks = asksSession || kinds !== undefined || access.scopes.length > 0
  if (auth.mode === "none" && asks)
    return `it looks at no credential (auth.mode none), and ${script} asks for one (access)`
  if (asksSession && !acceptOf(auth).includes("session"))
    return `it accepts no session, and ${script} asks for one (access.${minLevel === undefined ? "maxAuthAgeS" : "minLevel"})`
  const mayPass = (kind: Kind) => (kinds?.includes(kind) ?? true) && (!asksSession || kind === "user")
  if (asks && !comes.some(mayPass))
    return `credentials of the kind ${comes.join(" or ")} come by it, and ${script} asks for ${asksSession ? "a session" : (kinds ?? []).join(" or ")} (access)`
  return null
}

function acceptOf({ accept }: RouteAuth): NonNullable<RouteAuth["accept"]> {
  return accept ?? ["bearer"]
}

function kindsThrough(auth: RouteAuth, issuers: Readonly<Record<string, IssuerConfig>>): Kind[] {
  const kinds = new Set<Kind>()
  for (const credential of acceptOf(auth)) {
    if (credential === "session") kinds.add("user")
    else if (credential === "service-key") kinds.add("service")
    else for (const id of auth.issuers) kinds.add(issuers[id]?.kind ?? "user")
  }
  return [...kinds].sort()
}

function issuersOf({ policy }: Registry): Readonly<Record<string, IssuerConfig>> {
  return (policy.get("issuers")?.document ?? {}) as Readonly<Record<string, IssuerConfig>>
}

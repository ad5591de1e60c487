/**
 * What of the registry does not do what whoever wrote it will think: valid, published, and yet a route that nobody can pass, a zone that fell with its grant. Such a change is not refused,
 * because tightening must always be possible and a kill switch must never hang on it; so it is said here. Pure.
 */
import type { Notice } from "../../contracts/api.ts"
import type { IssuerConfig, KillSwitch, RouteAuth, ScriptAccess } from "../../contracts/dispatch-config.ts"
import { zoneInForce } from "./route-zone.ts"
import type { Registry } from "./store/registry.ts"
import type { RouteRow, ScriptRow } from "./store/rows.ts"

type Kind = NonNullable<ScriptAccess["kinds"]>[number]

/** What notices are asked for; all where a field is absent. */
export interface Wanted {
  /** As in the notice, such as `routes/web-pages`. */
  readonly about?: string | undefined
  readonly team?: string | undefined
  readonly script?: string | undefined
}

type Subject = Pick<Notice, "about" | "team" | "script">

/** By what they are about. `reader` is the team that reads: about what is its own, and without what another team's script asks for; null: all of it, for ops. */
export function noticesOf(registry: Registry, reader: string | null, wanted: Wanted = {}): Notice[] {
  const isFor = ({ about, team, script }: Subject) =>
    (reader === null || team === reader) &&
    (wanted.about === undefined || about === wanted.about) &&
    (wanted.team === undefined || team === wanted.team) &&
    (wanted.script === undefined || script === wanted.script)
  const notices = [...[...switchesThrown(registry)].filter(isFor), ...routesInVain(registry, reader, isFor)]
  return notices.sort((a, b) => (`${a.about} ${a.code}` < `${b.about} ${b.code}` ? -1 : 1))
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

function* routesInVain(
  registry: Registry,
  reader: string | null,
  isFor: (subject: Subject) => boolean,
): Generator<Notice> {
  const issuers = issuersOf(registry)
  for (const route of registry.routes.values()) {
    const { id, team, script, zone } = route
    const about = `routes/${id}`
    if (!isFor({ about, team, script })) continue
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
    const why = whyNobodyPasses(route, registry.scripts.get(script), issuers, reader)
    if (why !== null) yield { about, team, script, code: "nobody-passes", detail: why }
  }
}

/** Null when somebody can: by what route and script ask of a credential, and which credentials the route looks at. Which scopes a subject has, nobody knows here. */
function whyNobodyPasses(
  { auth, script }: RouteRow,
  found: ScriptRow | undefined,
  issuers: Readonly<Record<string, IssuerConfig>>,
  reader: string | null,
): string | null {
  const comes = kindsThrough(auth, issuers).filter((kind) => auth.kinds?.includes(kind) ?? true)
  if (auth.kinds !== undefined && comes.length === 0)
    return `it is for ${auth.kinds.join(" or ")} credentials, and looks at none of these (auth.accept, auth.issuers)`
  const access = found?.settings.access ?? null
  if (access === null) return null
  const why = whyScriptRefuses(auth, script, access, comes)
  return why === null || reader === null || found?.team === reader
    ? why
    : `${script}, which is another team's, asks for what this route does not look at`
}

function whyScriptRefuses(
  auth: RouteAuth,
  script: string,
  access: ScriptAccess,
  comes: readonly Kind[],
): string | null {
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

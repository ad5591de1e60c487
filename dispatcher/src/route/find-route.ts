/**
 * Stage "route": the one route of a request, or a 404; and the switches, which answer 503 before anybody is asked who they are.
 */
import type { KillSwitch, RouteAuth, RouteConfig, ScriptConfig } from "../../../contracts/dispatch-config.ts"
import { isGatewayOwned } from "../../../contracts/reserved-headers.ts"
import type { Finding } from "../../../contracts/trip.ts"
import { refuse } from "../../../kit/problem.ts"
import type { LoadedConfig } from "./loaded-config.ts"
import type { RouteMatch } from "./route-table.ts"

export interface FoundRoute {
  readonly hostname: string
  readonly config: RouteConfig
  readonly script: ScriptConfig
}

/** What a preflight is asked for on a route that hands it to its script. */
const NO_CONDITIONS: RouteAuth = Object.freeze({ mode: "none", issuers: [], scopes: [] })

/** Refuses `route.hostname-unknown`, `route.not-found`, `route.service-worker-refused`. */
export function findRoute(
  inbound: {
    readonly hostname: string
    readonly path: string
    readonly isServiceWorkerScript: boolean
    readonly isPreflight: boolean
  },
  config: LoadedConfig,
): FoundRoute {
  // Another spelling of a gateway path, such as `/%2esallyport/…`: index.ts answers the plain one, and a team's route gets neither.
  if (isGatewayOwned(inbound.path)) throw refuse("route.not-found")
  const match = config.routes.find(inbound.hostname, inbound.path)
  if (match === "unknown") throw refuse("route.hostname-unknown")
  if (match === "none") throw refuse("route.not-found")
  const script = config.document.scripts[match.config.script]
  // The parser holds that every route's script exists; a hole here is a bug, and refusing is the safe reading of it.
  if (script === undefined) throw refuse("route.not-found", { log: { script: match.config.script } })
  if (inbound.isServiceWorkerScript) refuseForeignServiceWorker(inbound.path, match)
  if (inbound.isPreflight && match.config.preflight === "worker") return preflightRoute(match, script)
  return { hostname: match.hostname, config: match.config, script }
}

/** All switches that a request of this route may meet. Refuses `dispatch.team-killed`, `route.killed`, `dispatch.script-killed`. `note` receives what a switch in `log` mode would have done. */
export function refuseSwitchedOff(route: FoundRoute, loaded: LoadedConfig, note: (finding: Finding) => void): void {
  const { config, script } = route
  refuseKilled(loaded.killOf(config.team), "dispatch.team-killed", note)
  if (script.team !== config.team) refuseKilled(loaded.killOf(script.team), "dispatch.team-killed", note)
  refuseKilled(config.kill, "route.killed", note)
  refuseKilled(script.kill, "dispatch.script-killed", note)
}

/** The kill switch of a team, a route or a script: `note` hears of it in either mode. */
export function refuseKilled(
  kill: KillSwitch | undefined,
  code: "dispatch.team-killed" | "route.killed" | "dispatch.script-killed",
  note: (finding: Finding) => void,
): void {
  if (kill === undefined) return
  note({ code, mode: kill.mode })
  if (kill.mode === "log") return
  throw refuse(code, { headers: { "retry-after": String(kill.retryAfterS) } })
}

/** The same route, open: a preflight says nothing of who calls, and does nothing but ask what a page may send. */
function preflightRoute({ hostname, config }: RouteMatch, { access: _, ...script }: ScriptConfig): FoundRoute {
  return { hostname, config: { ...config, auth: NO_CONDITIONS }, script }
}

/** A script directly below the root would control every page of the hostname, other teams' too; deeper ones control what lies below them (Service Workers, §"scope"). */
function refuseForeignServiceWorker(path: string, match: RouteMatch): void {
  if (match.owner === match.config.team || path.indexOf("/", 1) !== -1) return
  throw refuse("route.service-worker-refused")
}

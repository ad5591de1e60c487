/**
 * Stage "route": the one route of a request, or a 404; a route that is switched off answers 503 here, before anybody is asked who they are.
 */
import type { RouteConfig, ScriptConfig } from "../../../contracts/dispatch-config.ts"
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

/** Refuses `route.hostname-unknown`, `route.not-found`, `route.service-worker-refused`, `route.killed`. `note` receives what a kill switch in `log` mode would have done. */
export function findRoute(
  inbound: { readonly hostname: string; readonly path: string; readonly isServiceWorkerScript: boolean },
  config: LoadedConfig,
  note: (finding: Finding) => void,
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
  refuseKilled(match.config, note)
  return { hostname: match.hostname, config: match.config, script }
}

function refuseKilled(route: RouteConfig, note: (finding: Finding) => void): void {
  if (route.kill === undefined) return
  note({ code: "route.killed", mode: route.kill.mode })
  if (route.kill.mode === "log") return
  throw refuse("route.killed", { headers: { "retry-after": String(route.kill.retryAfterS) } })
}

/** A script directly below the root would control every page of the hostname, other teams' too; deeper ones control what lies below them (Service Workers, §"scope"). */
function refuseForeignServiceWorker(path: string, match: RouteMatch): void {
  if (match.owner === match.config.team || path.indexOf("/", 1) !== -1) return
  throw refuse("route.service-worker-refused")
}

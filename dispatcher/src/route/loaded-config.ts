/**
 * A dispatch config made ready for requests: route table, compiled checks, release targets. One object per revision, replaced as a whole.
 */
import type { DispatchConfig, KillSwitch } from "../../../contracts/dispatch-config.ts"
import { scriptAudience } from "../../../contracts/passport.ts"
import type { EgressPolicyParameter } from "../../../contracts/platform.ts"
import { placedName } from "../../../contracts/script-name.ts"
import { LOGIN_GRANT } from "../../../contracts/session.ts"
import { RouteTable } from "./route-table.ts"

/** Where one version of a script is dispatched to, and with what. Frozen and shared by all requests of the revision. */
export interface ReleaseTarget {
  readonly script: string
  readonly version: number
  readonly team: string
  /** Name in the dispatch namespace. */
  readonly placedName: string
  readonly audience: string
  /** Its team may set the gateway's cookies, and sees those of a login under way. */
  readonly beginsSessions: boolean
  readonly timeoutMs: number
  readonly dispatchOptions: {
    readonly limits: { readonly cpuMs: number; readonly subRequests: number }
    readonly outbound: EgressPolicyParameter
  }
}

export class LoadedConfig {
  readonly revision: number
  readonly document: DispatchConfig
  readonly routes: RouteTable
  readonly #targets = new Map<string, ReleaseTarget>()
  /** Teams whose switch is thrown: nearly always none. */
  readonly #killed: ReadonlyMap<string, KillSwitch>

  constructor(document: DispatchConfig) {
    this.revision = document.revision
    this.document = document
    this.routes = new RouteTable(document.hostnames)
    this.#killed = new Map(
      Object.entries(document.teams).flatMap(([team, { kill }]) => (kill === undefined ? [] : [[team, kill] as const])),
    )
  }

  /** The target of a version; null when the script is unknown. The same object for the same version as long as the revision lasts. */
  target(script: string, version: number): ReleaseTarget | null {
    const name = placedName(script, version)
    const known = this.#targets.get(name)
    if (known !== undefined) return known
    if (!Object.hasOwn(this.document.scripts, script)) return null
    const config = this.document.scripts[script]
    if (config === undefined) return null
    const target: ReleaseTarget = deepFreeze({
      script,
      version,
      team: config.team,
      placedName: name,
      audience: scriptAudience(script),
      beginsSessions: this.isGranted(config.team, LOGIN_GRANT),
      timeoutMs: config.timeoutMs,
      dispatchOptions: {
        limits: config.limits,
        outbound: { egress: this.#egress(script, version, config.team) },
      },
    })
    this.#targets.set(name, target)
    return target
  }

  /** The kill switch of a team; undefined while nobody threw it. */
  killOf(team: string): KillSwitch | undefined {
    return this.#killed.size === 0 ? undefined : this.#killed.get(team)
  }

  /** True when the team holds the grant, as of this revision. One that is switched off holds none. */
  isGranted(team: string, grant: string): boolean {
    if (this.killOf(team)?.mode === "enforce") return false
    if (!Object.hasOwn(this.document.teams, team)) return false
    return this.document.teams[team]?.grants.includes(grant) ?? false
  }

  #egress(script: string, version: number, team: string): EgressPolicyParameter["egress"] {
    const allow = this.document.teams[team]?.egress ?? []
    const granted = Object.entries(this.document.audiences).filter(([name]) => this.isGranted(team, `audience:${name}`))
    const audiences = Object.fromEntries(granted.map(([name, { origins }]) => [name, origins]))
    return { team, script, version, allow, audiences }
  }
}

/** All the way down: what is handed to every dispatch of a revision is changed by none, and may be recognised by its identity. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value
  for (const each of Object.values(value)) deepFreeze(each)
  return Object.freeze(value)
}

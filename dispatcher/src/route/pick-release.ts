/**
 * Stage "release": which version of the routed script answers this request, and why.
 */
import type { ReleaseWeight, StickyBy } from "../../../contracts/dispatch-config.ts"
import { refuse } from "../../../kit/problem.ts"
import type { FoundRoute } from "./find-route.ts"
import type { LoadedConfig, ReleaseTarget } from "./loaded-config.ts"
import { type StickyFacts, stickyKeyOf, weighVersions } from "./release.ts"

/** What one request got. */
export interface Release {
  readonly target: ReleaseTarget
  readonly why: "only" | "weight" | "pin"
}

export interface Choice {
  readonly script: string
  /** The route's own weights, else the script's; null when the script was never deployed. */
  readonly releases: readonly ReleaseWeight[] | null
  readonly stickyBy: StickyBy
}

/** A route's own weights and stickiness go before its script's. */
export function choiceOf({ config, script }: FoundRoute): Choice {
  return {
    script: config.script,
    releases: config.releases ?? script.releases,
    stickyBy: config.stickyBy ?? script.stickyBy,
  }
}

/** Refuses `dispatch.script-missing` when there is no deployment. `facts` is asked only when there is something to choose; `pinned` is a version from a pin whose signature was checked, or null. */
export function pickRelease(
  choice: Choice,
  facts: () => StickyFacts,
  pinned: number | null,
  config: LoadedConfig,
): Release {
  if (pinned !== null) return release(choice.script, pinned, "pin", config)
  const [first, second] = choice.releases ?? []
  if (choice.releases === null || first === undefined) {
    throw refuse("dispatch.script-missing", {
      headers: { "retry-after": "5" },
      log: { script: choice.script },
    })
  }
  if (second === undefined) return release(choice.script, first.version, "only", config)
  const stickyKey = stickyKeyOf(choice.stickyBy, facts())
  return release(choice.script, weighVersions(choice.script, choice.releases, stickyKey), "weight", config)
}

function release(script: string, version: number, why: Release["why"], config: LoadedConfig): Release {
  const target = config.target(script, version)
  if (target === null) throw refuse("dispatch.script-missing", { log: { script, version } })
  return { target, why }
}

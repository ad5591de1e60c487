/** What ecrion is bound to; wrangler.toml says the same. */
import type { Context } from "hono"
import type { PlatformApi } from "../../contracts/platform.ts"
import type { PassportVariables } from "../../kit/require-passport.ts"

export interface Env {
  readonly PLATFORM: PlatformApi
  readonly DB: D1Database
  /** A subject's passport must have this scope; empty means nobody. */
  readonly SCOREBOARD_SCOPE: string
  readonly RULES_SCOPE: string
  readonly LEGACY_TIMEOUT_MS: string
  readonly NEW_TIMEOUT_MS: string
  /** Milliseconds for which a new service that does not answer is not asked by safe requests; above 0. */
  readonly NEW_OPEN_MS: string
  readonly RULES_REFRESH_MS: string
}
export type Call = Context<{ Bindings: Env; Variables: PassportVariables }>

/** Throws for a variable that is empty or no whole number: as a time it would be none at all, and every answer late. */
export function msOf(
  env: Env,
  name: "LEGACY_TIMEOUT_MS" | "NEW_TIMEOUT_MS" | "NEW_OPEN_MS" | "RULES_REFRESH_MS",
): number {
  if (!/^[0-9]{1,9}$/.test(env[name])) throw new TypeError(`${name} must be whole milliseconds`)
  return Number(env[name])
}

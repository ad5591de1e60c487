/** What login is bound to; wrangler.toml says the same. */
import type { Context } from "hono"
import type { PlatformApi } from "../../contracts/platform.ts"
import type { PassportVariables } from "../../kit/require-passport.ts"

export interface Env {
  readonly PLATFORM: PlatformApi
  /** The dispatcher's own session store. */
  readonly SESSIONS: KVNamespace
  /** Logins under way, PINs and logout tokens: what may be used once. */
  readonly LOGINS: D1Database
  /** Secret, kit/session-cookie.ts: the same as the dispatcher's. */
  readonly SESSION_KEYS: string
  /** JSON, settings.ts. */
  readonly PROVIDERS: string
  readonly SESSION_LIFETIME_S: string
  readonly SESSION_IDLE_S: string
  /** Where browsers reach this Worker when it is not the request's own origin; empty: it is. */
  readonly PUBLIC_ORIGIN: string
  /** Takes mails as JSON `{ to, subject, text }`; empty: no PINs. */
  readonly MAIL_URL: string
  /** JSON, settings.ts. */
  readonly PIN_ADDRESSES: string
}

/** A client secret: `CLIENT_SECRET_` and the idp in upper case, `-` as `_`. Absent for a public client. */
export function clientSecretOf(env: Env, idp: string): string | null {
  const value: unknown = (env as unknown as Record<string, unknown>)[
    `CLIENT_SECRET_${idp.toUpperCase().replaceAll("-", "_")}`
  ]
  return typeof value === "string" && value !== "" ? value : null
}

export type Call = Context<{ Bindings: Env; Variables: PassportVariables }>

/** What this Worker's variables say, checked as a whole before the first login: a login that is set up half lets nobody in. */
import { z } from "zod"
import { companyId, idpName, scopeName } from "../../contracts/dispatch-config.ts"
import { MAX_CREDENTIAL_LIFETIME_S } from "../../contracts/revocation.ts"
import { authenticationLevel } from "../../contracts/session.ts"
import { parseHmacKeys } from "../../kit/hmac-keys.ts"
import { refuse } from "../../kit/problem.ts"
import { clientSecretOf, type Env } from "./env.ts"

/** `http` to this machine only: what stands there is one's own. */
const httpsUrl = z
  .url()
  .max(500)
  .refine((url) => /^https:\/\/|^http:\/\/(127\.0\.0\.1|localhost)(:\d+)?(\/|$)/.test(url), "must be https")

const provider = z.strictObject({
  /** Its id in the dispatch config's `issuers`. */
  idp: idpName,
  /** Exactly as the provider writes it, trailing slash or none. */
  issuer: httpsUrl.refine((url) => !/[?#]/.test(url), "has no query and no fragment"),
  clientId: z.string().min(1).max(200),
  clientAuth: z.enum(["client_secret_basic", "client_secret_post", "none"]),
  scopes: z
    .string()
    .max(500)
    .refine((text) => text.split(" ").includes("openid"), "must have openid")
    .default("openid"),
  companyClaim: z.string().min(1).max(100).optional(),
  /** Space-separated text, or a list. */
  scopesClaim: z.string().min(1).max(100).optional(),
  /** Level by `acr`; an acr that is not here is level 0. */
  levels: z.record(z.string().min(1).max(200), authenticationLevel).default({}),
})
export type ProviderSettings = z.output<typeof provider>

/** Who may log in by a PIN, and as whom: addresses in lower case. */
const pinAddresses = z.record(
  z
    .string()
    .max(254)
    .refine((address) => address === address.toLowerCase(), "must be in lower case"),
  z.strictObject({
    idp: idpName,
    subject: z.string().min(1).max(500),
    company: companyId.nullable().default(null),
    scopes: z.array(scopeName).max(100).default([]),
  }),
)
export type PinSubject = z.output<typeof pinAddresses>[string]

const seconds = (least: number) => z.coerce.number().int().min(least).max(MAX_CREDENTIAL_LIFETIME_S)
const settings = z.object({
  providers: z
    .array(provider)
    .min(1)
    .max(20)
    .refine((all) => new Set(all.map(({ idp }) => idp)).size === all.length, "an idp may appear once")
    .refine((all) => new Set(all.map(({ issuer }) => issuer)).size === all.length, "an issuer may appear once"),
  /** KV takes nothing that ends within 60 s, and a login may have waited for a while when it writes. */
  lifetimeS: seconds(120),
  idleS: seconds(60),
  publicOrigin: z.union([z.literal(""), z.url().refine((url) => new URL(url).origin === url, "must be an origin")]),
  mailUrl: z.union([z.literal(""), httpsUrl]),
  pinAddresses,
})
export type Settings = z.output<typeof settings>

let known: { readonly of: string; readonly settings: Settings } | null = null

/** Refuses `login.not-configured`, with what is wrong in the log alone. */
export function settingsOf(env: Env): Settings {
  const { PROVIDERS, SESSION_LIFETIME_S, SESSION_IDLE_S, PUBLIC_ORIGIN = "", MAIL_URL = "", PIN_ADDRESSES = "" } = env
  const of = [PROVIDERS, SESSION_LIFETIME_S, SESSION_IDLE_S, PUBLIC_ORIGIN, MAIL_URL, PIN_ADDRESSES].join("\n")
  if (known?.of === of) return known.settings
  const parsed = settings.safeParse({
    providers: fromJson(PROVIDERS),
    lifetimeS: SESSION_LIFETIME_S,
    idleS: SESSION_IDLE_S,
    publicOrigin: PUBLIC_ORIGIN,
    mailUrl: MAIL_URL,
    pinAddresses: PIN_ADDRESSES === "" ? {} : fromJson(PIN_ADDRESSES),
  })
  if (!parsed.success) throw refuse("login.not-configured", { cause: parsed.error })
  for (const { idp, clientAuth } of parsed.data.providers)
    if (clientAuth !== "none" && clientSecretOf(env, idp) === null)
      throw refuse("login.not-configured", { cause: new Error(`no client secret for ${idp}`) })
  requireSealingKeys(env)
  known = { of, settings: parsed.data }
  return parsed.data
}

/** Otherwise everybody would be sent to the provider, and nobody let in who comes back. */
function requireSealingKeys({ SESSION_KEYS }: Env): void {
  try {
    parseHmacKeys(SESSION_KEYS)
  } catch (cause) {
    throw refuse("login.not-configured", { cause })
  }
}

/** Whether PINs are sent, as far as this isolate has looked. */
export function sendsPins(): boolean {
  return known !== null && known.settings.mailUrl !== ""
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

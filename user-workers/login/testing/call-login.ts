/** One browser in front of the login Worker, with the gateway's part played by the test: passports, platform, cookies. */
import { env as bound } from "cloudflare:workers"
import type { PassportClaims } from "../../../contracts/passport.ts"
import type { Revocation } from "../../../contracts/revocation.ts"
import { makeTestPassports } from "../../../kit/sign-test-passport.ts"
import login from "../index.ts"
import { CLIENT_ID } from "./provider.ts"

export const ORIGIN = "https://app.procore.com"
/** 32 bytes each. */
export const SESSION_KEYS = "c2Vzc2lvbiBrZXlzIGFyZSBvZiAzMiBieXRlcyBlYWNo"
const PROVIDER = {
  idp: "example",
  clientId: CLIENT_ID,
  clientAuth: "client_secret_basic",
  scopes: "openid profile",
  companyClaim: "company_id",
  scopesClaim: "scope",
  levels: { one: 1, two: 2 },
}

/** Variables for one provider of this issuer. */
export function settingsFor(issuer: string): { readonly PROVIDERS: string } {
  return { PROVIDERS: JSON.stringify([{ ...PROVIDER, issuer }]) }
}

const passports = await makeTestPassports()

export interface Circumstances {
  readonly vars?: Readonly<Record<string, unknown>>
  readonly claims?: Partial<PassportClaims>
}

export interface Browser {
  readonly cookies: Map<string, string>
  /** Every `Set-Cookie` that came, whole. */
  readonly setCookies: string[]
  /** What was revoked, by anybody. */
  readonly revoked: Revocation[]
  refusesToRevoke: boolean
  call(path: string, init?: RequestInit, given?: Circumstances): Promise<Response>
  /** From a page of the own origin. */
  post(path: string, form: Readonly<Record<string, string>>, given?: Circumstances): Promise<Response>
}

export function openBrowser(given: Circumstances = {}): Browser {
  const cookies = new Map<string, string>()
  const setCookies: string[] = []
  const revoked: Revocation[] = []
  const PLATFORM = {
    keys: passports.keys,
    revoke: async (all: readonly Revocation[]) => {
      if (browser.refusesToRevoke) throw new Error("platform.unavailable")
      revoked.push(...all)
      return { seq: revoked.length, boundMs: 5_000 }
    },
  }
  const environment = {
    ...(bound as object),
    SESSION_KEYS,
    CLIENT_SECRET_EXAMPLE: "secretcanary",
    PLATFORM,
    ...given.vars,
  }
  const browser: Browser = {
    cookies,
    setCookies,
    revoked,
    refusesToRevoke: false,
    async call(path, init = {}, more = {}) {
      const headers = new Headers({ accept: "text/html", "sec-fetch-mode": "navigate", ...(init.headers as object) })
      const held = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ")
      if (held !== "" && !headers.has("cookie")) headers.set("cookie", held)
      const claims = { kind: "anonymous", sub: "anonymous", ...given.claims, ...more.claims } as const
      const request = await passports.request(ORIGIN + path, "login", { ...init, headers }, claims)
      const background: Promise<unknown>[] = []
      const context = { waitUntil: (work: Promise<unknown>) => background.push(work) } as unknown as ExecutionContext
      const response = await login.fetch(request, { ...environment, ...more.vars }, context)
      for (const work of background) await work
      for (const cookie of response.headers.getSetCookie()) {
        setCookies.push(cookie)
        const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
        if (/max-age=0/i.test(cookie)) cookies.delete(name)
        else cookies.set(name, value)
      }
      return response
    },
    post: (path, form, more) =>
      browser.call(
        path,
        { method: "POST", body: new URLSearchParams(form), headers: { "sec-fetch-site": "same-origin" } },
        more,
      ),
  }
  return browser
}

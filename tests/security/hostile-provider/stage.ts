/**
 * The whole platform with the login Worker on it and hostile providers behind it: what the tests of sessions and logins stand on.
 * Sessions are counted where they lie, in the store that the dispatcher reads.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, beforeAll } from "vitest"
import { SESSION_COOKIE } from "../../../contracts/session.ts"
import { SESSIONS_NAMESPACE_ID } from "../../../emulator/cloudflare-api/account-resources.ts"
import { policyFor } from "../../../emulator/example-layout.ts"
import { loadSecrets } from "../../../emulator/secrets.ts"
import { ECHO_WORKER, startTestPlatform, type TestPlatform } from "../../../emulator/testing.ts"
import { ROOT } from "../../harness.ts"
import { Browser, type Page } from "./browser.ts"
import { type HostileProvider, startHostileProvider, type Tenant } from "./provider.ts"

export const APP = "https://app.procore.com"
/** Another team's hostname, below the same registrable domain. */
export const SIBLING = "https://evil.procore.com"
const HOSTNAMES = [APP, SIBLING].map((origin) => new URL(origin).hostname)
const TEAM = "identity"
/** By assurance of the tenants' logins: `acr` to level. */
const LEVELS = { "urn:one": 1, "urn:two": 2 }

export interface SessionStore {
  readonly namespaceId: string
  keys(prefix: string): Promise<string[]>
  get(key: string): Promise<string | null>
  put(key: string, value: string): Promise<void>
  remove(key: string): Promise<void>
}

export interface Stage {
  readonly platform: TestPlatform
  readonly provider: HostileProvider
  readonly store: SessionStore
  /** The secret that seals session cookies on this platform. */
  readonly sessionKeys: string
  browser(): Browser
  /** Uploads the login Worker anew, in an isolate that knows no provider yet, for these tenants. */
  useTenants(tenants: readonly Tenant[]): Promise<void>
}

/** Starts it before this file's tests, with login for the tenants named. Call the result inside tests only. */
export function useStage(...tenants: string[]): () => Stage {
  let stage: Stage | undefined
  const cleanups: (() => unknown)[] = []
  beforeAll(async () => {
    const provider = await startHostileProvider()
    cleanups.push(provider.stop)
    const platform = await startTestPlatform()
    cleanups.push(platform.dispose)
    stage = await setUp(platform, provider)
    if (tenants.length > 0) await stage.useTenants(tenants.map((name) => provider.tenant(name)))
  })
  afterAll(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup()
  })
  return () => {
    if (stage === undefined) throw new Error("The stage is up inside tests only")
    return stage
  }
}

async function setUp(platform: TestPlatform, provider: HostileProvider): Promise<Stage> {
  const { sessionKeys, cloudflareApiToken } = await loadSecrets(platform.stateDir)
  const account = `${platform.cloudflareApiUrl}/client/v4/accounts/${platform.accountId}`
  const call = async (at: string, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${cloudflareApiToken}`, ...init.headers }
    return fetch(`${account}${at}`, { ...init, headers })
  }
  const store = sessionStore(call)
  const database = await makeDatabase(call)
  await platform.putTeam(TEAM, {
    grants: [
      "sessions:login",
      "revoke:session",
      "revoke:subject",
      `resource:kv_namespace:${store.namespaceId}`,
      `resource:d1:${database}`,
    ],
    egress: [provider.url],
  })
  // The name is reserved: ops give it to the team.
  await platform.api.put("/v1/scripts/login", { team: TEAM })
  await platform.uploadWorker({ source: ECHO_WORKER, script: "echo" })
  for (const hostname of HOSTNAMES) await platform.api.put(`/v1/hostnames/${hostname}`, { team: TEAM, open: true })

  // Those of before stay: routes and sessions name them.
  const issuers: Record<string, unknown> = { ...(policyFor(platform).issuers as object) }
  const useTenants = async (tenants: readonly Tenant[]) => {
    for (const tenant of tenants) issuers[tenant.name] = issuerOf(tenant)
    await platform.api.put("/v1/policy/issuers", issuers)
    const folder = await mkdtemp(path.join(tmpdir(), "login-"))
    try {
      await writeFile(path.join(folder, "wrangler.json"), JSON.stringify(loginConfig(tenants, store, database)))
      const secrets = Object.fromEntries(
        tenants.map(({ name, clientSecret }) => [
          `CLIENT_SECRET_${name.toUpperCase().replaceAll("-", "_")}`,
          clientSecret,
        ]),
      )
      await platform.uploadWorker({
        directory: folder,
        team: TEAM,
        secrets: { SESSION_KEYS: sessionKeys, ...secrets },
      })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
    const auth = { mode: "optional", accept: ["session"], issuers: tenants.map(({ name }) => name), scopes: [] }
    const hostname = new URL(APP).hostname
    const route = { hostname, team: TEAM, auth }
    const own = { ...auth, login: "/login/start" }
    await platform.api.put("/v1/routes/login", { ...route, path: "/login/*", script: "login", auth: own })
    const app = { ...auth, mode: "required", login: "/login/start" }
    await platform.api.put("/v1/routes/app", { ...route, path: "/*", script: "echo", auth: app, open: true })
    await platform.waitForConfig()
  }
  return {
    platform,
    provider,
    store,
    sessionKeys,
    useTenants,
    browser: () => new Browser(platform.edgeUrl, HOSTNAMES),
  }
}

function loginConfig(tenants: readonly Tenant[], store: SessionStore, database: string): object {
  const providers = tenants.map((tenant) => ({
    idp: tenant.name,
    issuer: tenant.issuer,
    clientId: tenant.clientId,
    clientAuth: "client_secret_basic",
    companyClaim: "company",
    scopesClaim: "entitlements",
    levels: LEVELS,
  }))
  return {
    name: "login",
    main: path.join(ROOT, "user-workers", "login", "index.ts"),
    compatibility_date: "2026-10-01",
    compatibility_flags: ["enable_request_signal", "nodejs_als"],
    kv_namespaces: [{ binding: "SESSIONS", id: store.namespaceId }],
    d1_databases: [{ binding: "LOGINS", database_name: "logins", database_id: database }],
    vars: {
      PROVIDERS: JSON.stringify(providers),
      SESSION_LIFETIME_S: "36000",
      SESSION_IDLE_S: "3600",
      PUBLIC_ORIGIN: "",
    },
  }
}

function issuerOf({ issuer, clientId, keys }: Tenant): object {
  return {
    issuer,
    audiences: [clientId],
    algorithms: ["ES256", "RS256", "EdDSA"],
    jwks: { keys: keys.map((key) => key.publicJwk) },
  }
}

type Call = (at: string, init?: RequestInit) => Promise<Response>

/** The dispatcher's own, as the local Cloudflare API knows it. */
function sessionStore(call: Call): SessionStore {
  const at = `/storage/kv/namespaces/${SESSIONS_NAMESPACE_ID}`
  const valueAt = (key: string) => `${at}/values/${encodeURIComponent(key)}`
  return {
    namespaceId: SESSIONS_NAMESPACE_ID,
    keys: async (prefix) => {
      const names: string[] = []
      for (let cursor = ""; ; ) {
        const query = new URLSearchParams({ prefix, ...(cursor === "" ? {} : { cursor }) })
        const page = (await (await call(`${at}/keys?${query}`)).json()) as {
          result: { name: string }[]
          result_info: { cursor: string }
        }
        names.push(...page.result.map(({ name }) => name))
        cursor = page.result_info.cursor
        if (cursor === "") return names.sort()
      }
    },
    get: async (key) => {
      const response = await call(valueAt(key))
      return response.ok ? response.text() : null
    },
    put: async (key, value) => void (await (await call(valueAt(key), { method: "PUT", body: value })).body?.cancel()),
    remove: async (key) => void (await (await call(valueAt(key), { method: "DELETE" })).body?.cancel()),
  }
}

async function makeDatabase(call: Call): Promise<string> {
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: '{"name":"logins"}' }
  const made = await call("/d1/database", init)
  if (!made.ok) throw new Error(`The database could not be made: ${made.status} ${await made.text()}`)
  return ((await made.json()) as { result: { uuid: string } }).result.uuid
}

/** A login from the first page to the last that the login Worker or the provider gives; the way on to the app is not taken. */
export async function logIn(
  { provider }: Stage,
  browser: Browser,
  tenant: Tenant,
  start: Readonly<Record<string, string>> = {},
): Promise<{ readonly started: Page; readonly ended: Page }> {
  const started = await browser.visit(startUrl(tenant, start))
  const goesOn = (location: string) => location.startsWith(provider.url) || isCallback(location)
  if (started.location === null) return { started, ended: started }
  return { started, ended: await browser.follow(started.location, goesOn, { from: APP }) }
}

export function startUrl(tenant: Tenant, start: Readonly<Record<string, string>> = {}): string {
  return `${APP}/login/start?${new URLSearchParams({ return_to: "/home", idp: tenant.name, ...start })}`
}

export function isCallback(location: string): boolean {
  return URL.canParse(location) && new URL(location).pathname.startsWith("/login/callback")
}

/** Session cookies that an answer sets; one that takes the cookie away is none. */
export function sessionCookiesIn(page: Page): string[] {
  return page.headers.getSetCookie().filter((line) => new RegExp(`^\\s*${SESSION_COOKIE}=[^;\\s]`, "i").test(line))
}

/** True while the dispatcher takes this cookie for a session. */
export async function isSession({ platform }: Stage, cookieValue: string | null): Promise<boolean> {
  const headers = cookieValue === null ? {} : { cookie: `${SESSION_COOKIE}=${cookieValue}` }
  const response = await platform.fetch(`${APP}/.sallyport/session`, { headers })
  await response.text()
  if (response.status !== 200 && response.status !== 401) throw new Error(`The gateway answered ${response.status}`)
  return response.status === 200
}

/**
 * An OpenID provider that lies on demand. Left alone it is honest and strict: it checks the client's secret, the redirect URI, PKCE, and takes
 * each code once. A {@link Scenario} changes what it says in one login; a tenant's `discovery` and `jwks` change what it says of itself.
 * One server holds many tenants, each an issuer of its own: `http://127.0.0.1:<port>/<tenant>`.
 * Plain node:http and node:crypto, because a provider library would keep it from lying.
 */
import { createHash, randomBytes, randomUUID } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { listen } from "../../../emulator/listen.ts"
import { type ForgeKey, forge, makeForgeKey } from "./forge.ts"

/** What goes out instead of the honest answer. */
export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Milliseconds until the first byte; Infinity: the connection stays open until the provider stops. */
  readonly afterMs?: number
  /** `body` is sent again and again until the reader goes away or this many bytes are out. */
  readonly repeatedBytes?: number
  /** Milliseconds between one such piece and the next. */
  readonly dripMs?: number
  /** The connection is cut before an answer. */
  readonly cut?: boolean
}

const PIECE_BYTES = 65_536

/** One login under way, as the provider sees it. */
export interface Login {
  readonly tenant: Tenant
  /** Of the authorization request. */
  readonly asked: URLSearchParams
  readonly code: string
  readonly scenario: Scenario
}

type Claims = Record<string, unknown>

/** What is different in one login; absent is honest. */
export interface Scenario {
  readonly subject?: string
  /** Parameters with which the browser is sent back. */
  readonly callback?: (honest: URLSearchParams, login: Login) => URLSearchParams
  /** Instead of sending the browser back at all. */
  readonly authorize?: (honest: URLSearchParams, login: Login) => Answer
  readonly header?: (honest: Claims, login: Login) => Claims
  readonly claims?: (honest: Claims, login: Login) => Claims
  /** The last word on the ID token: gets it signed honestly over the changed claims, with the parts that it was made of. */
  readonly idToken?: (signed: string, parts: { header: Claims; claims: Claims; login: Login }) => unknown
  /** The token endpoint's answer, from the honest one's members. */
  readonly token?: (honest: Claims, login: Login) => Answer
  /** Takes a code without looking at its PKCE verifier, or twice: a provider that protects nobody. */
  readonly lax?: boolean
  readonly userinfo?: (honest: Claims, login: Login) => Answer
  /** Runs when the code is redeemed, before the token is signed: for keys that change at this very moment. */
  readonly beforeSigning?: (tenant: Tenant) => void
}

export interface Tenant {
  readonly name: string
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  /** The first signs; all are published. */
  keys: ForgeKey[]
  /** Of the authorization requests from now on. */
  scenario: Scenario
  /** To whatever servers ask; the page for browsers goes on. */
  fault: Answer | null
  discovery: ((honest: Claims) => Answer) | null
  jwks: ((honest: { keys: unknown[] }) => Answer) | null
  /** All requests to the tenant, oldest first. */
  readonly seen: { readonly endpoint: string; readonly method: string; readonly atMs: number; readonly body: string }[]
  /** Logins by code, newest last. */
  readonly logins: Map<string, Login>
  /** How often each endpoint was asked since the last `forget`. */
  countOf(endpoint: string): number
  /** Honest again, with nothing seen. Keys stay. */
  forget(): void
  /** A logout token (OpenID Connect Back-Channel Logout §2.4), honest but for `changes`; an undefined member is left out. */
  logoutClaims(changes?: Claims): Claims
}

export interface HostileProvider {
  readonly url: string
  tenant(name: string, settings?: { readonly keys?: ForgeKey[] }): Tenant
  stop(): Promise<void>
}

const ID_TOKEN_LIFETIME_S = 300
const BACKCHANNEL_EVENT = "http://schemas.openid.net/event/backchannel-logout"

/** Starts it on 127.0.0.1, on a free port unless one is named. */
export async function startHostileProvider(port = 0): Promise<HostileProvider> {
  const tenants = new Map<string, Tenant>()
  const server = createServer((request, response) => {
    void respond(request, response, tenants).catch(() => response.destroy())
  })
  const { url, stop } = await listen(server, port)
  return {
    url,
    tenant: (name, settings = {}) => {
      const known = tenants.get(name)
      if (known !== undefined) return known
      const made = makeTenant(name, `${url}/${name}`, settings.keys ?? [makeForgeKey(`${name}-1`)])
      tenants.set(name, made)
      return made
    },
    stop,
  }
}

function makeTenant(name: string, issuer: string, keys: ForgeKey[]): Tenant {
  const tenant: Tenant = {
    name,
    issuer,
    clientId: `client-of-${name}`,
    clientSecret: randomBytes(24).toString("base64url"),
    keys,
    scenario: {},
    fault: null,
    discovery: null,
    jwks: null,
    seen: [],
    logins: new Map(),
    countOf: (endpoint) => tenant.seen.filter((each) => each.endpoint === endpoint).length,
    forget: () => {
      Object.assign(tenant, { scenario: {}, fault: null, discovery: null, jwks: null })
      tenant.seen.length = 0
    },
    logoutClaims: (changes = {}) => ({
      iss: issuer,
      aud: tenant.clientId,
      iat: nowS(),
      exp: nowS() + 120,
      jti: randomUUID(),
      events: { [BACKCHANNEL_EVENT]: {} },
      ...changes,
    }),
  }
  return tenant
}

async function respond(request: IncomingMessage, response: ServerResponse, tenants: ReadonlyMap<string, Tenant>) {
  const url = new URL(request.url ?? "/", "http://provider.invalid")
  const [, name = "", ...rest] = url.pathname.split("/")
  const tenant = tenants.get(name)
  const endpoint = rest.join("/")
  if (tenant === undefined) return send(response, { status: 404, body: "no such tenant" })
  const body = await read(request)
  tenant.seen.push({ endpoint, method: request.method ?? "", atMs: Date.now(), body })
  if (tenant.fault !== null && endpoint !== "authorize") return send(response, tenant.fault)
  switch (endpoint) {
    case ".well-known/openid-configuration":
      return send(response, tenant.discovery?.(discoveryOf(tenant)) ?? json(discoveryOf(tenant)))
    case "jwks": {
      const honest = { keys: tenant.keys.map((key) => key.publicJwk) as unknown[] }
      return send(response, tenant.jwks?.(honest) ?? json(honest))
    }
    case "authorize":
      return send(response, authorize(tenant, url.searchParams))
    case "token":
      return send(response, redeem(tenant, request, new URLSearchParams(body)))
    case "userinfo":
      return send(response, userinfo(tenant, request))
    case "logout":
      return send(response, { body: "logged out" })
    default:
      return send(response, { status: 404, body: "no such endpoint" })
  }
}

function discoveryOf({ issuer }: Tenant): Claims {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    userinfo_endpoint: `${issuer}/userinfo`,
    jwks_uri: `${issuer}/jwks`,
    end_session_endpoint: `${issuer}/logout`,
    response_types_supported: ["code"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["ES256", "RS256", "EdDSA"],
    code_challenge_methods_supported: ["S256"],
    token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
    authorization_response_iss_parameter_supported: true,
    backchannel_logout_supported: true,
    backchannel_logout_session_supported: true,
  }
}

function authorize(tenant: Tenant, asked: URLSearchParams): Answer {
  const to = asked.get("redirect_uri")
  if (asked.get("client_id") !== tenant.clientId || to === null || asked.get("response_type") !== "code")
    return { status: 400, body: "not a request of this client" }
  if (asked.get("code_challenge_method") !== "S256" || !/^[A-Za-z0-9_-]{43}$/.test(asked.get("code_challenge") ?? ""))
    return { status: 400, body: "PKCE with S256 is required" }
  const login: Login = { tenant, asked, code: randomBytes(18).toString("base64url"), scenario: tenant.scenario }
  tenant.logins.set(login.code, login)
  const state = asked.get("state")
  const honest = new URLSearchParams({ code: login.code, ...(state === null ? {} : { state }), iss: tenant.issuer })
  const replaced = login.scenario.authorize?.(honest, login)
  if (replaced !== undefined) return replaced
  const back = login.scenario.callback?.(honest, login) ?? honest
  return { status: 302, headers: { location: `${to}?${back}` } }
}

function redeem(tenant: Tenant, request: IncomingMessage, form: URLSearchParams): Answer {
  const login = tenant.logins.get(form.get("code") ?? "")
  if (login === undefined) return json({ error: "invalid_grant" }, 400)
  const { scenario, asked, code } = login
  if (!scenario.lax) {
    if (!isClient(tenant, request, form)) return json({ error: "invalid_client" }, 401)
    const challenge = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url")
    const isOurs =
      form.get("grant_type") === "authorization_code" && form.get("redirect_uri") === asked.get("redirect_uri")
    if (!isOurs || challenge !== asked.get("code_challenge")) return json({ error: "invalid_grant" }, 400)
    tenant.logins.delete(code)
  }
  scenario.beforeSigning?.(tenant)
  const honest = {
    access_token: randomBytes(18).toString("base64url"),
    token_type: "Bearer",
    expires_in: 300,
    id_token: idTokenOf(login),
  }
  tenant.logins.set(honest.access_token, login)
  return scenario.token?.(honest, login) ?? json(honest)
}

function idTokenOf(login: Login): unknown {
  const { tenant, asked, scenario } = login
  const [key] = tenant.keys
  if (key === undefined) throw new Error("A tenant without a key signs nothing")
  const honest: Claims = {
    iss: tenant.issuer,
    sub: scenario.subject ?? "alice",
    aud: tenant.clientId,
    iat: nowS(),
    exp: nowS() + ID_TOKEN_LIFETIME_S,
    auth_time: nowS(),
    nonce: asked.get("nonce") ?? undefined,
    acr: asked.get("acr_values")?.split(" ")[0],
    sid: `sid-of-${scenario.subject ?? "alice"}`,
  }
  const header = scenario.header?.({ alg: key.alg, kid: key.kid }, login) ?? { alg: key.alg, kid: key.kid }
  const claims = scenario.claims?.(honest, login) ?? honest
  const signed = forge(header, claims, key)
  return scenario.idToken === undefined ? signed : scenario.idToken(signed, { header, claims, login })
}

function userinfo(tenant: Tenant, request: IncomingMessage): Answer {
  const login = tenant.logins.get((request.headers.authorization ?? "").replace(/^Bearer /i, ""))
  if (login === undefined) return { status: 401 }
  const honest = { sub: login.scenario.subject ?? "alice", name: "Alice" }
  return login.scenario.userinfo?.(honest, login) ?? json(honest)
}

/** RFC 6749 §2.3.1: by header, with both parts form-encoded, or in the form. */
function isClient(tenant: Tenant, request: IncomingMessage, form: URLSearchParams): boolean {
  const basic = /^Basic (.+)$/i.exec(request.headers.authorization ?? "")?.[1]
  if (basic === undefined)
    return form.get("client_id") === tenant.clientId && form.get("client_secret") === tenant.clientSecret
  const [id = "", secret = ""] = Buffer.from(basic, "base64").toString().split(":").map(decodeURIComponent)
  return id === tenant.clientId && secret === tenant.clientSecret
}

/** A JSON answer. */
export function json(body: unknown, status = 200): Answer {
  return { status, headers: { "content-type": "application/json" }, body: JSON.stringify(body) }
}

export function nowS(): number {
  return Math.floor(Date.now() / 1000)
}

async function send(response: ServerResponse, answer: Answer): Promise<void> {
  if (answer.cut) return void response.destroy()
  if (answer.afterMs === Number.POSITIVE_INFINITY) return
  if (answer.afterMs !== undefined) await new Promise((resolve) => setTimeout(resolve, answer.afterMs).unref())
  response.writeHead(answer.status ?? 200, { "cache-control": "no-store", ...answer.headers })
  if (answer.repeatedBytes === undefined) return void response.end(answer.body)
  const body = Buffer.from(answer.body ?? " ")
  // Many at once where nothing is to drip: a write for each would keep this process busy for longer than any reader waits.
  const times = answer.dripMs === undefined ? Math.ceil(PIECE_BYTES / body.length) : 1
  const piece = Buffer.concat(Array.from({ length: times }, () => body))
  for (let sent = 0; sent < answer.repeatedBytes && !response.destroyed; sent += piece.length) {
    if (!response.write(piece)) await drained(response)
    if (answer.dripMs !== undefined) await new Promise((resolve) => setTimeout(resolve, answer.dripMs).unref())
  }
  response.end()
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      response.off("drain", go).off("close", go)
      resolve()
    }
    response.once("drain", go).once("close", go)
  })
}

async function read(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}

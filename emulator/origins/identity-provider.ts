/**
 * The example company's identity provider, with which people log in at the edge: OpenID Connect as a maintained server speaks it (oidc-provider), with a login page on which
 * one says who one is. Two people, two levels, logout that tells the clients (Back-Channel Logout), keys that can be rotated. Everything lies in memory.
 */
import { generateKeyPairSync, type JsonWebKey, randomBytes } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import Provider, { type Context, interactionPolicy } from "oidc-provider"
import { listen, type RunningServer } from "../listen.ts"
import { escapeHtml } from "./escape-html.ts"
import { oidcStore } from "./oidc-store.ts"

export const COMPANY_CLAIM = "company_id"
export const SCOPES_CLAIM = "permissions"
/** `acr` by level. */
export const ACRS = { 1: "urn:example:acr:one-factor", 2: "urn:example:acr:two-factors" } as const

export interface Person {
  readonly name: string
  readonly company: string
  /** Space-separated. */
  readonly permissions: string
}
/** By `sub`. */
export const PEOPLE: Readonly<Record<string, Person>> = {
  alice: { name: "Alice Example", company: "100", permissions: "projects:read" },
  bob: { name: "Bob Example", company: "100", permissions: "projects:read ecrion:read ecrion:write" },
}

export interface IdentityProviderOptions {
  readonly port: number
  /** EC P-256 with `kid`; absent: one of its own making. */
  readonly privateJwk?: JsonWebKey
  readonly client: { readonly id: string; readonly secret: string }
  /** Origins at which browsers reach the login Worker. */
  readonly clientOrigins: readonly string[]
  /** Where logouts are told, and how that URL is reached from here. */
  readonly backchannelUrl: string
  readonly post: (url: string, form: string) => Promise<Response>
}

export interface IdentityProvider extends RunningServer {
  /** Its issuer is its URL. */
  readonly issuer: string
  /** Public keys, as they are published now. */
  jwks(): Promise<{ readonly keys: readonly JsonWebKey[] }>
  /** Signs with a new key from now on; the old one stays published unless `forget`. */
  rotateKeys(options?: { readonly forget?: boolean }): void
  /** What the provider reports of itself: failed logouts, errors. Newest last. */
  readonly events: readonly string[]
  close(): Promise<void>
}

const LEVEL_FIELD = "second-factor"

export async function startIdentityProvider(options: IdentityProviderOptions): Promise<IdentityProvider> {
  const events: string[] = []
  const kept = { adapter: oidcStore(), cookies: { keys: [randomBytes(32).toString("base64url")] } }
  let keys = [options.privateJwk ?? makeKey()]
  let provider: Provider
  let answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>

  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://provider.invalid").pathname
    const work = path.startsWith("/interaction/") ? interact(request, response, provider) : answer(request, response)
    work.catch((thrown: unknown) => {
      events.push(`failed: ${String(thrown)}`)
      if (!response.headersSent)
        response.writeHead(400, { "content-type": "text/plain" }).end("This login is not known. Begin again.\n")
    })
  })
  const running = await listen(server, options.port)
  const start = () => {
    provider = new Provider(running.url, { ...configurationOf(options, keys), ...kept })
    for (const event of [
      "backchannel.success",
      "backchannel.error",
      "server_error",
      "grant.error",
      "authorization.error",
    ])
      provider.on(event, (...values) =>
        events.push(
          `${event}: ${values
            .filter((each) => each instanceof Error)
            .map(String)
            .join(" ")}`,
        ),
      )
    answer = provider.callback()
  }
  start()
  return {
    ...running,
    issuer: running.url,
    events,
    jwks: async () => (await (await fetch(`${running.url}/jwks`)).json()) as { keys: JsonWebKey[] },
    rotateKeys({ forget = false } = {}) {
      keys = [makeKey(), ...(forget ? [] : keys)]
      start()
    },
    close: running.stop,
  }
}

function configurationOf(options: IdentityProviderOptions, keys: readonly JsonWebKey[]): object {
  const { client, clientOrigins, backchannelUrl, post } = options
  const policy = interactionPolicy.base()
  policy
    .get("login")
    .checks.add(new interactionPolicy.Check("acr_values_unmet", "a stronger login is asked for", needsStrongerLogin))
  return {
    clients: [
      {
        client_id: client.id,
        client_secret: client.secret,
        redirect_uris: clientOrigins.map((origin) => `${origin}/login/callback`),
        post_logout_redirect_uris: clientOrigins.map((origin) => `${origin}/login/logged-out`),
        token_endpoint_auth_method: "client_secret_basic",
        id_token_signed_response_alg: "ES256",
        backchannel_logout_uri: backchannelUrl,
        backchannel_logout_session_required: true,
        default_acr_values: Object.values(ACRS),
        require_auth_time: true,
      },
    ],
    jwks: { keys },
    enabledJWA: { idTokenSigningAlgValues: ["ES256"] },
    acrValues: Object.values(ACRS),
    claims: {
      acr: null,
      auth_time: null,
      iss: null,
      sid: null,
      openid: ["sub", COMPANY_CLAIM, SCOPES_CLAIM],
      profile: ["name"],
    },
    // The login Worker asks for nothing but the id token.
    conformIdTokenClaims: false,
    scopes: ["openid", "profile"],
    pkce: { required: () => true },
    ttl: { Interaction: 600, Session: 86_400, Grant: 86_400, AccessToken: 600, IdToken: 300, AuthorizationCode: 60 },
    interactions: { policy, url: (_context: Context, { uid }: { uid: string }) => `/interaction/${uid}` },
    findAccount: (_context: Context, id: string) => accountOf(id),
    loadExistingGrant: grantEverything,
    renderError: (context: Context, out: Readonly<Record<string, string>>) => {
      const lines = Object.entries(out).map(
        ([name, value]) => `<p>${escapeHtml(name)}: ${escapeHtml(String(value))}</p>`,
      )
      show(context, "This did not work", lines.join(""))
    },
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (context: Context, form: string) =>
          show(
            context,
            "Log out here too?",
            `${form}<button form="op.logoutForm" name="logout" value="yes">Log out</button> <button form="op.logoutForm">Stay</button>`,
          ),
        postLogoutSuccessSource: (context: Context) => show(context, "You are logged out", ""),
      },
    },
    // Logouts alone: nothing else of this configuration is fetched.
    fetch: (url: string, init: RequestInit) => post(url, String(init.body)),
  }
}

function needsStrongerLogin({ oidc }: Context): boolean {
  const asked = oidc.params.acr_values
  if (typeof asked !== "string" || oidc.result?.login !== undefined) return interactionPolicy.Check.NO_NEED_TO_PROMPT
  return asked.split(" ").includes(oidc.session.acr ?? "")
    ? interactionPolicy.Check.NO_NEED_TO_PROMPT
    : interactionPolicy.Check.REQUEST_PROMPT
}

/** Nobody is asked whether the company's own login may know who they are. */
async function grantEverything({ oidc }: Context) {
  const { Grant } = oidc.provider
  const known = oidc.session.grantIdFor(oidc.client.clientId)
  const found = known === undefined ? undefined : await Grant.find(known)
  if (found !== undefined) return found
  const grant = new Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId })
  grant.addOIDCScope("openid profile")
  await grant.save()
  return grant
}

function accountOf(id: string) {
  const person = Object.hasOwn(PEOPLE, id) ? PEOPLE[id] : undefined
  if (person === undefined) return undefined
  const { name, company, permissions } = person
  return { accountId: id, claims: () => ({ sub: id, name, [COMPANY_CLAIM]: company, [SCOPES_CLAIM]: permissions }) }
}

/** The login page, and what comes from it. */
async function interact(request: IncomingMessage, response: ServerResponse, provider: Provider): Promise<void> {
  const { uid, params } = await provider.interactionDetails(request, response)
  if (request.method !== "POST") {
    const isStrong = String(params.acr_values ?? "")
      .split(" ")
      .every((acr) => acr === ACRS[2])
    response.writeHead(200, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" })
    response.end(document("Who are you?", loginForm(uid, isStrong)))
    return
  }
  const form = new URLSearchParams(await readText(request))
  const accountId = form.get("person") ?? ""
  if (accountOf(accountId) === undefined) {
    const error = { error: "access_denied", error_description: "Nobody logged in." }
    return provider.interactionFinished(request, response, error, { mergeWithLastSubmission: false })
  }
  const isStrong = form.get(LEVEL_FIELD) === "yes"
  const login = { accountId, acr: ACRS[isStrong ? 2 : 1], amr: isStrong ? ["pwd", "otp"] : ["pwd"], remember: true }
  return provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false })
}

function loginForm(uid: string, isStrong: boolean): string {
  const people = Object.entries(PEOPLE).map(
    ([id, { name, company }]) =>
      `<button name="person" value="${id}">${escapeHtml(name)} <small>company ${company}</small></button>`,
  )
  return `<p>The example identity provider takes your word for it.</p><form method="post" action="/interaction/${encodeURIComponent(uid)}">
<label><input type="checkbox" name="${LEVEL_FIELD}" value="yes"${isStrong ? " checked" : ""}> with a second factor</label>${people.join("")}
<button name="person" value="" class="quiet">Cancel</button></form>`
}

function show(context: Context, title: string, body: string): void {
  context.type = "html"
  context.body = document(title, body)
}

function document(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title><style>
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{max-width:24rem;margin:12vh auto;padding:0 1.25rem}h1{font-size:1.4rem}form{display:grid;gap:.75rem}
button{font:inherit;padding:.6rem .75rem;border-radius:.4rem;border:0;background:#0b6b53;color:#fff;cursor:pointer}button.quiet{background:none;color:inherit;text-decoration:underline}
</style></head><body><main><h1>${title}</h1>${body}</main></body></html>`
}

async function readText(request: IncomingMessage): Promise<string> {
  let text = ""
  for await (const chunk of request) {
    text += String(chunk)
    if (text.length > 10_000) throw new Error("The form is too large")
  }
  return text
}

function makeKey(): JsonWebKey {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  return {
    ...privateKey.export({ format: "jwk" }),
    kid: randomBytes(8).toString("base64url"),
    alg: "ES256",
    use: "sig",
  }
}

/** An OpenID provider in memory, for this folder's tests: answers what the Worker fetches, honestly unless a test changes it. */
import { base64url, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose"
import { afterEach, beforeEach, vi } from "vitest"

const ACCESS_TOKEN = "access-token-canary"
export const CLIENT_ID = "sallyport"

export interface TestProvider {
  readonly issuer: string
  /** Everything that was fetched. */
  readonly calls: Request[]
  /** Changes for the next answers. */
  metadata: Record<string, unknown>
  claims: Record<string, unknown>
  header: Record<string, unknown>
  token: Record<string, unknown>
  /** Of the access token, as `at_hash`. */
  readonly accessTokenHash: string
  /** Instead of the id token. */
  forge: (token: string) => Promise<string>
  /** Instead of the honest answer, by path. */
  answers: Record<string, () => Response | Promise<Response>>
  fetch(input: RequestInfo, init?: RequestInit): Promise<Response>
  /** As the browser would come back from the authorization URL: the callback's query. */
  authorize(location: string): URLSearchParams
  rotate(): Promise<void>
  sign(claims: JWTPayload, header?: Record<string, unknown>): Promise<string>
}

/** One for each test of a file, which answers all that the Worker fetches until the test is over. */
export function providerPerTest(use: (provider: TestProvider) => void): void {
  beforeEach(async () => {
    const provider = await testProvider()
    vi.stubGlobal("fetch", provider.fetch)
    use(provider)
  })
  afterEach(() => {
    vi.unstubAllGlobals()
    vi.restoreAllMocks()
  })
}

/** Each has an issuer of its own, because the Worker remembers providers for an isolate's life. */
export async function testProvider(issuer = `https://idp-${crypto.randomUUID()}.example`): Promise<TestProvider> {
  let kid = 0
  let pair = await generateKeyPair("ES256", { extractable: true })
  const codes = new Map<string, { nonce: string; challenge: string; redirectUri: string }>()

  const provider: TestProvider = {
    issuer,
    calls: [],
    metadata: {},
    claims: {},
    header: {},
    token: {},
    accessTokenHash: base64url.encode(
      new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(ACCESS_TOKEN))).slice(0, 16),
    ),
    forge: async (token) => token,
    answers: {},
    async fetch(input, init) {
      const request = new Request(input, init)
      provider.calls.push(request.clone())
      const { pathname } = new URL(request.url)
      const instead = provider.answers[pathname]
      if (instead !== undefined) return instead()
      if (pathname === "/.well-known/openid-configuration") return Response.json(metadata())
      if (pathname === "/jwks")
        return Response.json({
          keys: [{ ...(await exportJWK(pair.publicKey)), kid: String(kid), alg: "ES256", use: "sig" }],
        })
      if (pathname === "/token") return redeem(new URLSearchParams(await request.text()))
      return new Response(null, { status: 404 })
    },
    authorize(location) {
      const asked = new URL(location).searchParams
      const code = crypto.randomUUID()
      codes.set(code, {
        nonce: asked.get("nonce") ?? "",
        challenge: asked.get("code_challenge") ?? "",
        redirectUri: asked.get("redirect_uri") ?? "",
      })
      return new URLSearchParams({ code, state: asked.get("state") ?? "", iss: issuer })
    },
    async rotate() {
      kid += 1
      pair = await generateKeyPair("ES256", { extractable: true })
    },
    sign: (claims, header = {}) =>
      new SignJWT(claims).setProtectedHeader({ alg: "ES256", kid: String(kid), ...header }).sign(pair.privateKey),
  }

  const metadata = () => ({
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    end_session_endpoint: `${issuer}/end`,
    id_token_signing_alg_values_supported: ["ES256"],
    authorization_response_iss_parameter_supported: true,
    ...provider.metadata,
  })

  async function redeem(form: URLSearchParams): Promise<Response> {
    const asked = codes.get(form.get("code") ?? "")
    codes.delete(form.get("code") ?? "")
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(form.get("code_verifier") ?? ""))
    const isRight =
      base64url.encode(new Uint8Array(digest)) === asked?.challenge && form.get("redirect_uri") === asked.redirectUri
    if (asked === undefined || !isRight) return Response.json({ error: "invalid_grant" }, { status: 400 })
    const nowS = Math.floor(Date.now() / 1000)
    const claims = {
      iss: issuer,
      aud: CLIENT_ID,
      sub: "alice",
      iat: nowS,
      exp: nowS + 300,
      nonce: asked.nonce,
      ...provider.claims,
    }
    const id_token = await provider.forge(await provider.sign(withoutUndefined(claims), provider.header))
    return Response.json({ access_token: ACCESS_TOKEN, token_type: "Bearer", id_token, ...provider.token })
  }
  return provider
}

function withoutUndefined(claims: Record<string, unknown>): JWTPayload {
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined))
}

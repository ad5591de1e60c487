/**
 * The hostile provider itself, held against a relying party made of the library that the login Worker uses: honest when left alone, strict with clients,
 * and its lies are lies. Says also which of them the library alone would let pass, so that nobody takes its checks for the whole.
 */
import * as oauth from "oauth4webapi"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { LOGIN_ATTACKS, TENANT_ATTACKS } from "./hostile-provider/attacks.ts"
import { type HostileProvider, startHostileProvider, type Tenant } from "./hostile-provider/provider.ts"

const REDIRECT_URI = "https://app.example.com/login/callback"
/** How long an answer without an end is waited for, and any other: on a busy machine it must not count as found out because it was late. */
const SHORT_MS = 1_500
const LONG_MS = 60_000

let provider: HostileProvider
beforeAll(async () => {
  provider = await startHostileProvider()
})
afterAll(() => provider.stop())

interface Login {
  readonly verifier?: string
  readonly maxAge?: number
  readonly secret?: string
  readonly waitMs?: number
}

/** One login; rejects with what the library found wrong. Gives the subject. */
async function logIn(tenant: Tenant, { maxAge, waitMs = LONG_MS, ...login }: Login = {}): Promise<string | undefined> {
  const insecure = { [oauth.allowInsecureRequests]: true, signal: () => AbortSignal.timeout(waitMs) }
  const issuer = new URL(tenant.issuer)
  const found = await oauth.discoveryRequest(issuer, { algorithm: "oidc", ...insecure })
  const server = await oauth.processDiscoveryResponse(issuer, found)
  const client = { client_id: tenant.clientId, ...(maxAge === undefined ? {} : { default_max_age: maxAge }) }
  const [state, nonce, verifier] = [
    oauth.generateRandomState(),
    oauth.generateRandomNonce(),
    oauth.generateRandomCodeVerifier(),
  ]
  const asked = new URL(server.authorization_endpoint ?? "")
  asked.search = String(
    new URLSearchParams({
      client_id: tenant.clientId,
      redirect_uri: REDIRECT_URI,
      response_type: "code",
      scope: "openid",
      state,
      nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      ...(maxAge === undefined ? {} : { max_age: String(maxAge) }),
    }),
  )
  const sent = await fetch(asked, { redirect: "manual" })
  const parameters = oauth.validateAuthResponse(server, client, new URL(sent.headers.get("location") ?? ""), state)
  const answer = await oauth.authorizationCodeGrantRequest(
    server,
    client,
    oauth.ClientSecretBasic(login.secret ?? tenant.clientSecret),
    parameters,
    REDIRECT_URI,
    login.verifier ?? verifier,
    insecure,
  )
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, answer, {
    expectedNonce: nonce,
    requireIdToken: true,
  })
  await oauth.validateApplicationLevelSignature(server, answer, insecure)
  return oauth.getValidatedIdTokenClaims(tokens)?.sub
}

describe("the provider, left alone", () => {
  it("logs in whoever does it right", async () => {
    expect(await logIn(provider.tenant("honest"))).toBe("alice")
  })

  it("refuses a wrong client secret and a wrong PKCE verifier", async () => {
    await expect(logIn(provider.tenant("honest"), { secret: "wrong" })).rejects.toThrow()
    await expect(logIn(provider.tenant("honest"), { verifier: "x".repeat(43) })).rejects.toThrow()
  })

  it("refuses an authorization request without PKCE by S256", async () => {
    const { issuer, clientId } = provider.tenant("honest")
    const asked = `${issuer}/authorize?client_id=${clientId}&redirect_uri=https://a.example&response_type=code`
    expect((await fetch(asked, { redirect: "manual" })).status).toBe(400)
    const plain = `${asked}&code_challenge=${"x".repeat(43)}&code_challenge_method=plain`
    expect((await fetch(plain, { redirect: "manual" })).status).toBe(400)
  })
})

describe("the lies", () => {
  it("have a name each", () => {
    const names = [...LOGIN_ATTACKS, ...TENANT_ATTACKS].map(({ name }) => name)
    expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([])
    expect(names.length).toBeGreaterThanOrEqual(100)
  })

  it.for([...LOGIN_ATTACKS, ...TENANT_ATTACKS].filter(({ start }) => start?.level === undefined))(
    "$name is told, and seen by the library unless the catalogue says otherwise",
    async ({ name, scenario, arrange, start, unseenByLibrary, isEndless }) => {
      const tenant = provider.tenant(`fixture-${name.replace(/[^a-z0-9-]/gi, "-")}`)
      tenant.scenario = scenario ?? {}
      arrange?.(tenant)
      const maxAge = start?.max_age === undefined ? {} : { maxAge: Number(start.max_age) }
      const waitMs = isEndless ? SHORT_MS : LONG_MS
      const outcome = await logIn(tenant, { ...maxAge, waitMs }).then(
        () => "let pass",
        (error: Error) => `${error.name}: ${error.message} (${error.cause})`,
      )
      if (unseenByLibrary) expect(outcome).toBe("let pass")
      else expect(outcome).not.toBe("let pass")
      // Refused for the lie, not because something here is broken or late.
      expect(outcome).not.toMatch(/ReferenceError|is not a function/)
      if (!isEndless) expect(outcome).not.toMatch(/TimeoutError|AbortError/)
    },
  )
})

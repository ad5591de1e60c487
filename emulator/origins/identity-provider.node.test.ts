import { afterAll, beforeAll, describe, it } from "vitest"
import { ACRS, type IdentityProvider, startIdentityProvider } from "./identity-provider.ts"
import { startMailbox } from "./mailbox.ts"

const APP = "http://app.procore.localhost:1234"
let provider: IdentityProvider

beforeAll(async () => {
  provider = await startIdentityProvider({
    port: 0,
    client: { id: "client", secret: "secret" },
    clientOrigins: [APP],
    backchannelUrl: `${APP}/login/backchannel-logout`,
    post: async () => new Response(),
  })
})
afterAll(() => provider.close())

const authorize = (changes: Record<string, string> = {}) => {
  const parameters = new URLSearchParams({
    client_id: "client",
    response_type: "code",
    scope: "openid profile",
    redirect_uri: `${APP}/login/callback`,
    code_challenge: "A".repeat(43),
    code_challenge_method: "S256",
    state: "state",
    nonce: "nonce",
    ...changes,
  })
  return fetch(`${provider.issuer}/auth?${parameters}`, { redirect: "manual" })
}

describe("the example identity provider", () => {
  it("names itself by its address, and says that it names itself in its answers", async ({ expect }) => {
    const metadata = await (await fetch(`${provider.issuer}/.well-known/openid-configuration`)).json()
    expect(metadata).toMatchObject({
      issuer: provider.issuer,
      acr_values_supported: Object.values(ACRS),
      backchannel_logout_supported: true,
      backchannel_logout_session_supported: true,
      authorization_response_iss_parameter_supported: true,
      code_challenge_methods_supported: ["S256"],
    })
  })

  it("shows a login page of its own", async ({ expect }) => {
    const response = await authorize()
    expect(response.status).toBe(303)
    expect(response.headers.get("location")).toMatch(/^\/interaction\//)
  })

  it("sends nobody to an address that it does not know, and asks for PKCE", async ({ expect }) => {
    const elsewhere = await authorize({ redirect_uri: "https://evil.example/login/callback" })
    expect([elsewhere.status, elsewhere.headers.get("location")]).toEqual([400, null])
    const without = await authorize({ code_challenge: "", code_challenge_method: "" })
    expect(without.headers.get("location")).toContain("error=invalid_request")
  })

  it("publishes the old key beside the new one after a rotation, unless it is forgotten", async ({ expect }) => {
    const kids = async () => (await provider.jwks()).keys.map((key) => (key as { kid?: string }).kid)
    const before = await kids()
    provider.rotateKeys()
    const after = await kids()
    expect(after).toEqual([expect.any(String), ...before])
    provider.rotateKeys({ forget: true })
    const last = await kids()
    expect(last).toHaveLength(1)
    expect(after).not.toContain(last[0])
  })
})

describe("the mailbox", () => {
  it("keeps mails and shows them, as text", async ({ expect }) => {
    const mailbox = await startMailbox({ port: 0 })
    try {
      const post = (body: string) => fetch(`${mailbox.url}/mails`, { method: "POST", body })
      expect((await post(JSON.stringify({ to: "a@b.example", subject: "<b>", text: "PIN 123456" }))).status).toBe(202)
      for (const body of ["", "{}", JSON.stringify({ to: 1, subject: "", text: "" }), "x".repeat(30_000)])
        expect((await post(body)).status).toBe(400)
      const page = await (await fetch(mailbox.url)).text()
      expect(page).toContain("PIN 123456")
      expect(page).toContain("&lt;b&gt;")
      expect(mailbox.mails).toHaveLength(1)
    } finally {
      await mailbox.close()
    }
  })
})

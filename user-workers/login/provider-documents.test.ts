import { describe, expect, it, vi } from "vitest"
import { type Browser, openBrowser, settingsFor } from "./testing/call-login.ts"
import { providerPerTest, type TestProvider, testProvider } from "./testing/provider.ts"

let provider: TestProvider

providerPerTest((each) => {
  provider = each
})

const open = (issuer = provider.issuer) => openBrowser({ vars: settingsFor(issuer) })
async function logIn(browser: Browser): Promise<Response> {
  const started = await browser.call("/login/start")
  const location = started.headers.get("location")
  return location === null ? started : browser.call(`/login/callback?${provider.authorize(location)}`)
}
const METADATA = "/.well-known/openid-configuration"

async function expectUnavailable(response: Response) {
  expect(response.status).toBe(503)
  expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0)
  expect(await response.text()).toContain("login.provider-unavailable")
}

describe("a provider that is ill", () => {
  const ills: Record<string, () => Response> = {
    "answers 500": () => new Response("no", { status: 500 }),
    "answers 429": () => new Response("no", { status: 429 }),
    "answers HTML": () => new Response("<h1>Hello</h1>", { headers: { "content-type": "text/html" } }),
    "answers half a document": () => new Response('{"issuer":', { headers: { "content-type": "application/json" } }),
    "answers without end": () => new Response("x".repeat(300_000), { headers: { "content-type": "application/json" } }),
    "sends elsewhere": () => Response.redirect("https://evil.example/", 302),
    "does not answer": () => {
      throw new TypeError("Network connection lost.")
    },
  }
  for (const path of [METADATA, "/jwks", "/token"])
    for (const [name, answer] of Object.entries(ills))
      it(`and ${name} at ${path} costs the login, which may be tried again later`, async () => {
        provider.answers[path] = answer
        const browser = open()
        await expectUnavailable(await logIn(browser))
        delete provider.answers[path]
        expect((await logIn(browser)).status).toBe(303)
      })

  it("is left alone after three failures, but for one probe in five seconds", async () => {
    provider.answers[METADATA] = () => new Response(null, { status: 500 })
    const browser = open()
    const real = Date.now()
    const clock = vi.spyOn(Date, "now")
    for (let second = 0; second < 30; second++) {
      clock.mockImplementation(() => real + second * 1000)
      await expectUnavailable(await browser.call("/login/start"))
    }
    expect(provider.calls.length).toBeLessThanOrEqual(3 + 6)
    delete provider.answers[METADATA]
    clock.mockImplementation(() => real + 60_000)
    expect((await browser.call("/login/start")).status).toBe(302)
  })

  it("sends nobody on while it is ill, though it is known where to", async () => {
    const browser = open()
    await logIn(browser)
    provider.answers["/token"] = () => new Response(null, { status: 500 })
    for (let attempt = 0; attempt < 3; attempt++) await expectUnavailable(await logIn(browser))
    const before = provider.calls.length
    await expectUnavailable(await browser.call("/login/start"))
    expect(provider.calls.length).toBe(before)
  })

  it("is gone on with by what it last said well, keys and all", async () => {
    const browser = open()
    await logIn(browser)
    const real = Date.now()
    vi.spyOn(Date, "now").mockImplementation(() => real + 400_000)
    provider.answers[METADATA] = () => new Response(null, { status: 500 })
    provider.answers["/jwks"] = () => new Response("garbage")
    expect((await logIn(browser)).status).toBe(303)
  })
})

describe("the provider's metadata", () => {
  for (const [name, change] of Object.entries({
    "another issuer": { issuer: "https://other.example" },
    "the issuer with a slash more": { issuer: "SLASH" },
    "an authorization endpoint that is a script": { authorization_endpoint: "javascript:alert(1)" },
    "a token endpoint without TLS": { token_endpoint: "http://idp.example/token" },
    "keys without TLS": { jwks_uri: "http://idp.example/jwks" },
    "no keys": { jwks_uri: undefined },
    "an endpoint with a password in it": { token_endpoint: "https://a:b@idp.example/token" },
  }))
    it(`with ${name} is no metadata`, async () => {
      provider.metadata = { ...change, ...(change.issuer === "SLASH" ? { issuer: `${provider.issuer}/` } : {}) }
      await expectUnavailable(await open().call("/login/start"))
    })

  for (const algorithms of [["HS256"], ["none"], ["ES512"]])
    it(`that offers ${algorithms} alone lets nobody in`, async () => {
      provider.metadata = { id_token_signing_alg_values_supported: algorithms }
      expect((await logIn(open())).status).toBe(403)
    })

  it("is read once, and again after a minute", async () => {
    const browser = open()
    const reads = () => provider.calls.filter(({ url }) => url.endsWith(METADATA)).length
    for (let login = 0; login < 5; login++) await logIn(browser)
    expect(reads()).toBe(1)
    const real = Date.now()
    vi.spyOn(Date, "now").mockImplementation(() => real + 61_000)
    await logIn(browser)
    expect(reads()).toBe(2)
  })

  it("may be without TLS on this machine alone", async () => {
    provider = await testProvider(`http://127.0.0.1:${1024 + Math.floor(Math.random() * 60_000)}`)
    vi.stubGlobal("fetch", provider.fetch)
    expect((await logIn(open())).status).toBe(303)
    const elsewhere = await open("http://idp.example").call("/login/start")
    expect([elsewhere.status, await elsewhere.text()]).toEqual([500, expect.stringContaining("login.not-configured")])
  })
})

describe("the provider's keys", () => {
  for (const [name, more, status] of [
    ["a key of the same kid twice", (keys: object[]) => [...keys, ...keys], 403],
    ["a private key", (keys: object[]) => keys.map((key) => ({ ...key, d: "secret" })), 503],
    [
      "keys for encryption beside",
      (keys: object[]) => [{ kty: "RSA", use: "enc", kid: "e", n: "x", e: "AQAB" }, ...keys],
      303,
    ],
    ["unknown members", (keys: object[]) => keys.map((key) => ({ ...key, "example.com/since": 1 })), 303],
    ["no kid, being one", (keys: object[]) => keys.map((key) => ({ ...key, kid: undefined })), 403],
    ["none", () => [], 503],
    ["51", (keys: object[]) => Array.from({ length: 51 }, () => keys[0]), 503],
  ] as const)
    it(`with ${name} are answered with ${status}`, async () => {
      const honest = (await (await provider.fetch(`${provider.issuer}/jwks`)).json()) as { keys: object[] }
      provider.answers["/jwks"] = () => Response.json({ keys: more(honest.keys) })
      expect((await logIn(open())).status).toBe(status)
    })
})

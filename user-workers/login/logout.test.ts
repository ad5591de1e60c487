import { env as bound } from "cloudflare:workers"
import { describe, it, vi } from "vitest"
import { hashForKey, SESSION_COOKIE, sessionRecord } from "../../contracts/session.ts"
import { openSession } from "../../kit/session-cookie.ts"
import { type Browser, openBrowser, SESSION_KEYS, settingsFor } from "./testing/call-login.ts"
import { providerPerTest, type TestProvider } from "./testing/provider.ts"

const { SESSIONS } = bound as unknown as { readonly SESSIONS: KVNamespace }
const EVENTS = { "http://schemas.openid.net/event/backchannel-logout": {} }
const LOGOUT = "/login/backchannel-logout"
let provider: TestProvider

providerPerTest((each) => {
  provider = each
})

const nowS = () => Math.floor(Date.now() / 1000)
const open = (vars: Record<string, unknown> = {}) => openBrowser({ vars: { ...settingsFor(provider.issuer), ...vars } })

/** Handle of a new session of `sub`, from the provider's session `sid`. */
async function logIn(browser: Browser, sub = "alice", sid = "sid-1"): Promise<string> {
  provider.claims = { sub, sid }
  const started = await browser.call("/login/start")
  await browser.call(`/login/callback?${provider.authorize(started.headers.get("location") ?? "")}`)
  return (await openSession(browser.cookies.get(SESSION_COOKIE) ?? "", SESSION_KEYS))?.handle ?? ""
}
const caller = (sid: string) => ({ claims: { kind: "user", sub: "alice", idp: "example", sid } }) as const
const isStored = async (handle: string) => (await SESSIONS.get(`session/${handle}`)) !== null

describe("logging out", () => {
  it("revokes the session, deletes what is stored, takes the cookie, and goes on to the provider", async ({
    expect,
  }) => {
    const browser = open()
    const handle = await logIn(browser)
    const response = await browser.post("/login/logout", {}, caller(handle))
    expect(response.status).toBe(303)
    const next = new URL(response.headers.get("location") ?? "")
    expect([next.origin + next.pathname, Object.fromEntries(next.searchParams)]).toEqual([
      `${provider.issuer}/end`,
      { client_id: "sallyport", post_logout_redirect_uri: "https://app.procore.com/login/logged-out" },
    ])
    expect(browser.setCookies.at(-1)).toBe(`${SESSION_COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0`)
    expect(browser.revoked).toMatchObject([{ target: { kind: "session", session: handle }, reason: "logged out" }])
    const subject = await hashForKey(["example", "alice"])
    const kept = await SESSIONS.list()
    expect(kept.keys.filter(({ name }) => name.includes(handle) && name.includes(subject))).toEqual([])
    expect([await isStored(handle), await SESSIONS.get(`seen/${handle}`)]).toEqual([false, null])
  })

  it("has the revocation remembered until the session would have ended", async ({ expect }) => {
    const browser = open({ SESSION_LIFETIME_S: "7200" })
    const handle = await logIn(browser)
    const { expiresAtMs } = sessionRecord.parse(await SESSIONS.get(`session/${handle}`, "json"))
    // The lifetime is shorter now; the session was promised the longer one.
    await browser.post("/login/logout", {}, { ...caller(handle), vars: { SESSION_LIFETIME_S: "120" } })
    expect(browser.revoked).toMatchObject([{ sessionExpiresAtMs: expiresAtMs }])
  })

  for (const [what, stored] of [
    ["no record", () => Promise.resolve(null)],
    ["a record that is none", () => Promise.resolve({ expiresAtMs: 1 })],
    ["no answer", () => new Promise(() => undefined)],
  ] as const)
    it(`has it remembered as long as any session may last where the store has ${what}`, async ({ expect }) => {
      const get = vi.fn(async (): Promise<unknown> => null).mockImplementationOnce(stored)
      const browser = open({ SESSIONS: { get, delete: async () => undefined } })
      await browser.post("/login/logout", {}, caller("h".repeat(43)))
      expect(browser.revoked).toEqual([{ target: { kind: "session", session: "h".repeat(43) }, reason: "logged out" }])
    })

  it("believes no record that would have it forgotten sooner than sessions of today last", async ({ expect }) => {
    const browser = open({ SESSION_LIFETIME_S: "7200" })
    const handle = await logIn(browser)
    const record = sessionRecord.parse(await SESSIONS.get(`session/${handle}`, "json"))
    await SESSIONS.put(`session/${handle}`, JSON.stringify({ ...record, expiresAtMs: record.createdAtMs + 1 }))
    await browser.post("/login/logout", {}, caller(handle))
    const [revoked] = browser.revoked as { sessionExpiresAtMs?: number }[]
    expect(revoked?.sessionExpiresAtMs).toBeGreaterThanOrEqual(record.expiresAtMs)
  })

  it("tells a script where to go on", async ({ expect }) => {
    const browser = open()
    const headers = { "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", accept: "application/json" }
    const response = await browser.call("/login/logout", { method: "POST", headers }, caller(await logIn(browser)))
    expect([response.status, await response.json()]).toEqual([
      200,
      { next: expect.stringContaining(`${provider.issuer}/end?`) },
    ])
  })

  it("without a session takes the cookie and revokes nothing", async ({ expect }) => {
    const browser = open()
    const response = await browser.post("/login/logout", {})
    expect([response.status, response.headers.get("location"), browser.revoked]).toEqual([303, "/login/logged-out", []])
  })

  it("ends a session of no provider that is set up here, such as one begun by a PIN", async ({ expect }) => {
    const browser = open()
    const by = { claims: { kind: "user", sub: "alice", idp: "mail", sid: "h".repeat(43) } } as const
    expect((await browser.call("/login/logout", {}, by)).status).toBe(200)
    const response = await browser.post("/login/logout", {}, by)
    expect([response.status, response.headers.get("location")]).toEqual([303, "/login/logged-out"])
    expect([browser.revoked.length, browser.setCookies.at(-1)?.includes("Max-Age=0")]).toEqual([1, true])
  })

  it("does not wait for a provider that is ill", async ({ expect }) => {
    provider.answers["/.well-known/openid-configuration"] = () => new Response(null, { status: 500 })
    const response = await open().post("/login/logout", {}, caller("h".repeat(43)))
    expect([response.status, response.headers.get("location")]).toEqual([303, "/login/logged-out"])
  })

  it("works while the session store is down: what is revoked is refused all the same", async ({ expect }) => {
    const down = () => Promise.reject(new Error("KV is down"))
    const browser = open({ SESSIONS: { get: down, delete: down } })
    const response = await browser.post("/login/logout", {}, caller("h".repeat(43)))
    expect([response.status, browser.revoked.length, browser.setCookies.length]).toEqual([303, 1, 1])
  })

  it("says so when the session could not be revoked, and leaves the cookie for another try", async ({ expect }) => {
    const browser = open()
    browser.refusesToRevoke = true
    const response = await browser.post("/login/logout", {}, caller("h".repeat(43)))
    expect([response.status, browser.setCookies]).toEqual([503, []])
  })

  for (const [name, headers, status] of [
    ["a page of the own origin", { "sec-fetch-site": "same-origin" }, 303],
    ["the same site's other host", { "sec-fetch-site": "same-site" }, 403],
    ["another site", { "sec-fetch-site": "cross-site" }, 403],
    ["the address bar", { "sec-fetch-site": "none" }, 403],
    ["another site that names our origin", { "sec-fetch-site": "cross-site", origin: "https://app.procore.com" }, 403],
    ["an old browser on the own origin", { origin: "https://app.procore.com" }, 303],
    ["an old browser on another port", { origin: "https://app.procore.com:8443" }, 403],
    ["an old browser elsewhere", { origin: "null" }, 403],
    ["who says nothing", {}, 403],
    ["who says that it is nowhere", { origin: "" }, 403],
  ] as const)
    it(`from ${name} is answered with ${status}`, async ({ expect }) => {
      const browser = open()
      const response = await browser.call("/login/logout", { method: "POST", headers }, caller("h".repeat(43)))
      expect([response.status, browser.revoked.length]).toEqual([status, status === 303 ? 1 : 0])
    })

  it("by GET changes nothing", async ({ expect }) => {
    const browser = open()
    const response = await browser.call("/login/logout", {}, caller("h".repeat(43)))
    expect([response.status, browser.revoked, browser.setCookies]).toEqual([200, [], []])
    expect(response.headers.get("content-security-policy")).toContain(`form-action 'self' ${provider.issuer}`)
  })
})

describe("the provider's logout message", () => {
  const honest = () => ({
    iss: provider.issuer,
    aud: "sallyport",
    iat: nowS(),
    exp: nowS() + 120,
    jti: crypto.randomUUID(),
    events: EVENTS,
    sid: "sid-1",
  })
  const HEADER = { typ: "logout+jwt" }

  async function send(claims: Record<string, unknown>, header: Record<string, unknown> = HEADER, browser = open()) {
    const present = Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined))
    const token = await provider.sign(present, header)
    return { browser, response: await post(browser, new URLSearchParams({ logout_token: token })) }
  }
  /** From a server: without any browser's headers. */
  const post = (browser: Browser, body: BodyInit, headers: Record<string, string> = {}) =>
    browser.call(LOGOUT, {
      method: "POST",
      body,
      headers: { accept: "*/*", "sec-fetch-mode": "", cookie: "", ...headers },
    })

  it("ends the sessions of the provider's session, and no others", async ({ expect }) => {
    const [first, second, other] = [
      await logIn(open(), "alice", "sid-two"),
      await logIn(open(), "alice", "sid-two"),
      await logIn(open(), "alice", "sid-other"),
    ]
    const { response, browser } = await send({ ...honest(), sid: "sid-two" })
    expect([response.status, response.headers.get("cache-control")]).toEqual([200, "no-store"])
    const ended = browser.revoked.map(({ target }) => (target.kind === "session" ? target.session : ""))
    expect(ended.sort()).toEqual([first, second].sort())
    expect([await isStored(first), await isStored(second), await isStored(other)]).toEqual([false, false, true])
  })

  it("ends all sessions of a subject that it names alone", async ({ expect }) => {
    const [first, second, other] = [
      await logIn(open(), "carol", "sid-1"),
      await logIn(open(), "carol", "sid-2"),
      await logIn(open(), "dave", "sid-3"),
    ]
    await send({ ...honest(), sid: undefined, sub: "carol" })
    expect([await isStored(first), await isStored(second), await isStored(other)]).toEqual([false, false, true])
  })

  it("ends a session that the store does not list yet", async ({ expect }) => {
    const lagging = {
      ...SESSIONS,
      get: SESSIONS.get.bind(SESSIONS),
      put: SESSIONS.put.bind(SESSIONS),
      delete: SESSIONS.delete.bind(SESSIONS),
      list: async () => ({ keys: [], list_complete: true }),
    }
    const handle = await logIn(open(), "erin", "sid-lag")
    const { browser } = await send({ ...honest(), sid: "sid-lag" }, HEADER, open({ SESSIONS: lagging }))
    expect(browser.revoked).toMatchObject([{ target: { kind: "session", session: handle } }])
  })

  it("that overtakes a login leaves it without a session; one from before does not", async ({ expect }) => {
    provider.claims = { sid: "sid-race" }
    const browser = open()
    const answer = provider.authorize((await browser.call("/login/start")).headers.get("location") ?? "")
    await send({ ...honest(), sid: "sid-race" })
    const response = await browser.call(`/login/callback?${answer}`)
    expect([response.status, browser.cookies.has(SESSION_COOKIE)]).toEqual([403, false])
    expect(await logIn(browser, "alice", "sid-race")).not.toBe("")
  })

  it("is good once", async ({ expect }) => {
    const claims = honest()
    expect((await send(claims)).response.status).toBe(200)
    const again = (await send(claims)).response
    expect([again.status, await again.json()]).toEqual([
      400,
      expect.objectContaining({ code: "login.logout-token-invalid" }),
    ])
  })

  it("is good once until the last moment of the tolerated skew, also when that passes while it is looked at", async ({
    expect,
  }) => {
    const { LOGINS } = bound as unknown as { readonly LOGINS: D1Database }
    const claims = honest()
    let nowMs = (claims.exp + 60) * 1000 - 1
    const clock = vi.spyOn(Date, "now").mockImplementation(() => nowMs)
    try {
      expect((await send({ ...claims, iat: nowS() })).response.status).toBe(200)
      expect((await send({ ...claims, iat: nowS() })).response.status).toBe(400)
      const prepare = (query: string) => {
        if (query.startsWith("DELETE FROM logout_tokens")) nowMs += 1
        return LOGINS.prepare(query)
      }
      const slow = open({ LOGINS: { prepare, batch: LOGINS.batch.bind(LOGINS) } })
      expect((await send({ ...claims, iat: nowS() }, HEADER, slow)).response.status).toBe(400)
      expect(nowMs).toBe((claims.exp + 60) * 1000)
    } finally {
      clock.mockRestore()
    }
  })

  it("may come again when it could not be acted on", async ({ expect }) => {
    const claims = honest()
    await logIn(open())
    const browser = open()
    browser.refusesToRevoke = true
    expect((await send(claims, HEADER, browser)).response.status).toBe(503)
    expect((await send(claims)).response.status).toBe(200)
  })

  it("is believed with a type of plain JWT, and with one audience as a list", async ({ expect }) => {
    expect((await send(honest(), { typ: "JWT" })).response.status).toBe(200)
    expect((await send({ ...honest(), aud: ["sallyport"] }, {})).response.status).toBe(200)
  })

  const wrong: Record<string, () => [Record<string, unknown>, Record<string, unknown>?]> = {
    "a nonce": () => [{ nonce: "x" }],
    "a nonce that is null": () => [{ nonce: null }],
    "no event": () => [{ events: undefined }],
    "another event": () => [{ events: { "https://other.example": {} } }],
    "an event that is text": () => [{ events: { "http://schemas.openid.net/event/backchannel-logout": "yes" } }],
    "neither subject nor session": () => [{ sid: undefined }],
    "a session that is a number": () => [{ sid: 7 }],
    "another audience": () => [{ aud: "other" }],
    "two audiences": () => [{ aud: ["sallyport", "other"] }],
    "another issuer": () => [{ iss: "https://other.example" }],
    "no id": () => [{ jti: undefined }],
    "no expiry": () => [{ exp: undefined }],
    "an expiry 60 s ago": () => [{ exp: nowS() - 60 }],
    "an expiry in a day": () => [{ exp: nowS() + 86_400 }],
    "no time of issue": () => [{ iat: undefined }],
    "a time of issue 62 s ahead": () => [{ iat: nowS() + 62 }],
    "the type of an access token": () => [{}, { typ: "at+jwt" }],
    "an unknown key": () => [{}, { ...HEADER, kid: "other" }],
  }
  for (const [name, change] of Object.entries(wrong))
    it(`with ${name} ends nothing`, async ({ expect }) => {
      const handle = await logIn(open())
      const [claims, header] = change()
      const { response, browser } = await send({ ...honest(), ...claims }, header)
      expect([response.status, browser.revoked, await isStored(handle)]).toEqual([400, [], true])
    })

  it("is refused when it is no form, too large, twice there, or an id token", async ({ expect }) => {
    const browser = open()
    const token = await provider.sign(honest(), HEADER)
    const idToken = await provider.sign({
      iss: provider.issuer,
      aud: "sallyport",
      sub: "alice",
      iat: nowS(),
      exp: nowS() + 60,
      nonce: "n",
    })
    for (const [body, headers] of [
      [JSON.stringify({ logout_token: token }), { "content-type": "application/json" }],
      [
        new URLSearchParams([
          ["logout_token", token],
          ["logout_token", token],
        ]),
        {},
      ],
      [new URLSearchParams({ logout_token: "x".repeat(70_000) }), {}],
      [new URLSearchParams({ logout_token: idToken }), {}],
      [new URLSearchParams({ logout_token: "a.b.c" }), {}],
      [new URLSearchParams(), {}],
    ] as const)
      expect((await post(browser, body, headers)).status).toBe(400)
  })
})

import { env as bound } from "cloudflare:workers"
import { describe, it, vi } from "vitest"
import { FRESH_LOGIN_COOKIE, hashForKey, SESSION_COOKIE, sessionRecord } from "../../contracts/session.ts"
import { clearedFreshLoginCookie, freshLoginCookie } from "../../kit/fresh-login-cookie.ts"
import { openSession } from "../../kit/session-cookie.ts"
import { type Browser, openBrowser, SESSION_KEYS, settingsFor } from "./testing/call-login.ts"
import { providerPerTest, type TestProvider, testProvider } from "./testing/provider.ts"

const { SESSIONS } = bound as unknown as { readonly SESSIONS: KVNamespace }
const SID = "h".repeat(43)
let provider: TestProvider

providerPerTest((each) => {
  provider = each
})

const nowS = () => Math.floor(Date.now() / 1000)
const open = (vars: Record<string, unknown> = {}) => openBrowser({ vars: { ...settingsFor(provider.issuer), ...vars } })

/** Up to the provider's answer, not yet brought back. */
async function begin(browser: Browser, query = ""): Promise<URLSearchParams> {
  const response = await browser.call(`/login/start${query}`)
  return provider.authorize(response.headers.get("location") ?? "")
}
const back = (browser: Browser, answer: URLSearchParams) => browser.call(`/login/callback?${answer}`)
async function logIn(browser: Browser, query = ""): Promise<Response> {
  return back(browser, await begin(browser, query))
}
const codeOf = async (response: Response) => /(login|auth|route)\.[a-z-]+/.exec(await response.text())?.[0]
const sessions = async () => (await SESSIONS.list({ prefix: "session/" })).keys.length

describe("a login", () => {
  it("asks the provider for a code with PKCE, state and nonce, none of them twice", async ({ expect }) => {
    const browser = open()
    const asked = await Promise.all(
      [1, 2].map(async () => new URL((await browser.call("/login/start")).headers.get("location") ?? "").searchParams),
    )
    expect(Object.fromEntries(asked[0] ?? [])).toEqual({
      response_type: "code",
      client_id: "sallyport",
      redirect_uri: "https://app.procore.com/login/callback",
      scope: "openid profile",
      state: expect.stringMatching(/^[\w-]{43}$/),
      nonce: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: "S256",
    })
    for (const name of ["state", "nonce", "code_challenge"]) expect(asked[0]?.get(name)).not.toBe(asked[1]?.get(name))
  })

  it("ends with a session on which cookie, record and indexes agree", async ({ expect }) => {
    provider.claims = { company_id: "100", scope: "projects:read b", acr: "one", sid: "idp-session", auth_time: nowS() }
    const browser = open()
    const response = await logIn(browser, "?return_to=/webclients/projects/%3Fa=b")
    expect([response.status, response.headers.get("location")]).toEqual([303, "/webclients/projects/?a=b"])
    const opened = await openSession(browser.cookies.get(SESSION_COOKIE) ?? "", SESSION_KEYS)
    const seal = { idp: "example", subject: "alice", company: "100", scopes: ["projects:read", "b"], level: 1 }
    expect(opened?.seal).toMatchObject({ ...seal, idleS: 7200 })
    const record = sessionRecord.parse(await SESSIONS.get(`session/${opened?.handle}`, "json"))
    expect(record).toMatchObject({ ...opened?.seal, handle: opened?.handle, idpSession: "idp-session" })
    expect(record.device).toEqual({ userAgent: "", ip: "203.0.113.7", country: "GB" })
    expect(await SESSIONS.get(`seen/${opened?.handle}`)).toBe(String(record.createdAtMs))
    for (const [kind, parts] of [
      ["subject", ["example", "alice"]],
      ["idp-session", ["example", "idp-session"]],
    ] as const) {
      const { keys } = await SESSIONS.list({ prefix: `${kind}/${await hashForKey(parts)}/` })
      expect(keys.map(({ name }) => name.split("/").at(-1))).toContain(opened?.handle)
    }
    // The id itself is in the cookie alone.
    expect(JSON.stringify(record)).not.toContain(browser.cookies.get(SESSION_COOKIE)?.split(".")[0])
  })

  it("sends no cookie before the record is written, and none at all when it cannot be", async ({ expect }) => {
    const broken = { ...SESSIONS, put: () => Promise.reject(new Error("KV is down")) }
    const browser = open({ SESSIONS: broken })
    const response = await logIn(browser)
    expect([response.status, response.headers.get("retry-after"), await codeOf(response)]).toEqual([
      503,
      "5",
      "login.store-unavailable",
    ])
    expect(browser.cookies.has(SESSION_COOKIE)).toBe(false)
  })

  it("ends the session that the browser had, by the passport's word", async ({ expect }) => {
    const browser = open()
    const answer = await begin(browser)
    await browser.call(
      `/login/callback?${answer}`,
      {},
      { claims: { kind: "user", sub: "bob", idp: "example", sid: SID } },
    )
    expect(browser.revoked).toMatchObject([{ target: { kind: "session", session: SID } }])
  })

  it("begins no session while the old one cannot be revoked", async ({ expect }) => {
    const browser = open()
    const answer = await begin(browser)
    browser.refusesToRevoke = true
    const before = await sessions()
    const response = await browser.call(`/login/callback?${answer}`, {}, { claims: { sid: SID } })
    expect([response.status, await codeOf(response), await sessions()]).toEqual([503, undefined, before])
  })

  for (const wanted of ["//evil.example", "https://evil.example/", "/\\evil.example", "/login/start", "/a%2fb"])
    it(`does not return to ${wanted}`, async ({ expect }) => {
      expect((await logIn(open(), `?return_to=${encodeURIComponent(wanted)}`)).headers.get("location")).toBe("/")
    })

  it("is bound to the browser that began it, and is left to that one", async ({ expect }) => {
    const [alice, mallory] = [open(), open()]
    const answer = await begin(alice)
    await begin(mallory)
    expect(await codeOf(await back(mallory, answer))).toBe("login.state-unknown")
    expect((await back(alice, answer)).status).toBe(303)
  })

  it("is good once: of two callbacks at the same time one makes a session", async ({ expect }) => {
    const browser = open()
    const answer = await begin(browser)
    const before = await sessions()
    const statuses = (await Promise.all([1, 2, 3, 4].map(() => back(browser, answer)))).map(({ status }) => status)
    expect(statuses.sort()).toEqual([303, 400, 400, 400])
    expect((await sessions()) - before).toBe(1)
    expect(provider.calls.filter(({ url }) => url.endsWith("/token"))).toHaveLength(1)
  })

  it("is good for ten minutes and no longer", async ({ expect }) => {
    const browser = open()
    const [early, late] = [await begin(browser), await begin(browser)]
    const clock = vi.spyOn(Date, "now")
    const real = Date.now()
    clock.mockImplementation(() => real + 599_000)
    // The provider's clock is the same one.
    expect((await back(browser, early)).status).toBe(303)
    clock.mockImplementation(() => real + 601_000)
    expect(await codeOf(await back(browser, late))).toBe("login.state-unknown")
  })

  for (const [name, cookie] of [
    ["no cookie", ""],
    ["two cookies of the name", "__Host-sallyport-login=SECRET; __Host-sallyport-login=SECRET"],
    ["a look-alike by case", "__host-sallyport-login=SECRET"],
    ["a look-alike by a no-break space", "\u00a0__Host-sallyport-login=SECRET"],
    ["a shorter name", "__Host-sallyport-logi=SECRET"],
    ["a longer name", "__Host-sallyport-login2=SECRET"],
  ] as const)
    it(`is not finished with ${name}`, async ({ expect }) => {
      const browser = open()
      const answer = await begin(browser)
      const text = cookie.replaceAll("SECRET", browser.cookies.get("__Host-sallyport-login") ?? "")
      const response = await browser.call(`/login/callback?${answer}`, {
        headers: { cookie: encodeURI(text).replaceAll("%20", " ") },
      })
      expect(await codeOf(response)).toBe("login.state-unknown")
    })

  it("of several tabs of one browser is finished in each", async ({ expect }) => {
    const browser = open()
    const answers = [await begin(browser), await begin(browser), await begin(browser)]
    for (const answer of answers) expect((await back(browser, answer)).status).toBe(303)
  })

  it("forgets the oldest of a client that begins hundreds", async ({ expect }) => {
    const browser = open()
    const first = await begin(browser)
    const second = await begin(browser)
    for (let more = 0; more < 199; more++) await browser.call("/login/start")
    expect(await codeOf(await back(browser, first))).toBe("login.state-unknown")
    expect((await back(browser, second)).status).toBe(303)
  })
})

describe("settings", () => {
  for (const [name, vars] of [
    ["sessions too short for the store to keep", { SESSION_LIFETIME_S: "119" }],
    ["a public origin with more than an origin", { PUBLIC_ORIGIN: "https://app.example.com/" }],
    ["a public origin that is no web address", { PUBLIC_ORIGIN: "mailto:a" }],
    ["no providers", { PROVIDERS: "" }],
    ["no length of a session", { SESSION_LIFETIME_S: "" }],
    ["no time of idleness", { SESSION_IDLE_S: " " }],
    ["no key to seal sessions with", { SESSION_KEYS: "" }],
    ["a key that is too short to seal sessions with", { SESSION_KEYS: "c2hvcnQ" }],
    ["no key to seal sessions with at all", { SESSION_KEYS: undefined }],
    [
      "an address in capitals, which nobody could log in by",
      { PIN_ADDRESSES: JSON.stringify({ "Alice@example.com": { idp: "example", subject: "alice" } }) },
    ],
  ] as const)
    it(`with ${name} let nobody begin`, async ({ expect }) => {
      expect(await codeOf(await open(vars).call("/login/start"))).toBe("login.not-configured")
    })

  it("with the shortest sessions, and a public origin, let people in", async ({ expect }) => {
    expect((await logIn(open({ SESSION_LIFETIME_S: "120", PUBLIC_ORIGIN: "https://app.example.com" }))).status).toBe(
      303,
    )
  })
})

describe("step-up", () => {
  it("asks for a level by the provider's own names, least first, and for a fresh proof", async ({ expect }) => {
    const asked = async (query: string) =>
      new URL((await open().call(`/login/start?${query}`)).headers.get("location") ?? "").searchParams
    const level = await asked("level=1")
    expect([level.get("acr_values"), level.get("max_age"), level.get("prompt")]).toEqual(["one two", null, null])
    const fresh = await asked("level=2&max_age=0")
    expect([fresh.get("acr_values"), fresh.get("max_age"), fresh.get("prompt")]).toEqual(["two", "0", "login"])
    expect((await asked("max_age=60")).get("prompt")).toBeNull()
  })

  it("is refused at once where the provider has no such level", async ({ expect }) => {
    expect(await codeOf(await open().call("/login/start?level=3"))).toBe("login.level-not-reached")
  })

  for (const [acr, status] of [
    ["two", 303],
    ["one", 403],
    ["TWO", 403],
    [undefined, 403],
    ["constructor", 403],
  ] as const)
    it(`to level 2 ${status === 303 ? "succeeds" : "fails"} with acr ${acr}`, async ({ expect }) => {
      provider.claims = { acr }
      const browser = open()
      expect((await logIn(browser, "?level=2")).status).toBe(status)
      expect(browser.cookies.has(SESSION_COOKIE)).toBe(status === 303)
    })

  for (const [age, status] of [
    [30, 303],
    [119, 303],
    [125, 403],
    [undefined, 403],
  ] as const)
    it(`with max_age 60 ${status === 303 ? "succeeds" : "fails"} for a proof ${age} s old`, async ({ expect }) => {
      provider.claims = { auth_time: age === undefined ? undefined : nowS() - age }
      expect((await logIn(open(), "?max_age=60")).status).toBe(status)
    })

  it("asks for a fresh proof in a browser whose session was revoked, until somebody has given one", async ({
    expect,
  }) => {
    const browser = open()
    const askedFor = async (query: string) => {
      const location = (await browser.call(`/login/start${query}`)).headers.get("location") ?? ""
      return new URL(location).searchParams.get("max_age")
    }
    const [memory = ""] = freshLoginCookie().split(";")
    const [name = "", value = ""] = memory.split("=")
    for (const near of [`${name}er`, name.toLowerCase()]) browser.cookies.set(near, value)
    expect(await askedFor("")).toBeNull()
    browser.cookies.set(name, value)
    expect([await askedFor(""), await askedFor("?max_age=300")]).toEqual(["0", "0"])
    provider.claims = { auth_time: nowS() - 300 }
    expect((await logIn(browser)).status).toBe(403)
    expect([await askedFor(""), browser.cookies.has(name)]).toEqual(["0", true])
    provider.claims = { auth_time: nowS() }
    expect((await logIn(browser)).status).toBe(303)
    expect([await askedFor(""), browser.cookies.has(name)]).toEqual([null, false])
    expect(browser.setCookies).toContain(clearedFreshLoginCookie())
  })

  for (const [name, authTime, why] of [
    ["sends no time of it", () => undefined, "no auth_time, though max_age was asked"],
    ["answers with an old one", () => nowS() - 300, "auth_time is older than max_age"],
  ] as const)
    it(`for which a fresh proof is asked of a provider that ${name} says what is wrong and what to do`, async ({
      expect,
    }) => {
      const log = vi.spyOn(console, "log")
      const browser = open()
      browser.cookies.set(FRESH_LOGIN_COOKIE, "1")
      provider.claims = { auth_time: authTime() }
      const refused = await logIn(browser)
      const text = await refused.text()
      expect([refused.status, browser.cookies.has(SESSION_COOKIE)]).toEqual([403, false])
      expect(text).toContain("login.level-not-reached")
      expect(text).toMatch(/does not say that you have just proved.*Log out there.*ten minutes.*request id/)
      // For the operators, by the request id that the page shows.
      expect(log.mock.calls.flat().join("\n")).toContain(`"why":"${why}"`)
      // When the browser has forgotten it, the provider's word counts again, and the revocation decides by its age.
      browser.cookies.delete(FRESH_LOGIN_COOKIE)
      expect((await logIn(browser)).status).toBe(303)
    })

  it("tells no want of a fresh proof to whoever sends a token that is not the provider's", async ({ expect }) => {
    const other = await testProvider()
    provider.forge = (token) => other.sign(JSON.parse(atob(token.split(".")[1] ?? "")))
    expect(await codeOf(await logIn(open(), "?max_age=0"))).toBe("login.answer-invalid")
  })

  it("takes no cookie from a browser that has none to give", async ({ expect }) => {
    const browser = open()
    await logIn(browser)
    expect(browser.setCookies).not.toContain(clearedFreshLoginCookie())
  })

  it("counts a proof asked for with max_age 0 from the beginning of the login, to the millisecond", async ({
    expect,
  }) => {
    const browser = open()
    const before = Date.now()
    const answer = await begin(browser, "?max_age=0")
    provider.claims = { auth_time: Math.floor(before / 1000) }
    await back(browser, answer)
    const opened = await openSession(browser.cookies.get(SESSION_COOKIE) ?? "", SESSION_KEYS)
    expect(opened?.seal.authenticatedAtMs).toBeGreaterThanOrEqual(before)
  })

  for (const query of [
    "level=4",
    "level=-1",
    "level=1.0",
    "level=01",
    "level=1&level=2",
    "max_age=",
    "max_age=1e3",
    "idp=other",
  ])
    it(`is refused for ${query}`, async ({ expect }) => {
      expect(await codeOf(await open().call(`/login/start?${query}`))).toBe("login.request-invalid")
    })
})

describe("the provider's answer", () => {
  const wrongClaims: Record<string, () => Record<string, unknown>> = {
    "another issuer": () => ({ iss: "https://other.example" }),
    "the issuer with a slash more": () => ({ iss: `${provider.issuer}/` }),
    "no issuer": () => ({ iss: undefined }),
    "another audience": () => ({ aud: "other" }),
    "an audience more": () => ({ aud: ["sallyport", "other"], azp: "sallyport" }),
    "no audience": () => ({ aud: undefined }),
    "another authorized party": () => ({ azp: "other" }),
    "another nonce": () => ({ nonce: "other" }),
    "no nonce": () => ({ nonce: undefined }),
    "no subject": () => ({ sub: undefined }),
    "an empty subject": () => ({ sub: "" }),
    "a subject with a line break": () => ({ sub: "a\nb" }),
    "a subject that is a number": () => ({ sub: 7 }),
    "a subject of 501 characters": () => ({ sub: "a".repeat(501) }),
    "no expiry": () => ({ exp: undefined }),
    "an expiry 60 s ago": () => ({ exp: nowS() - 60 }),
    "an expiry as text": () => ({ exp: String(nowS() + 60) }),
    "an expiry with a fraction": () => ({ exp: nowS() + 60.5 }),
    "no time of issue": () => ({ iat: undefined }),
    "a time of issue 62 s ahead": () => ({ iat: nowS() + 62 }),
    "a time of issue before the login began": () => ({ iat: nowS() - 62 }),
    "a beginning 62 s ahead": () => ({ nbf: nowS() + 62 }),
    "a proof 62 s ahead": () => ({ auth_time: nowS() + 62 }),
    "another access token's hash": () => ({ at_hash: "A".repeat(22) }),
    "a company that is none": () => ({ company_id: "12a" }),
    "a company as a number": () => ({ company_id: 100 }),
    "scopes that are none": () => ({ scope: 'a "b"' }),
    "a sid that is no text": () => ({ sid: 7 }),
  }
  for (const [name, claims] of Object.entries(wrongClaims))
    it(`with ${name} makes no session`, async ({ expect }) => {
      const browser = open()
      const answer = await begin(browser)
      provider.claims = claims()
      const before = await sessions()
      const response = await back(browser, answer)
      expect([response.status, await codeOf(response)]).toEqual([403, "login.answer-invalid"])
      expect([browser.cookies.has(SESSION_COOKIE), await sessions()]).toEqual([false, before])
    })

  const rightClaims: Record<string, () => Record<string, unknown>> = {
    "the audience as a list of one": () => ({ aud: ["sallyport"] }),
    "itself as authorized party": () => ({ azp: "sallyport" }),
    "an expiry 55 s ago": () => ({ exp: nowS() - 55 }),
    "a time of issue 55 s ahead": () => ({ iat: nowS() + 55 }),
    "a time of issue 55 s before the login began": () => ({ iat: nowS() - 55 }),
    "scopes as a list": () => ({ scope: ["a", "b"] }),
    "the access token's hash": () => ({ at_hash: provider.accessTokenHash }),
    "no company and no scopes": () => ({ company_id: null, scope: null }),
  }
  for (const [name, claims] of Object.entries(rightClaims))
    it(`with ${name} makes one`, async ({ expect }) => {
      provider.claims = claims()
      expect((await logIn(open())).status).toBe(303)
    })

  const wrongHeaders: Record<string, Record<string, unknown>> = {
    "the type of an access token": { typ: "at+jwt" },
    "the type of a logout token": { typ: "logout+jwt" },
    "a key of its own": { jwk: {} },
    "the address of a key": { jku: "https://evil.example/jwks" },
    "an unknown key": { kid: "other" },
  }
  for (const [name, header] of Object.entries(wrongHeaders))
    it(`whose token names ${name} makes no session`, async ({ expect }) => {
      provider.header = header
      expect(await codeOf(await logIn(open()))).toBe("login.answer-invalid")
    })

  for (const header of [{ typ: "JWT" }, { typ: "jwt" }])
    it(`whose token says ${JSON.stringify(header)} makes one`, async ({ expect }) => {
      provider.header = header
      expect((await logIn(open())).status).toBe(303)
    })

  it("with a token that another key signed, that nobody signed, or whose claims were changed makes no session", async ({
    expect,
  }) => {
    const other = await testProvider()
    const browser = open()
    for (const forge of [
      (token: string) => other.sign(JSON.parse(atob(token.split(".")[1] ?? ""))),
      async (token: string) => `${btoa('{"alg":"none"}').replaceAll("=", "")}.${token.split(".")[1]}.`,
      async (token: string) => {
        const [head, , signature] = token.split(".")
        return `${head}.${btoa(JSON.stringify({ sub: "admin" })).replaceAll("=", "")}.${signature}`
      },
      async (token: string) => `${token}=`,
    ]) {
      provider.forge = forge
      expect(await codeOf(await logIn(browser))).toBe("login.answer-invalid")
    }
  })

  for (const [name, change] of Object.entries({
    "another issuer's name": (answer: URLSearchParams) => answer.set("iss", "https://other.example"),
    "no issuer's name though it says that it sends one": (answer: URLSearchParams) => answer.delete("iss"),
    "no code": (answer: URLSearchParams) => answer.delete("code"),
    "two codes": (answer: URLSearchParams) => answer.append("code", "other"),
    "a code that is not its own": (answer: URLSearchParams) => answer.set("code", "other"),
    "an id token in the query": (answer: URLSearchParams) => answer.set("id_token", "a.b.c"),
  }))
    it(`with ${name} makes no session, and costs the login`, async ({ expect }) => {
      const browser = open()
      const answer = await begin(browser)
      const honest = new URLSearchParams(answer)
      change(answer)
      expect(await codeOf(await back(browser, answer))).toBe("login.answer-invalid")
      expect(await codeOf(await back(browser, honest))).toBe("login.state-unknown")
    })

  for (const [error, code] of Object.entries({
    access_denied: "login.denied",
    login_required: "login.denied",
    unmet_authentication_requirements: "login.level-not-reached",
    temporarily_unavailable: "login.provider-unavailable",
    invalid_scope: "login.answer-invalid",
    "<script>": "login.answer-invalid",
  }))
    it(`that is the error ${error} is shown as ${code}, without a word of the provider's`, async ({ expect }) => {
      const browser = open()
      const answer = await begin(browser)
      answer.delete("code")
      answer.set("error", error)
      answer.set("error_description", "<b>canary</b>")
      const response = await back(browser, answer)
      const text = await response.text()
      expect(text).toContain(code)
      expect(text).not.toMatch(/canary|<script/)
    })

  it("is believed with a key that was rotated just before", async ({ expect }) => {
    await logIn(open())
    await provider.rotate()
    expect((await logIn(open())).status).toBe(303)
  })

  it("costs at most one question for keys in half a minute, however many are unknown", async ({ expect }) => {
    await logIn(open())
    provider.header = { kid: "unknown" }
    for (let attempt = 0; attempt < 5; attempt++) await logIn(open())
    expect(provider.calls.filter(({ url }) => url.endsWith("/jwks"))).toHaveLength(2)
  })

  it("of one provider is not taken for another's", async ({ expect }) => {
    const PROVIDERS = JSON.stringify([
      ...JSON.parse(settingsFor(provider.issuer).PROVIDERS),
      { idp: "second", issuer: "https://second.example", clientId: "x", clientAuth: "none", scopes: "openid" },
    ])
    const browser = open({ PROVIDERS })
    const response = await browser.call("/login/start?idp=example")
    const location = response.headers.get("location") ?? ""
    expect(new URL(location).searchParams.get("redirect_uri")).toBe("https://app.procore.com/login/callback/example")
    const answer = provider.authorize(location)
    expect(await codeOf(await browser.call(`/login/callback/second?${answer}`))).toBe("login.answer-invalid")
    expect((await browser.call("/login/start")).status).toBe(200)
  })
})

describe("what leaves", () => {
  it("is the client's secret to the token endpoint alone, and no token to anybody", async ({ expect }) => {
    const log = vi.spyOn(console, "log")
    const browser = open()
    const response = await logIn(browser)
    const [asked] = provider.calls.filter(({ url }) => url.endsWith("/token"))
    expect(asked?.headers.get("authorization")).toBe(`Basic ${btoa("sallyport:secretcanary")}`)
    const wire = [...response.headers].join("\n") + (await response.text()) + log.mock.calls.flat().join("\n")
    expect(wire).not.toMatch(/access-token-canary|secretcanary|code=|eyJ[A-Za-z0-9_-]{20,}\.eyJ/)
    expect(log.mock.calls.flat().join("\n")).toContain('"event":"login"')
    expect(log.mock.calls.flat().join("\n")).not.toContain("alice")
  })

  it("is problem+json for what is no browser, with the same code", async ({ expect }) => {
    const response = await open().call("/login/callback?state=x", { headers: { accept: "application/json" } })
    expect(response.headers.get("content-type")).toBe("application/problem+json")
    expect(await response.json()).toMatchObject({ code: "login.state-unknown", status: 400 })
  })

  it("is a page without a script for a browser, with code and request id", async ({ expect }) => {
    const response = await open().call("/login/callback?state=x", { headers: { "x-request-id": "request-1" } })
    const text = await response.text()
    expect(text).toContain("login.state-unknown")
    expect(text).toContain("request-1")
    expect(text).not.toContain("<script")
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'")
    expect(response.headers.get("cache-control")).toBe("no-store")
  })
})

/** A login as it goes over the wire: the example's identity provider (oidc-provider), the login Worker in its namespace, the dispatcher that takes the session. */
import { readFile } from "node:fs/promises"
import { describe, expect, it } from "vitest"
import { FRESH_LOGIN_COOKIE, SESSION_COOKIE } from "../../contracts/session.ts"
import { LOGIN_IDP } from "../../emulator/example-layout.ts"
import { ECHO_WORKER } from "../../emulator/testing.ts"
import { eventually, expectProblem, load } from "../harness.ts"
import { useLoginPlatform } from "../login-platform.ts"
import { LOGIN_ROUTE, routesWithSession } from "./fixtures/login-routes.ts"
import { Person } from "./fixtures/person.ts"

const { platform, stage } = useLoginPlatform(async (running) => {
  await running.uploadWorker({ source: ECHO_WORKER, script: "echo" })
  await running.api.put("/v1/routes/login", LOGIN_ROUTE)
  for (const [id, route] of Object.entries(routesWithSession("echo"))) await running.api.put(`/v1/routes/${id}`, route)
})
const someone = () => new Person(platform(), stage().browserOrigin)
const ASKS = { accept: "application/json", "sec-fetch-mode": "cors", "sec-fetch-site": "same-origin" }
const sessionOf = (person: Person) => person.get("/.sallyport/session", ASKS)
/** The edge hears of a revocation within its bound; this is the bound. */
const BOUND_MS = 5_000

async function refused(person: Person, path = "/api/who"): Promise<Response> {
  return eventually(BOUND_MS, async () => {
    const response = await person.get(path, ASKS)
    return response.status === 401 ? response : null
  })
}

describe("a person", () => {
  it("logs in at the provider and calls with the session, whose subject the Worker sees", async () => {
    const alice = someone()
    expect((await alice.get("/api/who")).status).toBe(302)
    const landed = await alice.logIn("/api/who?a=1", "alice")
    expect(landed.url).toBe("/api/who?a=1")
    const { passport, headers } = await platform().received(landed.response)
    expect(passport).toMatchObject({ sub: "alice", idp: LOGIN_IDP, kind: "user", company: "100", level: 1 })
    expect(passport.scope).toBe("projects:read")
    // The cookie itself stays at the gateway.
    expect(headers.cookie).toBeUndefined()
    expect(await (await sessionOf(alice)).json()).toMatchObject({
      subject: "alice",
      idp: LOGIN_IDP,
      company: "100",
      level: 1,
    })
  })

  it("has a cookie that no script reads and no other host sets, and nothing else of the gateway's in the way of others", async () => {
    const alice = someone()
    await alice.logIn("/api/who", "alice")
    const [session] = alice.setCookies.filter((cookie) => cookie.startsWith(`${SESSION_COOKIE}=`))
    expect(session).toMatch(
      /^__Host-sallyport-session=[A-Za-z0-9_.-]+; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=43200$/,
    )
    const [login] = alice.setCookies.filter((cookie) => cookie.startsWith("__Host-sallyport-login="))
    expect(login).toMatch(/; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=600$/)
  })

  it("gets a new session id with every login, and the old one ends", async () => {
    const alice = someone()
    await alice.logIn("/api/who", "alice")
    const before = alice.cookies.get(SESSION_COOKIE) ?? ""
    await alice.logIn("/login/start?return_to=/api/who", "alice")
    expect(alice.cookies.get(SESSION_COOKIE)).not.toBe(before)
    const thief = someone()
    thief.cookies.set(SESSION_COOKIE, before)
    expect(await (await refused(thief)).json()).toMatchObject({
      code: expect.stringMatching(/^auth\.(revoked|session-expired)$/),
    })
    expect((await alice.get("/api/who", ASKS)).status).toBe(200)
  })

  it("is sent for a second factor where one is asked for, in a new session", async () => {
    const alice = someone()
    await alice.logIn("/api/who", "alice")
    const before = alice.cookies.get(SESSION_COOKIE)
    const stepUp = await alice.get("/strong/who", ASKS)
    expect([stepUp.status, stepUp.headers.get("www-authenticate")]).toEqual([
      401,
      expect.stringContaining("insufficient_user_authentication"),
    ])
    const landed = await alice.logIn("/strong/who", "alice", { secondFactor: true })
    expect((await platform().received(landed.response)).passport).toMatchObject({ sub: "alice", level: 2 })
    expect(alice.cookies.get(SESSION_COOKIE)).not.toBe(before)
  })

  it("keeps the session that just began when an answer to what was asked with the one before comes late", async () => {
    const alice = someone()
    await alice.logIn("/api/who", "alice")
    const before = alice.cookies.get(SESSION_COOKIE) ?? ""
    await alice.logIn("/strong/who", "alice", { secondFactor: true })
    // What another tab had sent before the browser had the new one.
    const late = someone()
    late.cookies.set(SESSION_COOKIE, before)
    for (const path of ["/api/who", "/open/who", "/.sallyport/session"])
      expect((await refused(late, path)).headers.getSetCookie(), path).toEqual([])
    // Who goes on with the old one loses it at the first page that needs none, and not before.
    expect((await late.get("/api/who")).status).toBe(302)
    expect(late.setCookies).toEqual([])
    expect((await late.get("/open/who")).status).toBe(302)
    expect(late.cookies.has(SESSION_COOKIE)).toBe(false)
    expect((await late.get("/open/who")).status).toBe(200)
    expect((await alice.get("/strong/who", ASKS)).status).toBe(200)
  })

  it("gets no session when the provider is less sure than was asked", async () => {
    const alice = someone()
    const { response, url } = await alice.logIn("/login/start?level=2", "alice")
    expect(url).toContain("/login/callback")
    expect([response.status, await response.text()]).toEqual([403, expect.stringContaining("login.level-not-reached")])
    expect(alice.cookies.has(SESSION_COOKIE)).toBe(false)
  })

  it("who says no at the provider is told so, by a page with the code and the request id", async () => {
    const nobody = someone()
    const { response } = await nobody.logIn("/login/start", "")
    const text = await response.text()
    expect([response.status, response.headers.get("content-type")]).toEqual([403, "text/html; charset=utf-8"])
    expect(text).toContain("login.denied")
    expect(text).toContain(response.headers.get("x-request-id"))
    expect(text).not.toContain("<script")
  })

  it("logs out in one tab and is refused in the other, which holds the same cookie", async () => {
    const alice = someone()
    await alice.logIn("/api/who", "alice")
    const other = someone()
    other.cookies.set(SESSION_COOKIE, alice.cookies.get(SESSION_COOKIE) ?? "")
    const out = await alice.post("/login/logout")
    expect(out.status).toBe(303)
    expect(out.headers.get("location")).toMatch(new RegExp(`^${stage().provider.issuer}/session/end\\?`))
    expect(out.headers.get("location")).not.toContain("id_token_hint")
    expect(alice.cookies.has(SESSION_COOKIE)).toBe(false)
    await refused(other)
  })

  it("whose session was revoked logs in again with a fresh proof, and is not locked out by the cookie", async () => {
    const bob = someone()
    await bob.logIn("/api/who", "bob")
    const { api } = platform()
    const target = { kind: "subject", idp: LOGIN_IDP, subject: "bob" }
    await api.post("/v1/revocations", [{ target, reason: "a test" }])
    await refused(bob)
    const landed = await bob.logIn("/api/who", "bob")
    expect(landed.response.status).toBe(200)
    expect(bob.locations.some((location) => location.includes("max_age=0"))).toBe(true)
  })

  it("whose session was revoked is asked for a fresh proof also by a login that a page open to everybody leads to, once", async () => {
    const bob = someone()
    const logIn = () => bob.logIn("/login/start?return_to=/open/who", "bob")
    await logIn()
    const target = { kind: "subject", idp: LOGIN_IDP, subject: "bob" }
    await platform().api.post("/v1/revocations", [{ target, reason: "a test" }])
    await eventually(BOUND_MS, async () => ((await bob.get("/open/who")).status === 302 ? true : null))
    const asksAtProvider = () => bob.locations.filter((each) => /[?&]client_id=/.test(each))
    const landed = await logIn()
    expect(asksAtProvider().at(-1)).toContain("max_age=0")
    expect((await platform().received(landed.response)).passport).toMatchObject({ sub: "bob", idp: LOGIN_IDP })
    expect((await sessionOf(bob)).status).toBe(200)
    expect(bob.cookies.has(FRESH_LOGIN_COOKIE)).toBe(false)
    await logIn()
    expect(asksAtProvider().at(-1)).not.toContain("max_age")
  })
})

describe("logout", () => {
  it("of another site's page is refused", async () => {
    const alice = someone()
    await alice.logIn("/api/who", "alice")
    await expectProblem(
      await alice.post("/login/logout", {}, { ...ASKS, "sec-fetch-site": "cross-site" }),
      403,
      "auth.cross-site",
    )
    expect((await alice.get("/api/who", ASKS)).status).toBe(200)
  })

  it("by a link asks first", async () => {
    const alice = someone()
    await alice.logIn("/api/who", "alice")
    const page = await alice.get("/login/logout")
    expect([page.status, await page.text()]).toEqual([
      200,
      expect.stringContaining('<form method="post" action="/login/logout">'),
    ])
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'")
    expect((await alice.get("/api/who", ASKS)).status).toBe(200)
  })

  it("at the provider ends the sessions that began there, by its back-channel message", async () => {
    const alice = someone()
    await alice.logIn("/api/who", "alice")
    const { issuer } = stage().provider
    const page = await (await alice.provider(`${issuer}/session/end?client_id=sallyport-login`)).text()
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(page)?.[1] ?? ""
    const body = new URLSearchParams({ xsrf, logout: "yes" })
    await alice.provider(`${issuer}/session/end/confirm`, { method: "POST", body })
    await refused(alice)
    expect(stage().provider.events.filter((event) => event.startsWith("backchannel"))).toEqual([
      "backchannel.success: ",
    ])
  })
})

describe("a PIN by e-mail", () => {
  const address = "bob@example.com"

  it("lets in whom the settings name, once", async () => {
    const bob = someone()
    const asked = await bob.post("/login/pin", { email: address, return_to: "/api/who" })
    const page = await asked.text()
    const id = /name="id" value="([^"]+)"/.exec(page)?.[1] ?? ""
    const mail = await eventually(5_000, async () => stage().mailbox.mails[0] ?? null)
    expect(mail.to).toBe(address)
    const pin = /\d{8}/.exec(mail.text)?.[0] ?? ""
    const wrong = await bob.post("/login/pin/verify", { id, pin: pin === "000000" ? "000001" : "000000" })
    expect([wrong.status, await wrong.text()]).toEqual([403, expect.stringContaining("login.pin-wrong")])
    const right = await bob.post("/login/pin/verify", { id, pin })
    expect([right.status, right.headers.get("location")]).toEqual([303, "/api/who"])
    const { passport } = await platform().received(await bob.get("/api/who"))
    expect(passport).toMatchObject({ sub: "bob", idp: LOGIN_IDP, level: 1, company: "100" })
    expect((await bob.post("/login/pin/verify", { id, pin })).status).toBe(403)
  })

  it("answers an unknown address as it answers a known one, and sends nothing", async () => {
    const [known, unknown] = [someone(), someone()]
    const before = stage().mailbox.mails.length
    const texts = await Promise.all([
      known.post("/login/pin", { email: address }).then((response) => response.text()),
      unknown.post("/login/pin", { email: "mallory@example.com" }).then((response) => response.text()),
    ])
    const [one, two] = texts.map((text) => text.replace(/name="id" value="[^"]+"/, ""))
    expect(one).toBe(two)
    await eventually(5_000, async () => (stage().mailbox.mails.length > before ? true : null))
    expect(stage().mailbox.mails.map(({ to }) => to)).not.toContain("mallory@example.com")
  })
})

it("leaves no code, token, PIN or session id in logs, trips and egress records", async () => {
  const alice = someone()
  await alice.logIn("/api/who", "alice")
  const code = alice.locations
    .map((location) => new URL(location, "http://x.invalid").searchParams.get("code"))
    .find((each) => each !== null)
  const [id = "", seal = ""] = (alice.cookies.get(SESSION_COOKIE) ?? "").split(".")
  const written = [
    await readFile(platform().logFile, "utf8"),
    JSON.stringify(await platform().trips({ limit: 1000 })),
    JSON.stringify(await platform().egress({ limit: 1000 })),
  ].join("\n")
  expect(written).toContain('\\"event\\":\\"login\\"'.replaceAll("\\", ""))
  for (const secret of [
    code ?? "",
    id,
    seal,
    ...stage().mailbox.mails.map(({ text }) => /\d{8}/.exec(text)?.[0] ?? "none"),
  ]) {
    expect(secret.length).toBeGreaterThan(3)
    if (secret.length > 6) expect(written).not.toContain(secret)
  }
})

describe("the login Worker", () => {
  it("goes on when the provider signs with a new key and has forgotten the old one", async () => {
    stage().provider.rotateKeys({ forget: true })
    const alice = someone()
    expect((await alice.logIn("/api/who", "alice")).response.status).toBe(200)
  })

  it("without the grant to begin sessions sets no cookie, and sees none of its own", async () => {
    const { api, waitForConfig } = platform()
    const team = await api.get<{ grants: string[]; egress: string[] }>("/v1/teams/identity")
    const grants = team.grants.filter((each) => each !== "sessions:login")
    const { egress } = team
    await api.put("/v1/teams/identity", { grants, egress })
    await waitForConfig()
    const alice = someone()
    const { response } = await alice.logIn("/login/start", "alice")
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining("login.state-unknown")])
    expect(alice.setCookies).toEqual([])
    await api.put("/v1/teams/identity", { grants: team.grants, egress })
    await waitForConfig()
    expect((await someone().logIn("/api/who", "alice")).response.status).toBe(200)
  })
})

describe("without the provider", () => {
  it("whoever is logged in goes on, and who wants to log in is told when to try again", async () => {
    const alice = someone()
    await alice.logIn("/api/who", "alice")
    await stage().provider.close()
    const statuses = await load(200, 10, () => alice.get("/api/who", ASKS))
    expect(statuses.filter(({ status }) => status !== 200)).toEqual([])

    // What the Worker knows of the provider is a minute old at most; the provider is asked when a code is redeemed.
    const tries = await Promise.all(Array.from({ length: 20 }, () => brokenLogin()))
    expect(tries.filter(({ status }) => status !== 503)).toEqual([])
    for (const { retryAfter } of tries) expect(Number(retryAfter)).toBeGreaterThan(0)
    expect((await alice.get("/api/who", ASKS)).status).toBe(200)
  })

  /** Somebody who began while the provider was there, and comes back with a code. */
  async function brokenLogin() {
    const person = someone()
    const started = await person.get("/login/start")
    const location = started.headers.get("location")
    if (location === null) return { status: started.status, retryAfter: started.headers.get("retry-after") }
    const state = new URL(location).searchParams.get("state") ?? ""
    const answer = new URLSearchParams({ state, code: "code", iss: stage().provider.issuer })
    const ended = await person.get(`/login/callback?${answer}`)
    return { status: ended.status, retryAfter: ended.headers.get("retry-after") }
  }
})

/**
 * What others can make a browser do, and what servers can be made to believe: login CSRF, fixation, tossed cookies, mix-up, replays and races, logout CSRF,
 * and forged logout tokens. Each against the running platform; each beside the honest thing that it resembles.
 */
import { randomUUID } from "node:crypto"
import { beforeEach, describe, expect, it } from "vitest"
import { handleOf, LOGIN_COOKIE_PREFIX, SESSION_COOKIE } from "../../contracts/session.ts"
import { eventually } from "../harness.ts"
import type { Browser, Page, Visit } from "./hostile-provider/browser.ts"
import { forge, forgeHs256, forgeUnsigned, type Json, makeForgeKey } from "./hostile-provider/forge.ts"
import { nowS, type Tenant } from "./hostile-provider/provider.ts"
import {
  APP,
  isCallback,
  isSession,
  logIn,
  SIBLING,
  sessionCookiesIn,
  startUrl,
  useStage,
} from "./hostile-provider/stage.ts"

/** Requests of one browser that come back at once. */
const AT_ONCE = 50
/** Until the edge refuses what was revoked; the feed's own bound is shorter. */
const REVOKED_WITHIN_MS = 6_000
const stage = useStage("corp", "evil")
const corp = () => stage().provider.tenant("corp")
const evil = () => stage().provider.tenant("evil")
const handles = () => stage().store.keys("session/")

beforeEach(() => {
  corp().forget()
  evil().forget()
})

/** A login up to where the provider sends the browser back: the address to come back to, not yet visited. */
async function upToCallback(browser: Browser, tenant: Tenant, start: Readonly<Record<string, string>> = {}) {
  const begun = await browser.visit(startUrl(tenant, start))
  expect(begun.status, begun.text).toBe(302)
  const sentBack = await browser.visit(begun.location ?? "", { from: APP })
  expect(isCallback(sentBack.location ?? "")).toBe(true)
  return { authorizeUrl: new URL(begun.location ?? ""), callbackUrl: new URL(sentBack.location ?? "") }
}

async function expectNoNewSession(work: () => Promise<Page>, status = [400, 401, 403, 404, 405]): Promise<Page> {
  const before = await handles()
  const page = await work()
  expect(await handles()).toEqual(before)
  expect(status).toContain(page.status)
  expect(sessionCookiesIn(page)).toEqual([])
  return page
}

async function loggedIn(browser = stage().browser(), tenant = corp()) {
  const { ended } = await logIn(stage(), browser, tenant)
  expect(ended.location, ended.text).toBe(`${APP}/home`)
  const cookie = (await browser.cookie(APP, SESSION_COOKIE)) ?? ""
  expect(await isSession(stage(), cookie)).toBe(true)
  return { browser, cookie, handle: await handleOf(cookie.split(".")[0] ?? "") }
}

const fromProvider = (): Visit => ({ from: stage().provider.url })

describe("a login that one browser began", () => {
  it("is not finished by a browser that began none (login CSRF)", async () => {
    const { callbackUrl } = await upToCallback(stage().browser(), corp())
    await expectNoNewSession(() => stage().browser().visit(callbackUrl.href, fromProvider()))
    expect(corp().countOf("token")).toBe(0)
  })

  it("is not finished by a browser that began another", async () => {
    const { callbackUrl } = await upToCallback(stage().browser(), corp())
    const victim = stage().browser()
    await upToCallback(victim, corp())
    await expectNoNewSession(() => victim.visit(callbackUrl.href, fromProvider()))
    expect(corp().countOf("token")).toBe(0)
  })

  it("is still there for its own browser after another has tried", async () => {
    const browser = stage().browser()
    const { callbackUrl } = await upToCallback(browser, corp())
    await expectNoNewSession(() => stage().browser().visit(callbackUrl.href, fromProvider()))
    expect((await browser.visit(callbackUrl.href, fromProvider())).location).toBe(`${APP}/home`)
  })

  it("does not take the code of another person's login, though the provider does not check PKCE", async () => {
    corp().scenario = { lax: true, subject: "mallory" }
    const attacker = await upToCallback(stage().browser(), corp())
    const victim = stage().browser()
    const { callbackUrl } = await upToCallback(victim, corp())
    callbackUrl.searchParams.set("code", attacker.callbackUrl.searchParams.get("code") ?? "")
    await expectNoNewSession(() => victim.visit(callbackUrl.href, fromProvider()))
    expect(corp().countOf("token")).toBe(1)
  })

  it("sends a verifier by which a provider refuses another login's code", async () => {
    const attacker = await upToCallback(stage().browser(), corp())
    const victim = stage().browser()
    const { callbackUrl } = await upToCallback(victim, corp())
    callbackUrl.searchParams.set("code", attacker.callbackUrl.searchParams.get("code") ?? "")
    await expectNoNewSession(() => victim.visit(callbackUrl.href, fromProvider()))
  })

  it("is finished once: the same answer again, or its state with a new code, is refused", async () => {
    corp().scenario = { lax: true }
    const browser = stage().browser()
    const { callbackUrl } = await upToCallback(browser, corp())
    expect((await browser.visit(callbackUrl.href, fromProvider())).location).toBe(`${APP}/home`)
    await expectNoNewSession(() => browser.visit(callbackUrl.href, fromProvider()))
    const next = await upToCallback(browser, corp())
    const replayed = new URL(next.callbackUrl)
    replayed.searchParams.set("state", callbackUrl.searchParams.get("state") ?? "")
    await expectNoNewSession(() => browser.visit(replayed.href, fromProvider()))
  })

  it(`makes exactly one session of ${AT_ONCE} answers at the same time, and redeems one code`, async () => {
    for (let round = 0; round < 4; round++) {
      corp().forget()
      corp().scenario = { lax: true }
      const browser = stage().browser()
      const { callbackUrl } = await upToCallback(browser, corp())
      const before = await handles()
      const pages = await Promise.all(
        Array.from({ length: AT_ONCE }, () => browser.visit(callbackUrl.href, fromProvider())),
      )
      expect(pages.filter(({ location }) => location === `${APP}/home`)).toHaveLength(1)
      expect(pages.filter(({ status }) => status >= 500)).toEqual([])
      expect(pages.flatMap(sessionCookiesIn)).toHaveLength(1)
      expect((await handles()).length - before.length).toBe(1)
      expect(corp().countOf("token")).toBe(1)
    }
  })

  it("takes no answer by POST", async () => {
    const browser = stage().browser()
    const { callbackUrl } = await upToCallback(browser, corp())
    const body = callbackUrl.searchParams.toString()
    const cookie = `${LOGIN_COOKIE_PREFIX}=${await browser.cookie(APP, LOGIN_COOKIE_PREFIX)}`
    const bare = `${callbackUrl.origin}${callbackUrl.pathname}`
    for (const from of [stage().provider.url, APP])
      await expectNoNewSession(() => browser.visit(bare, { method: "POST", body, from, cookie }))
    expect(corp().countOf("token")).toBe(0)
  })

  it("takes no answer on another path or hostname than the one that was asked for", async () => {
    const browser = stage().browser()
    const { callbackUrl } = await upToCallback(browser, corp())
    const cookie = `${LOGIN_COOKIE_PREFIX}=${await browser.cookie(APP, LOGIN_COOKIE_PREFIX)}`
    for (const path of ["/login/callback/evil", "/login/callback/", "/login//callback", "/LOGIN/callback"]) {
      if (path === callbackUrl.pathname) continue
      const page = await expectNoNewSession(
        () => browser.visit(`${APP}${path}${callbackUrl.search}`, { ...fromProvider(), cookie }),
        [302, 400, 403, 404],
      )
      // Another route's path is that route's business: it sends a browser without a session to log in.
      if (page.status === 302) expect(page.location).toMatch(/^https:\/\/app\.procore\.com\/login\/start\?/)
    }
    await expectNoNewSession(() =>
      browser.visit(`${SIBLING}${callbackUrl.pathname}${callbackUrl.search}`, { ...fromProvider(), cookie }),
    )
    expect(corp().countOf("token")).toBe(0)
  })
})

describe("the cookie of a login under way", () => {
  const withCookies = async (cookieOf: (own: string, foreign: string) => string) => {
    const attacker = stage().browser()
    const victim = stage().browser()
    const { callbackUrl } = await upToCallback(attacker, corp())
    await upToCallback(victim, corp())
    const [own, foreign] = await Promise.all(
      [victim, attacker].map(async (browser) => (await browser.cookie(APP, LOGIN_COOKIE_PREFIX)) ?? ""),
    )
    return { visit: { ...fromProvider(), cookie: cookieOf(own ?? "", foreign ?? "") }, callbackUrl, victim }
  }

  it.each([
    [
      "stands twice",
      (own: string, foreign: string) => `${LOGIN_COOKIE_PREFIX}=${own}; ${LOGIN_COOKIE_PREFIX}=${foreign}`,
    ],
    [
      "stands twice the other way",
      (own: string, foreign: string) => `${LOGIN_COOKIE_PREFIX}=${foreign}; ${LOGIN_COOKIE_PREFIX}=${own}`,
    ],
    ["is in another case", (_own: string, foreign: string) => `__host-sallyport-login=${foreign}`],
    ["is without its prefix", (_own: string, foreign: string) => `sallyport-login=${foreign}`],
    [
      "has a non-breaking space before its name",
      (_own: string, foreign: string) => `\u00a0${LOGIN_COOKIE_PREFIX}=${foreign}`,
    ],
    ["has a name in quotes", (_own: string, foreign: string) => `"${LOGIN_COOKIE_PREFIX}"=${foreign}`],
    ["has a value in quotes", (_own: string, foreign: string) => `${LOGIN_COOKIE_PREFIX}="${foreign}"`],
    ["has no name", (_own: string, foreign: string) => `=${LOGIN_COOKIE_PREFIX}=${foreign}`],
    ["has a longer name", (_own: string, foreign: string) => `${LOGIN_COOKIE_PREFIX}x=${foreign}`],
    ["has a longer value", (_own: string, foreign: string) => `${LOGIN_COOKIE_PREFIX}=${foreign}x`],
    [
      "hides behind a comma",
      (own: string, foreign: string) => `a=b,${LOGIN_COOKIE_PREFIX}=${foreign}; ${LOGIN_COOKIE_PREFIX}=${own}`,
    ],
  ])("is as none when it %s", async (_what, cookieOf) => {
    const { visit, callbackUrl, victim } = await withCookies(cookieOf)
    // One byte a character on the wire, as an attacker would send it.
    const cookie = Buffer.from(visit.cookie, "utf8").toString("latin1")
    await expectNoNewSession(() => victim.visit(callbackUrl.href, { ...visit, cookie }))
    expect(corp().countOf("token")).toBe(0)
  })

  it("cannot be tossed by a sibling hostname", async () => {
    const attacker = stage().browser()
    const { callbackUrl } = await upToCallback(attacker, corp())
    const planted = await attacker.cookie(APP, LOGIN_COOKIE_PREFIX)
    await stage().platform.uploadWorker({
      script: "tosser",
      source: `export default { fetch: () => new Response("tossed", { headers: [
        ["set-cookie", "${LOGIN_COOKIE_PREFIX}=${planted}; Domain=procore.com; Path=/; Secure"],
        ["set-cookie", "${LOGIN_COOKIE_PREFIX}=${planted}; Path=/; Secure"],
        ["set-cookie", "__host-SALLYPORT-login=${planted}; Domain=procore.com; Path=/; Secure"],
        ["set-cookie", "${SESSION_COOKIE}=x.y.z; Domain=procore.com; Path=/; Secure"],
      ] }) }`,
      route: { hostname: new URL(SIBLING).hostname, path: "/*", auth: "none" },
    })
    const victim = stage().browser()
    expect((await victim.visit(`${SIBLING}/x`)).text).toBe("tossed")
    expect(await victim.jar.getCookies(`${APP}/login/callback`)).toEqual([])
    await expectNoNewSession(() => victim.visit(callbackUrl.href, fromProvider()))
  })

  it("is Secure, HttpOnly, Lax, for the whole host and for no other", async () => {
    const begun = await stage().browser().visit(startUrl(corp()))
    expect(begun.headers.getSetCookie()).toHaveLength(1)
    const [line = ""] = begun.headers.getSetCookie()
    expect(line).toMatch(new RegExp(`^${LOGIN_COOKIE_PREFIX}=`))
    for (const attribute of ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"]) expect(line).toContain(`; ${attribute}`)
    expect(line).not.toMatch(/domain/i)
  })
})

describe("mix-up (RFC 9700 §4.4)", () => {
  /** The victim logs in with the evil provider, which sends it on to the honest one in the evil login's name. */
  async function mixUp(changes: { readonly iss: boolean; readonly challengeOf?: URL }) {
    const honest = corp()
    honest.scenario = {
      lax: true,
      subject: "victim",
      callback: (parameters) => {
        const answer = new URLSearchParams(parameters)
        if (!changes.iss) answer.delete("iss")
        return answer
      },
    }
    const victim = stage().browser()
    const begun = await victim.visit(startUrl(evil()))
    const asked = new URL(begun.location ?? "")
    const sentOn = new URL(`${honest.issuer}/authorize`)
    sentOn.search = asked.search
    sentOn.searchParams.set("client_id", honest.clientId)
    for (const name of ["code_challenge", "nonce"])
      sentOn.searchParams.set(name, (changes.challengeOf ?? asked).searchParams.get(name) ?? "")
    const sentBack = await victim.visit(sentOn.href, fromProvider())
    return { victim, location: new URL(sentBack.location ?? "") }
  }

  it.each([true, false])("makes no session and gives the code to nobody, iss parameter: %s", async (iss) => {
    const { victim, location } = await mixUp({ iss })
    await expectNoNewSession(() => victim.visit(location.href, fromProvider()))
    expect([corp().countOf("token"), evil().countOf("token")]).toEqual([0, 0])
  })

  it("makes no session of an honest provider's answer at the evil one's path", async () => {
    const victim = stage().browser()
    const { callbackUrl } = await upToCallback(victim, corp())
    callbackUrl.pathname = callbackUrl.pathname.replace("corp", "evil")
    await expectNoNewSession(() => victim.visit(callbackUrl.href, fromProvider()))
    expect([corp().countOf("token"), evil().countOf("token")]).toEqual([0, 0])
  })

  it("asks each of several providers to answer at a path of its own, where the honest one would not send a code of another's login", async () => {
    const paths = await Promise.all(
      [corp(), evil()].map(async (tenant) => {
        const begun = await stage().browser().visit(startUrl(tenant))
        return new URL(begun.location ?? "").searchParams.get("redirect_uri")
      }),
    )
    expect(new Set(paths).size).toBe(2)
  })

  it("does not take an ID token that one provider signed for another's login", async () => {
    const [key] = corp().keys
    if (key === undefined) throw new Error("unreachable: a tenant has a key")
    evil().scenario = {
      idToken: (_signed, { claims }) =>
        forge({ alg: "ES256", kid: key.kid }, { ...claims, iss: corp().issuer, aud: corp().clientId }, key),
    }
    await expectNoNewSession(async () => (await logIn(stage(), stage().browser(), evil())).ended)
  })
})

describe("a session", () => {
  it("gets a new id at each login, and the one that the browser had before ends (fixation)", async () => {
    const first = await loggedIn()
    const second = await loggedIn(first.browser)
    expect(second.cookie).not.toBe(first.cookie)
    expect(second.handle).not.toBe(first.handle)
    await eventually(REVOKED_WITHIN_MS, async () => ((await isSession(stage(), first.cookie)) ? null : true))
    expect(await isSession(stage(), second.cookie)).toBe(true)
  })

  it.each(["x.y.z", `${"A".repeat(43)}.e30.${"A".repeat(43)}`])(
    "takes over no id that was planted before, which costs its victim one attempt at most: %s",
    async (planted) => {
      const browser = stage().browser()
      await browser.jar.setCookie(`${SESSION_COOKIE}=${planted}; Secure; Path=/`, APP)
      await browser.visit(startUrl(corp()))
      const { cookie } = await loggedIn(browser)
      expect(cookie).not.toContain(planted)
    },
  )

  it("lies in the store under a hash, with its id nowhere", async () => {
    const { cookie, handle } = await loggedIn()
    const [id = ""] = cookie.split(".")
    const keys = await stage().store.keys("")
    expect(keys).toContain(`session/${handle}`)
    const values = await Promise.all(keys.map((key) => stage().store.get(key)))
    expect([...keys, ...values].filter((text) => text?.includes(id))).toEqual([])
    expect(corp().seen.filter(({ body }) => body.includes(id))).toEqual([])
  })

  it("has a cookie that is Secure, HttpOnly, Lax and for this host alone", async () => {
    const { ended } = await logIn(stage(), stage().browser(), corp())
    const [line = ""] = sessionCookiesIn(ended)
    for (const attribute of ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"]) expect(line).toContain(`; ${attribute}`)
    expect(line).not.toMatch(/domain/i)
  })
})

describe("logging out", () => {
  const LOGOUT = `${APP}/login/logout`
  it("takes effect for the one who does it, with the cookie", async () => {
    const { browser, cookie, handle } = await loggedIn()
    const page = await browser.visit(LOGOUT, { method: "POST", from: APP })
    expect(page.status).toBe(303)
    expect(await browser.cookie(APP, SESSION_COOKIE)).toBeNull()
    expect(await stage().store.get(`session/${handle}`)).toBeNull()
    await eventually(REVOKED_WITHIN_MS, async () => ((await isSession(stage(), cookie)) ? null : true))
  })

  it.each([
    ["another site's form", { method: "POST", from: "https://evil.example" }],
    ["a sibling hostname's form", { method: "POST", from: SIBLING }],
    ["a form without an origin", { method: "POST", headers: { "sec-fetch-site": "none", origin: "null" } }],
    ["a link", { method: "GET", from: "https://evil.example" }],
    ["an own link", { method: "GET", from: APP }],
    [
      "a cross-site POST that says nothing of itself",
      { method: "POST", headers: { "sec-fetch-site": "", origin: "null" } },
    ],
  ] as const)("is not done by %s", async (_what, visit) => {
    const { browser, cookie, handle } = await loggedIn()
    // Sent along, as a browser without SameSite would.
    const page = await browser.visit(LOGOUT, { ...visit, cookie: `${SESSION_COOKIE}=${cookie}` })
    expect(page.status === 303 || page.headers.getSetCookie().some((line) => line.includes(SESSION_COOKIE))).toBe(false)
    expect(await stage().store.get(`session/${handle}`)).not.toBeNull()
    expect(await isSession(stage(), cookie)).toBe(true)
  })
})

describe("a logout token (OpenID Connect Back-Channel Logout §2.6)", () => {
  // Another person each time: what ends by subject ends for all that was proved in that second.
  let who = ""
  let sid = ""
  beforeEach(() => {
    who = `alice-${randomUUID()}`
    sid = `sid-of-${who}`
    corp().scenario = { subject: who }
    evil().scenario = { subject: who }
  })

  const ENDPOINT = `${APP}/login/backchannel-logout`
  const FORM = "application/x-www-form-urlencoded"
  const EVENT = "http://schemas.openid.net/event/backchannel-logout"

  const post = async (body: string, type = FORM, at = ENDPOINT) => {
    const response = await stage().platform.fetch(at, { method: "POST", body, headers: { "content-type": type } })
    return { status: response.status, text: await response.text() }
  }
  const postToken = (token: string) => post(String(new URLSearchParams({ logout_token: token })))
  const keyOf = (tenant: Tenant) => tenant.keys[0] ?? makeForgeKey("none")
  const sign = (payload: Json, header: Record<string, unknown> = {}, tenant = corp(), key = keyOf(tenant)) =>
    forge({ alg: "ES256", kid: keyOf(tenant).kid, typ: "logout+jwt", ...header }, payload, key)
  const aboutAlice = () => corp().logoutClaims({ sub: who, sid })

  it.each([
    ["by sub", () => ({ sub: who })],
    ["by sid", () => ({ sid })],
    ["by both", () => ({ sub: who, sid })],
  ])("ends what it names, %s, once", async (_what, about) => {
    const { cookie, handle } = await loggedIn()
    const token = sign(corp().logoutClaims(about()))
    expect((await postToken(token)).status).toBe(200)
    expect(await stage().store.get(`session/${handle}`)).toBeNull()
    await eventually(REVOKED_WITHIN_MS, async () => ((await isSession(stage(), cookie)) ? null : true))
    // What ended by subject ended for all that was proved until now, and providers tell time in seconds.
    const endedS = nowS()
    await eventually(2_000, async () => (nowS() > endedS ? true : null))
    const next = await loggedIn()
    expect((await postToken(token)).status).toBe(400)
    expect(await isSession(stage(), next.cookie)).toBe(true)
  })

  it("ends the sessions of its subject that the store does not list yet", async () => {
    const { cookie, handle } = await loggedIn()
    for (const key of await stage().store.keys("subject/")) if (key.endsWith(handle)) await stage().store.remove(key)
    expect((await postToken(sign(corp().logoutClaims({ sub: who })))).status).toBe(200)
    await eventually(REVOKED_WITHIN_MS, async () => ((await isSession(stage(), cookie)) ? null : true))
  })

  it(`is taken once of ${AT_ONCE} times at once`, async () => {
    await loggedIn()
    const token = sign(aboutAlice())
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => postToken(token)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(answers.filter(({ status }) => status !== 200 && status !== 400)).toEqual([])
  })

  it.each([
    ["its subject", () => ({ sub: who })],
    ["its session at the provider", () => ({ sid })],
  ])("that comes for %s while a login is under way leaves no session behind", async (_what, about) => {
    let redeemed = () => {}
    const isRedeemed = new Promise<void>((resolve) => {
      redeemed = resolve
    })
    corp().scenario = {
      subject: who,
      token: (honest) => {
        redeemed()
        return { headers: { "content-type": "application/json" }, body: JSON.stringify(honest), afterMs: 700 }
      },
    }
    const browser = stage().browser()
    const login = logIn(stage(), browser, corp())
    await isRedeemed
    expect((await postToken(sign(corp().logoutClaims(about())))).status).toBe(200)
    const { ended } = await login
    const cookie = sessionCookiesIn(ended).length === 0 ? null : await browser.cookie(APP, SESSION_COOKIE)
    await eventually(REVOKED_WITHIN_MS, async () => ((await isSession(stage(), cookie)) ? null : true))
  })

  const without =
    (...names: string[]) =>
    () =>
      Object.fromEntries(Object.entries(aboutAlice()).filter(([name]) => !names.includes(name)))
  const lies: readonly (readonly [string, () => string])[] = [
    ["oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce", () => sign({ ...aboutAlice(), nonce: "n" })],
    ["oidcc-client-test-rp-backchannel-rpinitlogout-no-event", () => sign(without("events")())],
    [
      "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event",
      () => sign({ ...aboutAlice(), events: { "urn:x": {} } }),
    ],
    ["events as a list", () => sign({ ...aboutAlice(), events: [EVENT] })],
    ["the event as text", () => sign({ ...aboutAlice(), events: { [EVENT]: "x" } })],
    [
      "the event on the prototype",
      () =>
        sign(
          JSON.stringify(aboutAlice())
            .replace(`"events":{`, `"events":{"__proto__":{"${EVENT}":{}},"x`)
            .replace(`"x"${EVENT}`, `"x`),
        ),
    ],
    [
      "oidcc-client-test-rp-backchannel-rpinitlogout-alg-none",
      () => forgeUnsigned({ alg: "none", typ: "logout+jwt" }, aboutAlice()),
    ],
    [
      "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg",
      () => forgeHs256({ alg: "HS256" }, aboutAlice(), corp().clientSecret),
    ],
    ["signed by a stranger", () => sign(aboutAlice(), {}, corp(), makeForgeKey("stranger"))],
    ["signed by another provider of ours", () => sign(aboutAlice(), { kid: keyOf(evil()).kid }, corp(), keyOf(evil()))],
    ["oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud", () => sign({ ...aboutAlice(), aud: "another" })],
    ["several aud", () => sign({ ...aboutAlice(), aud: [corp().clientId, "another"] })],
    [
      "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-iss",
      () => sign({ ...aboutAlice(), iss: "https://evil.example" }),
    ],
    ["iss of another provider of ours", () => sign({ ...aboutAlice(), iss: evil().issuer, aud: evil().clientId })],
    ["neither sub nor sid", () => sign(without("sub", "sid")())],
    ["sub a number", () => sign({ ...without("sid")(), sub: 1 })],
    ["sid a list", () => sign({ ...without("sub")(), sid: [sid] })],
    ["no iat", () => sign(without("iat")())],
    ["iat in the future", () => sign({ ...aboutAlice(), iat: nowS() + 3_600, exp: nowS() + 3_700 })],
    ["no jti", () => sign(without("jti")())],
    ["no exp", () => sign(without("exp")())],
    ["exp past", () => sign({ ...aboutAlice(), iat: nowS() - 600, exp: nowS() - 300 })],
    ["exp in ten years", () => sign({ ...aboutAlice(), exp: nowS() + 315_360_000 })],
    ["the type of an access token", () => sign(aboutAlice(), { typ: "at+jwt" })],
    ["an unknown crit", () => sign(aboutAlice(), { crit: ["x"], x: 1 })],
    ["a key of its own", () => sign(aboutAlice(), { jwk: makeForgeKey("own").publicJwk })],
    [
      "an ID token",
      () =>
        sign(
          {
            iss: corp().issuer,
            aud: corp().clientId,
            sub: who,
            sid,
            iat: nowS(),
            exp: nowS() + 300,
            nonce: "n",
            jti: randomUUID(),
          },
          { typ: undefined },
        ),
    ],
    ["no token at all", () => ""],
    ["half a token", () => sign(aboutAlice()).slice(0, 60)],
  ]
  it("is refused for each lie, and the session that it names goes on", async () => {
    const { cookie, handle } = await loggedIn()
    const believed: string[] = []
    for (const [what, make] of lies) {
      const { status, text } = await postToken(make())
      if (status !== 400 || !text.includes("login.logout-token-invalid")) believed.push(`${what}: ${status}`)
    }
    expect(believed).toEqual([])
    expect(await stage().store.get(`session/${handle}`)).not.toBeNull()
    expect(await isSession(stage(), cookie)).toBe(true)
    process.stderr.write(`Logout tokens: ${lies.length} lies refused\n`)
  })

  it("is taken once in a form, and from nowhere else", async () => {
    const { cookie } = await loggedIn()
    const token = sign(aboutAlice())
    const form = String(new URLSearchParams({ logout_token: token }))
    const answers = [
      await post(`${form}&${form}`),
      await post("", FORM, `${ENDPOINT}?${form}`),
      await post(JSON.stringify({ logout_token: token }), "application/json"),
      await post(form, "text/plain"),
      await post(`x=${"x".repeat(200_000)}&${form}`),
      await post(String(new URLSearchParams({ id_token: token }))),
    ]
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 400))
    expect(await isSession(stage(), cookie)).toBe(true)
  })

  it("of one provider does nothing to another's sessions of the same names", async () => {
    const { cookie } = await loggedIn()
    const claims = evil().logoutClaims({ sub: who, sid })
    expect((await postToken(sign(claims, {}, evil()))).status).toBe(200)
    expect(await isSession(stage(), cookie)).toBe(true)
  })

  it("is no ID token", async () => {
    corp().scenario = {
      idToken: (_signed, { claims, login }) =>
        sign({ ...corp().logoutClaims({ sub: who }), nonce: claims.nonce, acr: login.code }),
    }
    await expectNoNewSession(async () => (await logIn(stage(), stage().browser(), corp())).ended)
  })
})

/**
 * The session's cookie in a cookie jar: what a browser keeps and sends of it, while another host of the same site does its worst.
 * The jar is tough-cookie, once as browsers of today are, which know `__Host-`, and once as one that takes the name for any other.
 */
import { CookieJar } from "tough-cookie"
import { describe, expect, it } from "vitest"
import { SESSION_COOKIE, type SessionSeal } from "../../contracts/session.ts"
import { readInbound } from "../../dispatcher/src/edge/read-inbound.ts"
import { keptCookies } from "../../dispatcher/src/forward/kept-cookies.ts"
import { onwardFrom } from "../../dispatcher/src/test-onward.ts"
import { clearedSessionCookie, openSession, sealSession, sessionCookie } from "../../kit/session-cookie.ts"

const APP = "https://app.procore.com/projects/1"
const SIBLING = "https://evil.procore.com/"
const KEYS = Buffer.alloc(32, 1).toString("base64url")
const NOW_MS = Date.now()
const SEAL: SessionSeal = {
  idp: "example-idp",
  subject: "alice",
  scopes: [],
  company: null,
  level: 1,
  authenticatedAtMs: NOW_MS,
  createdAtMs: NOW_MS,
  expiresAtMs: NOW_MS + 3_600_000,
  idleS: 1_800,
}

/** The request that the jar's browser makes. */
async function requestTo(url: string, jar: CookieJar) {
  const headers = new Headers({ cookie: await jar.getCookieString(url) })
  const request = { url, method: "GET", headers, body: null } as unknown as Request
  const inbound = readInbound(request, "r")
  return { inbound, onward: onwardFrom(inbound).cookie ?? "" }
}

async function loggedIn(prefixSecurity: "strict" | "unsafe-disabled") {
  const jar = new CookieJar(undefined, { prefixSecurity, rejectPublicSuffixes: false })
  const mine = await sealSession(SEAL, KEYS)
  for (const cookie of keptCookies([sessionCookie(mine.cookieValue, 3_600)], "app.procore.com", true))
    await jar.setCookie(cookie, APP)
  return { jar, mine }
}

const names = [
  SESSION_COOKIE,
  SESSION_COOKIE.toLowerCase(),
  SESSION_COOKIE.toUpperCase(),
  SESSION_COOKIE.replace("__Host", "__Secure"),
  `\u00a0${SESSION_COOKIE}`,
  `\u0085${SESSION_COOKIE}`,
  ` ${SESSION_COOKIE}`,
  `\t${SESSION_COOKIE}`,
  `${SESSION_COOKIE} `,
  `=${SESSION_COOKIE}`,
  `a=1,${SESSION_COOKIE}`,
  `${SESSION_COOKIE}s`,
  `x${SESSION_COOKIE}`,
]
const attributes = [
  "Domain=procore.com; Path=/; Secure",
  "Domain=.procore.com; Path=/projects; Secure",
  "Domain=procore.com; Path=/projects/1; Secure; HttpOnly; SameSite=Lax",
  "Domain=app.procore.com; Path=/; Secure",
  "Path=/; Secure; HttpOnly; SameSite=Lax",
]

describe.each(["strict", "unsafe-disabled"] as const)("with the prefixes of cookies %s", (prefixSecurity) => {
  it("the session comes back to its own host, and to no other", async () => {
    const { jar, mine } = await loggedIn(prefixSecurity)
    expect((await requestTo(APP, jar)).inbound.sessionCookie).toBe(mine.cookieValue)
    expect((await requestTo(SIBLING, jar)).inbound.sessionCookie).toBeNull()
    expect((await requestTo("https://procore.com/", jar)).inbound.sessionCookie).toBeNull()
    expect((await requestTo("http://app.procore.com/", jar)).inbound.sessionCookie).toBeNull()
    expect((await requestTo(APP, jar)).onward).toBe("")
  })

  it.each(names)("another host that plants %j never makes its own session somebody's", async (name) => {
    const theirs = await sealSession({ ...SEAL, subject: "mallory" }, KEYS)
    for (const each of attributes) {
      const { jar, mine } = await loggedIn(prefixSecurity)
      const planted = `${name}=${theirs.cookieValue}; ${each}`
      await jar.setCookie(planted, SIBLING).catch(() => undefined)
      const { inbound, onward } = await requestTo(APP, jar)
      expect([mine.cookieValue, null], planted).toContain(inbound.sessionCookie)
      const opened = inbound.sessionCookie === null ? null : await openSession(inbound.sessionCookie, KEYS)
      expect(opened?.seal.subject ?? "alice").toBe("alice")
      // What only looks like it may go on: it is no session to anybody.
      if (/^[\s\u0085]*=?__(host|secure)-sallyport-session\s*$/i.test(name))
        expect(onward).not.toContain(theirs.cookieValue)
    }
  })

  it.each(names)("another team's script that sets %j sets nothing of the kind", async (name) => {
    const theirs = await sealSession({ ...SEAL, subject: "mallory" }, KEYS)
    for (const each of attributes) {
      const { jar, mine } = await loggedIn(prefixSecurity)
      for (const cookie of keptCookies([`${name}=${theirs.cookieValue}; ${each}`], "app.procore.com", false))
        await jar.setCookie(cookie, APP).catch(() => undefined)
      expect((await requestTo(APP, jar)).inbound.sessionCookie, each).toBe(mine.cookieValue)
    }
  })

  it("is replaced by a new login and taken away by a logout", async () => {
    const { jar } = await loggedIn(prefixSecurity)
    const next = await sealSession({ ...SEAL, level: 2 }, KEYS)
    await jar.setCookie(sessionCookie(next.cookieValue, 60), APP)
    expect((await requestTo(APP, jar)).inbound.sessionCookie).toBe(next.cookieValue)
    await jar.setCookie(clearedSessionCookie(), APP)
    expect((await requestTo(APP, jar)).inbound.sessionCookie).toBeNull()
  })
})

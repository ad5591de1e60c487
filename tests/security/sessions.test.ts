/**
 * Sessions, keys and grants at the dispatcher, attacked from outside and by a team's Worker from inside: forged and tampered cookies, look-alikes,
 * sessions that are over, requests that another site makes, credentials where others belong, and scripts that reach for what they were not granted.
 */
import { createHash, randomBytes } from "node:crypto"
import { beforeAll, describe, expect, it } from "vitest"
import { SERVICE_ACCOUNTS_IDP } from "../../contracts/dispatch-config.ts"
import { LOGIN_COOKIE_PREFIX, SESSION_COOKIE, type SessionSeal, seenKey, sessionKey } from "../../contracts/session.ts"
import {
  mayHoldGatewayCookie,
  sessionCookieOf,
  withoutGatewayCookies,
} from "../../dispatcher/src/edge/gateway-cookies.ts"
import { EXAMPLE_ISSUER_ID } from "../../emulator/cells/issuer.ts"
import { openSession, sealSession } from "../../kit/session-cookie.ts"
import { growsFasterThan, ownMsOf } from "../../kit/testing/growth.ts"
import { eventually, expectProblem } from "../harness.ts"
import { APP, SIBLING, startUrl, useStage } from "./hostile-provider/stage.ts"

const MINUTE_MS = 60_000
/** Beyond which a session without a record is over: until then the store may lag. */
const YOUNG_MS = 120_000
const REVOKED_WITHIN_MS = 6_000
const stage = useStage("corp", "former")
const hostname = new URL(APP).hostname

const routes = {
  bearer: { path: "/bearer/*", auth: { mode: "required", issuers: [EXAMPLE_ISSUER_ID] } },
  both: {
    path: "/both/*",
    auth: { mode: "required", issuers: ["corp", EXAMPLE_ISSUER_ID], accept: ["bearer", "session"] },
  },
  machine: { path: "/machine/*", auth: { mode: "required", issuers: [], accept: ["service-key"] } },
  sure: {
    path: "/sure/*",
    auth: {
      mode: "required",
      issuers: ["corp", EXAMPLE_ISSUER_ID],
      accept: ["bearer", "session"],
      minLevel: 2,
      maxAuthAgeS: 300,
    },
  },
  corp: { path: "/corp/*", auth: { mode: "required", issuers: ["corp"], accept: ["session"] } },
}

beforeAll(async () => {
  for (const [id, { path, auth }] of Object.entries(routes))
    await stage().platform.api.put(`/v1/routes/${id}`, {
      hostname,
      path,
      script: "echo",
      team: "identity",
      auth: { scopes: [], ...auth },
      open: true,
    })
  await stage().platform.waitForConfig()
})

function sealOf(changes: Partial<SessionSeal> = {}): SessionSeal {
  const now = Date.now()
  return {
    idp: "corp",
    subject: "alice",
    scopes: ["projects:read"],
    company: null,
    level: 1,
    authenticatedAtMs: now,
    createdAtMs: now,
    expiresAtMs: now + 600 * MINUTE_MS,
    idleS: 3_600,
    ...changes,
  }
}

/** A session as the login Worker would leave it: sealed, and in the store unless `stored` is false. */
async function session(changes: Partial<SessionSeal> = {}, stored = true) {
  const seal = sealOf(changes)
  const { cookieValue, handle, id } = await sealSession(seal, stage().sessionKeys)
  const device = { userAgent: "test", ip: null, country: null }
  const record = { format: 1, handle, ...seal, device, idpSession: null }
  if (stored) await stage().store.put(sessionKey(handle), JSON.stringify(record))
  return { cookieValue, handle, id, seal }
}

/** `cookie`: a whole Cookie header, one byte a character. */
async function ask(cookie: string | null, path = "/corp/x", init: Init = {}) {
  const headers: [string, string][] = [
    ...(init.headers ?? []),
    ...(cookie === null ? [] : [["cookie", cookie] as const]),
  ].map(([name, value]) => [name, value])
  return stage().platform.fetch(`${APP}${path}`, { method: init.method ?? "GET", headers })
}
interface Init {
  readonly method?: string
  readonly headers?: readonly (readonly [string, string])[]
}
async function statusOf(cookie: string | null, path?: string, init?: Init): Promise<number> {
  const response = await ask(cookie, path, init)
  await response.text()
  return response.status
}
const revoked = (handle: string) =>
  stage().platform.api.post("/v1/revocations", [{ target: { kind: "session", session: handle }, reason: "a test" }])
const named = (value: string) => `${SESSION_COOKIE}=${value}`

describe("a session cookie", () => {
  it("is accepted as it was sealed (the control)", async () => {
    const { cookieValue } = await session()
    expect(await statusOf(named(cookieValue))).toBe(200)
  })

  it("is accepted with no bit of it changed", async () => {
    const { cookieValue } = await session()
    const bytes = Buffer.from(cookieValue)
    const accepted: number[] = []
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      if ((await openSession(changed.toString("latin1"), stage().sessionKeys)) !== null) accepted.push(bit)
    }
    expect(accepted).toEqual([])
    // The same through the dispatcher, with each character changed to another that a header can hold.
    const answers: number[] = []
    for (let at = 0; at < cookieValue.length; at++) {
      const other = cookieValue[at] === "A" ? "B" : "A"
      answers.push(await statusOf(named(cookieValue.slice(0, at) + other + cookieValue.slice(at + 1))))
    }
    expect(answers.filter((status) => status !== 401)).toEqual([])
    expect(await statusOf(named(cookieValue))).toBe(200)
    process.stderr.write(
      `Session cookie: ${bytes.length * 8} bits and ${answers.length} characters changed, none accepted\n`,
    )
  })

  it("is not put together from the parts of two", async () => {
    const [mine, theirs] = [await session({ subject: "mallory" }), await session({ subject: "alice" })]
    const [a, b] = [mine.cookieValue.split("."), theirs.cookieValue.split(".")]
    const mixes = [0b001, 0b010, 0b011, 0b100, 0b101, 0b110].map((mask) =>
      [0, 1, 2].map((part) => (mask & (1 << part) ? a[part] : b[part])).join("."),
    )
    for (const mix of mixes) expect(await statusOf(named(mix))).toBe(401)
  })

  it("is not made by who knows its form but not the key", async () => {
    const elsewhere = await sealSession(sealOf(), randomBytes(32).toString("base64url"))
    const zero = await sealSession(sealOf(), Buffer.alloc(32).toString("base64url"))
    const payload = Buffer.from(JSON.stringify(sealOf())).toString("base64url")
    const id = randomBytes(32).toString("base64url")
    const unkeyed = createHash("sha256").update(`${id}.${payload}`).digest("base64url")
    for (const value of [
      elsewhere.cookieValue,
      zero.cookieValue,
      `${id}.${payload}.${unkeyed}`,
      `${id}.${payload}.`,
      `${id}.${payload}`,
      id,
      "",
    ])
      expect(await statusOf(named(value))).toBe(401)
  })

  it("is not accepted in another spelling", async () => {
    const { cookieValue } = await session()
    for (const value of [
      `${cookieValue}=`,
      `${cookieValue}.`,
      `.${cookieValue}`,
      `${cookieValue}A`,
      `"${cookieValue}"`,
      cookieValue.replaceAll(".", "%2E"),
      `${cookieValue} `.replace(".", " ."),
      cookieValue.toLowerCase(),
    ])
      expect(await statusOf(named(value)), value).toBe(401)
  })

  it.each([
    ["twice with the same value", (own: string) => `${named(own)}; ${named(own)}`],
    ["twice, another's first", (own: string, other: string) => `${named(other)}; ${named(own)}`],
    ["twice, another's last", (own: string, other: string) => `${named(own)}; ${named(other)}`],
    ["beside an empty one", (own: string) => `${named(own)}; ${SESSION_COOKIE}=`],
    ["beside one without a value", (own: string) => `${SESSION_COOKIE}; ${named(own)}`],
    ["in lower case", (own: string) => `__host-sallyport-session=${own}`],
    ["in upper case", (own: string) => `__HOST-SALLYPORT-SESSION=${own}`],
    ["without its prefix", (own: string) => `sallyport-session=${own}`],
    ["with the other prefix", (own: string) => `__Secure-sallyport-session=${own}`],
    ["after a non-breaking space", (own: string) => `\u00c2\u00a0${named(own)}`],
    ["after a single byte of one", (own: string) => `\u00a0${named(own)}`],
    ["after a tab", (own: string) => `a=b;\t${named(own)}`],
    ["with a space in its name", (own: string) => `${SESSION_COOKIE} =${own}`],
    ["without a name", (own: string) => `=${named(own)}`],
    ["behind a comma", (own: string) => `a=b,${named(own)}`],
    ["behind a comma, beside an honest one", (own: string, other: string) => `a=b,${named(other)}; ${named(own)}`],
    [
      "in lower case beside an honest one",
      (own: string, other: string) => `__host-sallyport-session=${other}; ${named(own)}`,
    ],
    ["within another cookie's quotes", (own: string) => `a="x; ${named(own)}"`],
  ])("is as none %s", async (_what, cookieOf) => {
    const [own, other] = [await session(), await session({ subject: "mallory" })]
    expect(await statusOf(cookieOf(own.cookieValue, other.cookieValue))).toBe(401)
  })

  it("is as none when two Cookie headers bring one each", async () => {
    const [own, other] = [await session(), await session({ subject: "mallory" })]
    const twice = [["cookie", named(own.cookieValue)] as const, ["cookie", named(other.cookieValue)] as const]
    expect(await statusOf(null, "/corp/x", { headers: twice })).toBe(401)
  })

  it("stands beside other cookies without being taken for them", async () => {
    const { cookieValue } = await session()
    const cookie = `a=b; ${named(cookieValue)}; x__Host-sallyport-session=1; __Host-sallyport-sessions=1`
    expect(await statusOf(cookie)).toBe(200)
  })
})

describe("the reading of a Cookie header", () => {
  const lookAlike = `;${"=".repeat(30)}__host-sallyport-session`
  it.each<[string, (bytes: number) => string]>([
    ["spaces", (bytes) => " ".repeat(bytes)],
    ["delimiters", (bytes) => "; ".repeat(bytes / 2)],
    ["commas", (bytes) => ",".repeat(bytes)],
    ["nameless cookies", (bytes) => "=".repeat(bytes)],
    ["delimiters and nameless cookies", (bytes) => ";=".repeat(bytes / 2)],
    ["control characters", (bytes) => ";\t".repeat(bytes / 2)],
    ["beginnings of the name", (bytes) => "; __Host-sallyport-sessio".repeat(bytes / 25)],
    ["look-alikes", (bytes) => lookAlike.repeat(bytes / lookAlike.length)],
    ["one long name", (bytes) => `__Host-sallyport-session${" ".repeat(bytes)}`],
  ])("takes time by its length, whatever it holds: %s", (_what, cookie) => {
    const read = (bytes: number) => {
      mayHoldGatewayCookie(cookie(bytes))
      sessionCookieOf(cookie(bytes))
      withoutGatewayCookies(cookie(bytes))
    }
    // The longest that the screen may be told to let in: quadratic work would take seconds.
    expect(growsFasterThan(131_072, read)).toBe(false)
    expect(ownMsOf(() => read(65_536))).toBeLessThan(25)
  })
})

describe("a session that is over", () => {
  const old = (ageMs: number, changes: Partial<SessionSeal> = {}) => {
    const at = Date.now() - ageMs
    return { createdAtMs: at, authenticatedAtMs: at, ...changes }
  }

  it("is refused at its absolute end", async () => {
    const over = await session(old(10 * MINUTE_MS, { expiresAtMs: Date.now() - 1 }))
    await expectProblem(await ask(named(over.cookieValue)), 401, "auth.session-expired")
  })

  it("is refused when nobody used it for its idle time, and accepted when somebody did", async () => {
    const idle = await session(old(10 * MINUTE_MS, { idleS: 300 }))
    await expectProblem(await ask(named(idle.cookieValue)), 401, "auth.session-expired")
    const used = await session(old(10 * MINUTE_MS, { idleS: 300 }))
    await stage().store.put(seenKey(used.handle), String(Date.now() - MINUTE_MS))
    expect(await statusOf(named(used.cookieValue))).toBe(200)
  })

  it("is refused when its record is gone, once the store has had time to show it", async () => {
    const ended = await session(old(YOUNG_MS + 1_000), false)
    await expectProblem(await ask(named(ended.cookieValue)), 401, "auth.session-expired")
    const young = await session(old(YOUNG_MS - 30_000), false)
    expect(await statusOf(named(young.cookieValue))).toBe(200)
  })

  it("is not brought back by a note of its use, nor is its record written again", async () => {
    const ended = await session(old(YOUNG_MS + 1_000), false)
    await stage().store.put(seenKey(ended.handle), String(Date.now()))
    for (let each = 0; each < 5; each++) expect(await statusOf(named(ended.cookieValue))).toBe(401)
    expect(await stage().store.get(sessionKey(ended.handle))).toBeNull()
    const another = await session(old(YOUNG_MS + 1_000), false)
    await statusOf(named(another.cookieValue))
    expect(await stage().store.get(seenKey(another.handle))).toBeNull()
  })

  it("is not brought back by a note from the future or one that is no number", async () => {
    for (const seen of [String(Date.now() + 1e12), "Infinity", "1e300", "-1", "NaN", ""]) {
      const ended = await session(old(YOUNG_MS + 1_000), false)
      await stage().store.put(seenKey(ended.handle), seen)
      expect(await statusOf(named(ended.cookieValue)), seen).toBe(401)
    }
  })

  it("is refused when it would live too long, or begins in the future", async () => {
    const now = Date.now()
    const day = 86_400_000
    for (const changes of [
      { expiresAtMs: now + 31 * day },
      { createdAtMs: now + 120_000, expiresAtMs: now + day },
      { authenticatedAtMs: now + 120_000 },
    ]) {
      const { cookieValue } = await session(changes)
      expect(await statusOf(named(cookieValue))).toBe(401)
    }
  })

  it("of an identity provider that the route does not name is not let in, and of one that is gone is over", async () => {
    const former = await session({ idp: "former" })
    await expectProblem(await ask(named(former.cookieValue)), 403, "auth.not-allowed")
    const unknown = await session({ idp: "nobody" })
    await expectProblem(await ask(named(unknown.cookieValue)), 401, "auth.session-expired")
  })

  it("is refused everywhere once it is revoked, and nothing in the store brings it back", async () => {
    const { cookieValue, handle } = await session()
    expect(await statusOf(named(cookieValue))).toBe(200)
    await revoked(handle)
    await eventually(REVOKED_WITHIN_MS, async () => ((await statusOf(named(cookieValue))) === 401 ? true : null))
    const record = await stage().store.get(sessionKey(handle))
    await stage().store.put(sessionKey(handle), record ?? "")
    await stage().store.put(seenKey(handle), String(Date.now()))
    for (let each = 0; each < 20; each++) expect(await statusOf(named(cookieValue))).toBe(401)
  })
})

describe("a browser that holds a session that is no good", () => {
  const ways: readonly (readonly [string, () => Promise<string>])[] = [
    ["made up", async () => "x.y.z"],
    [
      "expired",
      async () => (await session({ createdAtMs: 0, authenticatedAtMs: 0, expiresAtMs: Date.now() - 1 })).cookieValue,
    ],
    [
      "past its end",
      async () => {
        const at = Date.now() - 10 * MINUTE_MS
        return (await session({ createdAtMs: at, authenticatedAtMs: at, expiresAtMs: Date.now() - 1 })).cookieValue
      },
    ],
    [
      "ended",
      async () => {
        const at = Date.now() - 10 * MINUTE_MS
        return (await session({ createdAtMs: at, authenticatedAtMs: at }, false)).cookieValue
      },
    ],
    [
      "revoked",
      async () => {
        const { cookieValue, handle } = await session()
        await revoked(handle)
        await eventually(REVOKED_WITHIN_MS, async () => ((await statusOf(named(cookieValue))) === 401 ? true : null))
        return cookieValue
      },
    ],
    ["of a provider that is no longer there", async () => (await session({ idp: "nobody" })).cookieValue],
  ]

  it.each(ways)("comes from the app to the login and to the provider by following links: %s", async (_what, make) => {
    const browser = stage().browser()
    await browser.jar.setCookie(`${named(await make())}; Secure; Path=/`, APP)
    const provider = stage().provider.url
    const page = await browser.follow(`${APP}/x`, (to) => to.startsWith(APP))
    const chosen = page.status === 200 ? await browser.visit(startUrl(stage().provider.tenant("corp"))) : page
    expect(chosen.location, `${chosen.status} ${chosen.text.slice(0, 300)}`).toContain(provider)
  })

  it.each(ways)("begins a login by one redirect that leaves the cookie behind: %s", async (_what, make) => {
    const browser = stage().browser()
    await browser.jar.setCookie(`${named(await make())}; Secure; Path=/`, APP)
    const start = startUrl(stage().provider.tenant("corp"))
    expect((await browser.visit(start)).location).toBe(start)
    const page = await browser.visit(start)
    expect(page.location, `${page.status} ${page.text.slice(0, 300)}`).toContain(stage().provider.url)
  })
})

describe("a request that another site makes a browser send", () => {
  const unsafe = ["POST", "PUT", "PATCH", "DELETE"]
  const own = APP
  const foreign: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
    ["cross-site", [["sec-fetch-site", "cross-site"]]],
    [
      "cross-site with the own origin",
      [
        ["sec-fetch-site", "cross-site"],
        ["origin", own],
      ],
    ],
    [
      "a sibling hostname",
      [
        ["sec-fetch-site", "same-site"],
        ["origin", SIBLING],
      ],
    ],
    ["typed in", [["sec-fetch-site", "none"]]],
    [
      "two answers",
      [
        ["sec-fetch-site", "same-origin"],
        ["sec-fetch-site", "cross-site"],
      ],
    ],
    ["two answers in one", [["sec-fetch-site", "same-origin, cross-site"]]],
    ["in upper case", [["sec-fetch-site", "SAME-ORIGIN"]]],
    ["an empty answer", [["sec-fetch-site", ""]]],
    [
      "an empty answer with a foreign origin",
      [
        ["sec-fetch-site", ""],
        ["origin", "https://evil.example"],
      ],
    ],
    ["nothing at all", []],
    ["a foreign origin", [["origin", "https://evil.example"]]],
    ["an opaque origin", [["origin", "null"]]],
    ["the own origin over http", [["origin", own.replace("https", "http")]]],
    ["the own origin with a port", [["origin", `${own}:8443`]]],
    ["the own origin as a prefix", [["origin", `${own}.evil.example`]]],
    [
      "the own origin and another",
      [
        ["origin", own],
        ["origin", "https://evil.example"],
      ],
    ],
    ["only a referrer", [["referer", `${own}/x`]]],
  ]

  it.each(foreign)("changes nothing by session: %s", async (_what, headers) => {
    const { cookieValue } = await session()
    for (const method of unsafe)
      await expectProblem(await ask(named(cookieValue), "/corp/x", { method, headers }), 403, "auth.cross-site")
    expect(await statusOf(named(cookieValue), "/corp/x", { headers })).toBe(200)
  })

  it.each([
    ["same-origin", [["sec-fetch-site", "same-origin"]]],
    ["the own origin from a browser that says nothing else", [["origin", own]]],
  ] as const)("may when it is of the same origin: %s", async (_what, headers) => {
    const { cookieValue } = await session()
    for (const method of unsafe) expect(await statusOf(named(cookieValue), "/corp/x", { method, headers })).toBe(200)
  })

  it("opens no WebSocket by session", async () => {
    const { cookieValue } = await session()
    const upgrade = [
      ["upgrade", "websocket"],
      ["connection", "Upgrade"],
      ["sec-websocket-version", "13"],
      ["sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="],
    ] as const
    for (const from of [
      ["origin", "https://evil.example"],
      ["origin", SIBLING],
      ["sec-fetch-site", "cross-site"],
    ] as const)
      expect(await statusOf(named(cookieValue), "/corp/x", { headers: [...upgrade, from] })).toBe(403)
  })
})

describe("a credential where another belongs", () => {
  const bearer = (token: string) => [["authorization", `Bearer ${token}`]] as const
  const token = () => stage().platform.issueToken({ subject: "alice" })

  it("is as none: a session where only bearer tokens are looked at, and the reverse", async () => {
    const { cookieValue } = await session()
    await expectProblem(await ask(named(cookieValue), "/bearer/x"), 401, "auth.credential-required")
    await expectProblem(await ask(null, "/corp/x", { headers: bearer(token()) }), 401, "auth.credential-required")
    expect(await statusOf(null, "/bearer/x", { headers: bearer(token()) })).toBe(200)
  })

  it("is refused: a cookie's value as a token, a token as a cookie, a passport as either", async () => {
    const { cookieValue } = await session()
    const response = await ask(named(cookieValue))
    const { headers } = (await response.json()) as { headers: Record<string, string> }
    const passport = headers["x-passport"] ?? ""
    expect(passport.split(".")).toHaveLength(3)
    for (const value of [cookieValue, passport])
      for (const path of ["/both/x", "/bearer/x", "/machine/x"])
        expect(await statusOf(null, path, { headers: bearer(value) }), path).toBe(401)
    for (const value of [token(), passport]) expect(await statusOf(named(value), "/both/x")).toBe(401)
    expect(await statusOf(null, "/corp/x", { headers: [["x-passport", passport]] })).toBe(401)
  })

  it("is refused beside another, so that nobody is judged by one and checked by the other", async () => {
    const { cookieValue } = await session()
    expect(await statusOf(named(cookieValue), "/both/x", { headers: bearer(token()) })).toBe(401)
    expect(await statusOf(named(cookieValue), "/both/x", { headers: bearer("made-up") })).toBe(401)
    expect(await statusOf(named("x.y.z"), "/both/x", { headers: bearer(token()) })).toBe(401)
    expect(await statusOf(named(cookieValue), "/both/x")).toBe(200)
    expect(await statusOf(null, "/both/x", { headers: bearer(token()) })).toBe(200)
  })

  it("never reaches the Worker, whatever it was worth", async () => {
    const { cookieValue, id } = await session()
    const cookie = `a=b; ${named(cookieValue)}; ${LOGIN_COOKIE_PREFIX}=canary-login; __host-SALLYPORT-x=canary-x`
    const text = await (await ask(cookie)).text()
    expect(text).toContain("a=b")
    for (const canary of [id, cookieValue, "canary-login", "canary-x"]) expect(text).not.toContain(canary)
    const bearerText = await (await ask(null, "/bearer/x", { headers: bearer(token()) })).text()
    expect(bearerText).not.toMatch(/authorization/i)
  })
})

describe("a route that asks for more than a session (RFC 9470)", () => {
  const ago = (ms: number) => ({ authenticatedAtMs: Date.now() - ms, createdAtMs: Date.now() - ms })

  it("lets in who proved enough, lately enough, and nobody else", async () => {
    const enough = await session({ level: 2 })
    expect(await statusOf(named(enough.cookieValue), "/sure/x")).toBe(200)
    const lately = await session({ level: 3, ...ago(290_000) })
    expect(await statusOf(named(lately.cookieValue), "/sure/x")).toBe(200)
    for (const changes of [
      { level: 1 },
      { level: 0 },
      { level: 2, ...ago(310_000) },
      { level: 3, ...ago(3_000_000) },
    ]) {
      const { cookieValue } = await session(changes)
      const response = await ask(named(cookieValue), "/sure/x")
      expect(response.headers.get("www-authenticate")).toContain("insufficient_user_authentication")
      await expectProblem(response, 401, "auth.step-up-required")
    }
  })

  it("is not satisfied by a session that began anew without a new proof", async () => {
    const { cookieValue } = await session({ level: 2, authenticatedAtMs: Date.now() - 600_000 })
    expect(await statusOf(named(cookieValue), "/sure/x")).toBe(401)
  })

  it("is not satisfied by a token, whatever it says of itself", async () => {
    const token = stage().platform.issueToken({ subject: "alice", scope: "acr:2 level:3" })
    expect(await statusOf(null, "/sure/x", { headers: [["authorization", `Bearer ${token}`]] })).toBe(401)
    expect(await statusOf(null, "/both/x", { headers: [["authorization", `Bearer ${token}`]] })).toBe(200)
  })
})

describe("the gateway's answer to who one is", () => {
  const at = "/.sallyport/session"

  it("holds what is known of the session, and neither its id nor its handle", async () => {
    const { cookieValue, handle, id } = await session()
    const response = await ask(named(cookieValue), at)
    const text = await response.text()
    expect(response.headers.get("cache-control")).toContain("no-store")
    expect(response.headers.get("access-control-allow-origin")).toBeNull()
    expect(JSON.parse(text)).toMatchObject({ subject: "alice", idp: "corp" })
    for (const secret of [handle, id, cookieValue]) expect(text + [...response.headers].join()).not.toContain(secret)
  })

  it("is 401 for a cookie that is over, doubled or made up, and is no other method's", async () => {
    const { cookieValue } = await session()
    const over = await session({ createdAtMs: Date.now() - MINUTE_MS, expiresAtMs: Date.now() - 1 })
    for (const cookie of [
      null,
      named(over.cookieValue),
      named("x.y.z"),
      `${named(cookieValue)}; ${named(cookieValue)}`,
    ])
      expect(await statusOf(cookie, at)).toBe(401)
    expect(await statusOf(named(cookieValue), at, { method: "POST" })).toBe(405)
  })
})

describe("a service account's key", () => {
  const keyOf = (name: string) => `spsa_${name}_${randomBytes(32).toString("base64url")}`
  const hashOf = (key: string) => createHash("sha256").update(key).digest("hex")
  const [good, other, expired] = [keyOf("reports"), keyOf("billing"), keyOf("reports")]
  const call = (key: string, path = "/machine/x", scheme = "Bearer") =>
    statusOf(null, path, { headers: [["authorization", `${scheme} ${key}`]] })
  const createdAt = new Date(Date.now() - 60_000).toISOString()
  const accounts = (reports: readonly object[]) => ({
    reports: { scopes: [], keys: reports.map((key) => ({ createdAt, ...key })) },
    billing: { scopes: [], keys: [{ id: "k1", hash: hashOf(other), createdAt }] },
  })
  const stale = { id: "old", hash: hashOf(expired), expiresAt: new Date(Date.now() - 1_000).toISOString() }

  beforeAll(async () => {
    await stage().platform.api.put("/v1/policy/serviceAccounts", accounts([{ id: "k1", hash: hashOf(good) }, stale]))
    await stage().platform.waitForConfig()
  })

  it("is accepted as it was made (the control)", async () => {
    expect(await call(good)).toBe(200)
    expect(await call(other)).toBe(200)
  })

  it("is refused with any one character changed", async () => {
    const accepted: string[] = []
    for (let at = 0; at < good.length; at++) {
      const changed = good.slice(0, at) + (good[at] === "a" ? "b" : "a") + good.slice(at + 1)
      if ((await call(changed)) !== 401) accepted.push(changed)
    }
    for (const changed of [
      `${good}A`,
      good.slice(0, -1),
      good.toUpperCase(),
      `${good}=`,
      ` ${good}`,
      `${good},${good}`,
    ])
      if ((await call(changed)) !== 401) accepted.push(changed)
    expect(accepted).toEqual([])
  })

  it("is refused under another account's name, past its time, and as its own hash", async () => {
    const secret = good.slice("spsa_reports_".length)
    for (const key of [`spsa_billing_${secret}`, expired, hashOf(good), `spsa_reports_${hashOf(good).slice(0, 43)}`])
      expect(await call(key)).toBe(401)
    for (const name of ["__proto__", "constructor", "toString"]) expect(await call(`spsa_${name}_${secret}`)).toBe(401)
  })

  it("is refused in another scheme, in a cookie, and where no keys are accepted", async () => {
    for (const scheme of ["Basic", "Token", "bearer2", ""]) expect(await call(good, "/machine/x", scheme)).toBe(401)
    for (const path of ["/bearer/x", "/both/x", "/corp/x"]) expect(await call(good, path)).toBe(401)
    expect(await statusOf(named(good), "/both/x")).toBe(401)
  })

  it("is refused once it is revoked, though the config still has it, and no other with it", async () => {
    const [doomed, spared] = [keyOf("reports"), keyOf("reports")]
    const keys = [
      { id: "doomed", hash: hashOf(doomed) },
      { id: "spared", hash: hashOf(spared) },
    ]
    await stage().platform.api.put("/v1/policy/serviceAccounts", accounts([{ id: "k1", hash: hashOf(good) }, ...keys]))
    await stage().platform.waitForConfig()
    expect([await call(doomed), await call(spared)]).toEqual([200, 200])
    const target = { kind: "key", idp: SERVICE_ACCOUNTS_IDP, kid: "reports/doomed" }
    await stage().platform.api.post("/v1/revocations", [{ target, reason: "a test" }])
    await eventually(REVOKED_WITHIN_MS, async () => ((await call(doomed)) === 401 ? true : null))
    expect([await call(spared), await call(good), await call(other)]).toEqual([200, 200, 200])
  })

  it("is refused once it is taken out of the config, and no other with it", async () => {
    await stage().platform.api.put("/v1/policy/serviceAccounts", accounts([stale]))
    await stage().platform.waitForConfig()
    expect(await call(good)).toBe(401)
    expect(await call(other)).toBe(200)
  })
})

describe("a team's Worker without a grant", () => {
  const SPELLINGS = [
    `${SESSION_COOKIE}=planted`,
    `${SESSION_COOKIE}=planted; Path=/; Secure; HttpOnly; SameSite=Lax`,
    `${SESSION_COOKIE}=planted; Domain=procore.com; Path=/; Secure`,
    `__host-sallyport-session=planted; Path=/; Secure`,
    `__HOST-SALLYPORT-SESSION=planted; Path=/; Secure`,
    ` ${SESSION_COOKIE}=planted; Path=/; Secure`,
    `\\u00a0${SESSION_COOKIE}=planted; Path=/; Secure`,
    `=${SESSION_COOKIE}=planted; Path=/; Secure`,
    `${SESSION_COOKIE} =planted; Path=/; Secure`,
    `__Secure-sallyport-session=planted; Path=/; Secure`,
    `${LOGIN_COOKIE_PREFIX}=planted; Path=/; Secure`,
    `${LOGIN_COOKIE_PREFIX}-x=planted; Path=/; Secure`,
  ]
  const WORKER = `
    const spellings = [${SPELLINGS.map((each) => `"${each}"`).join(", ")}]
    const calls = {
      session: { target: { kind: "session", session: "HANDLE" }, reason: "x" },
      subject: { target: { kind: "subject", idp: "corp", subject: "alice" }, beforeMs: Date.now(), reason: "x" },
      company: { target: { kind: "company", company: "100" }, beforeMs: Date.now(), reason: "x" },
      everything: { target: { kind: "everything" }, beforeMs: Date.now(), reason: "x" },
      key: { target: { kind: "key", idp: "corp", kid: "corp-1" }, reason: "x" },
    }
    export default { async fetch(request, env) {
      const url = new URL(request.url)
      if (url.pathname.endsWith("/cookies")) {
        const response = new Response("set")
        for (const each of spellings) response.headers.append("set-cookie", each)
        response.headers.append("set-cookie", "own=fine; Path=/")
        return response
      }
      const handle = url.searchParams.get("handle")
      const kinds = (url.searchParams.get("kinds") ?? "").split(",")
      const list = kinds.map((kind) => JSON.parse(JSON.stringify(calls[kind]).replace("HANDLE", handle)))
      try {
        return Response.json(await env.PLATFORM.revoke(list))
      } catch (error) {
        return Response.json({ refused: error.message })
      }
    } }`

  beforeAll(async () => {
    const route = { hostname, path: "/deputy/*", auth: "none" } as const
    await stage().platform.putTeam("deputies", { grants: [] })
    await stage().platform.uploadWorker({ script: "deputy", team: "deputies", source: WORKER, route })
  })

  const revoke = async (kinds: string, handle = "x".repeat(43)) => {
    const response = await stage().platform.fetch(`${APP}/deputy/revoke?kinds=${kinds}&handle=${handle}`)
    return (await response.json()) as { refused?: string; seq?: number }
  }

  it("sets no cookie of the gateway's in any spelling, and its own all the same", async () => {
    const response = await stage().platform.fetch(`${APP}/deputy/cookies`)
    expect(response.headers.getSetCookie()).toEqual(["own=fine; Path=/"])
    const browser = stage().browser()
    await browser.visit(`${APP}/deputy/cookies`)
    expect((await browser.jar.getCookies(APP)).map(({ key }) => key)).toEqual(["own"])
  })

  it("revokes nothing", async () => {
    const { cookieValue, handle } = await session()
    for (const kind of ["session", "subject", "company", "everything", "key"])
      expect(await revoke(kind, handle)).toEqual({ refused: "platform.not-granted" })
    expect(await statusOf(named(cookieValue))).toBe(200)
  })

  it("revokes with one grant what that grant names and nothing else, alone or in company", async () => {
    await stage().platform.putTeam("deputies", { grants: ["revoke:session"] })
    await stage().platform.waitForConfig()
    const { cookieValue, handle } = await session()
    for (const kinds of ["subject", "company", "everything", "key", "session,everything", "everything,session"])
      expect(await revoke(kinds, handle), kinds).toEqual({ refused: "platform.not-granted" })
    expect(await statusOf(named(cookieValue))).toBe(200)
    expect((await revoke("session", handle)).seq).toBeGreaterThan(0)
    await eventually(REVOKED_WITHIN_MS, async () => ((await statusOf(named(cookieValue))) === 401 ? true : null))
    await stage().platform.putTeam("deputies", { grants: [] })
  })

  it("does not bind the store of sessions", async () => {
    const source = `export default { fetch: () => new Response("x") }`
    const form = new FormData()
    const bindings = [{ type: "kv_namespace", name: "SESSIONS", namespace_id: stage().store.namespaceId }]
    form.set(
      "metadata",
      new Blob([JSON.stringify({ main_module: "index.js", compatibility_date: "2026-10-01", bindings })]),
    )
    form.set("index.js", new File([source], "index.js", { type: "application/javascript+module" }))
    const { controlPlaneUrl, accountId } = stage().platform
    const at = `${controlPlaneUrl}/client/v4/accounts/${accountId}/workers/dispatch/namespaces/production/scripts/thief`
    const authorization = `Bearer ${await stage().platform.tokenOf("deputies")}`
    const response = await fetch(at, { method: "PUT", headers: { authorization }, body: form })
    expect(response.ok).toBe(false)
    expect(await response.text()).toMatch(/grant/i)
  })
})

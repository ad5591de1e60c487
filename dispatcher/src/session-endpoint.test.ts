import { describe, expect, it } from "vitest"
import type { ScreenConfig } from "../../contracts/dispatch-config.ts"
import { refuse } from "../../kit/problem.ts"
import { BRAKE_LIMIT } from "./edge/brake.ts"
import { exampleConfig } from "./example-config.ts"
import { answerGatewayPath } from "./gateway-endpoints.ts"
import { NOW_S, type TestBed, testBed } from "./test-dependencies.ts"

const URL_OF_SESSION = "https://api.example.com/.sallyport/session"

async function ask(
  bed: TestBed,
  headers: Record<string, string> = {},
  init: RequestInit = {},
  url = URL_OF_SESSION,
): Promise<Response> {
  const behind: Promise<unknown>[] = []
  const response = await answerGatewayPath(new Request(url, { headers, ...init }), bed.deps, (work) => {
    behind.push(work)
  })
  await Promise.all(behind)
  return response
}

async function codeOf(response: Response): Promise<string> {
  expect(response.headers.get("cache-control")).toBe("no-store")
  return ((await response.json()) as { code: string }).code
}

describe("GET /.sallyport/session", () => {
  it("says whose session it is, how sure that is and until when, and nothing by which it could be used", async () => {
    const bed = await testBed()
    const { cookie, handle } = await bed.login({ company: "42", level: 2 })
    const response = await ask(bed, { cookie })
    expect(response.status).toBe(200)
    expect(response.headers.get("cache-control")).toBe("no-store")
    const text = await response.clone().text()
    expect(await response.json()).toEqual({
      subject: "alice",
      idp: "example-idp",
      company: "42",
      level: 2,
      authenticatedAt: new Date(NOW_S * 1000).toISOString(),
      expiresAt: new Date((NOW_S + 8 * 3_600) * 1000).toISOString(),
    })
    expect(text).not.toContain(handle)
  })

  it.each<[string, (cookie: string) => Record<string, string>, string]>([
    ["no cookie", () => ({}), "auth.credential-required"],
    ["two of them", (cookie) => ({ cookie: `${cookie}; ${cookie}` }), "auth.credential-required"],
    ["a token in its place", () => ({ authorization: "Bearer a.b.c" }), "auth.credential-required"],
    ["an altered one", (cookie) => ({ cookie: `${cookie}AAAA` }), "auth.credential-invalid"],
  ])("answers 401 to %s", async (_what, headersOf, code) => {
    const bed = await testBed()
    const response = await ask(bed, headersOf((await bed.login()).cookie))
    expect(response.status).toBe(401)
    expect(await codeOf(response)).toBe(code)
  })

  it("answers 401 when the session is over, and when it was revoked", async () => {
    const bed = await testBed()
    const over = await bed.login({ createdAtMs: (NOW_S - 600) * 1000 })
    bed.sessions.texts.delete(`session/${over.handle}`)
    expect(await codeOf(await ask(bed, { cookie: over.cookie }))).toBe("auth.session-expired")
    const { cookie, handle } = await bed.login()
    expect((await ask(bed, { cookie })).status).toBe(200)
    await bed.relay.revoke({ kind: "session", session: handle })
    bed.time.nowMs += 1_000
    await ask(bed, { cookie })
    const revoked = await ask(bed, { cookie })
    expect(revoked.headers.getSetCookie()).toEqual([])
    expect(await codeOf(revoked)).toBe("auth.revoked")
  })

  it("tells another host of the same site nothing, not even whether there is a session", async () => {
    const bed = await testBed()
    for (const headers of [{ cookie: (await bed.login()).cookie }, {}])
      expect((await ask(bed, headers)).headers.get("cross-origin-resource-policy")).toBe("same-origin")
  })

  it("sees a session that only its seal knows yet, as the probe's", async () => {
    const bed = await testBed()
    const { cookie } = await bed.login()
    bed.sessions.texts.clear()
    expect((await ask(bed, { cookie })).status).toBe(200)
  })

  it("knows no session of an identity provider that the config does not have", async () => {
    const bed = await testBed()
    const { cookie } = await bed.login({ idp: "gone-idp" })
    expect(await codeOf(await ask(bed, { cookie }))).toBe("auth.session-expired")
  })

  it("answers 503 without a config, and to GET and HEAD alone", async () => {
    const bed = await testBed()
    const { cookie } = await bed.login()
    expect((await ask(bed, { cookie }, { method: "HEAD" })).status).toBe(200)
    expect((await ask(bed, { cookie }, { method: "POST" })).status).toBe(405)
    const none = { current: () => Promise.reject(refuse("config.unavailable")), status: () => ({ revision: null }) }
    const deps = { ...bed.deps, config: none as never }
    const response = await answerGatewayPath(
      new Request(URL_OF_SESSION, { headers: { cookie } }),
      deps,
      () => undefined,
    )
    expect(response.status).toBe(503)
  })
})

describe("the screen of GET /.sallyport/session", () => {
  const IP = "192.0.2.1"
  const TODAY = { cf: { tlsVersion: "TLSv1.3", country: "DE" } } as RequestInit
  const bedWith = (changes: Partial<ScreenConfig>) => testBed({ screen: { ...exampleConfig().screen, ...changes } })
  const mode = "enforce" as const

  it.each<[string, Partial<ScreenConfig>, object, number, string]>([
    ["over TLS 1.0", {}, { tlsVersion: "TLSv1" }, 403, "edge.tls-too-old"],
    ["from a denied country", { countries: { mode, deny: ["AQ"] } }, { country: "AQ" }, 403, "edge.country-denied"],
    ["from a denied address", { addresses: { mode, deny: [`${IP}/32`] } }, {}, 403, "edge.address-denied"],
    ["from a denied network", { asns: { mode, deny: [64_496] } }, { asn: 64_496 }, 403, "edge.address-denied"],
  ])("refuses a good session %s, as on every route", async (_what, screen, cf, status, code) => {
    const bed = await bedWith(screen)
    const { cookie } = await bed.login()
    const headers = { cookie, "cf-connecting-ip": IP }
    const other = { ...headers, "cf-connecting-ip": "192.0.2.2" }
    const refused = await ask(bed, headers, { cf: { ...TODAY.cf, ...cf } } as RequestInit)
    expect(refused.status).toBe(status)
    expect(await codeOf(refused)).toBe(code)
    expect((await ask(bed, other, TODAY)).status).toBe(200)
    expect(bed.trips).toMatchObject([
      { status, problem: code, findings: [{ code, mode }] },
      { status: 200, problem: null },
    ])
  })

  it("refuses headers that are too large before the session is read", async () => {
    const bed = await bedWith({ size: { ...exampleConfig().screen.size, headerBytes: 1_024 } })
    const { cookie } = await bed.login()
    expect(await codeOf(await ask(bed, { cookie, "x-much": "x".repeat(1_024) }))).toBe("edge.headers-too-large")
    expect(bed.sessions.calls).toEqual([])
  })

  it("counts against the brake, whatever the method", async () => {
    const bed = await bedWith({ brake: { mode } })
    const headers = { "cf-connecting-ip": IP }
    for (let asked = 0; asked < BRAKE_LIMIT; asked++)
      await ask(bed, headers, { method: asked % 2 === 0 ? "GET" : "POST" })
    const refused = await ask(bed, headers)
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0)
    expect(await codeOf(refused)).toBe("edge.too-many-requests")
  })

  it("leaves one trip per answer, with the request id of the answer and no credential", async () => {
    const bed = await testBed()
    const { cookie } = await bed.login()
    const answers = [await ask(bed, { cookie }), await ask(bed), await ask(bed, {}, { method: "POST" })]
    expect(bed.trips).toMatchObject([
      { path: "/.sallyport/session", status: 200, problem: null, route: null, subjectKind: "user", configRevision: 1 },
      { status: 401, problem: "auth.credential-required", subjectKind: null },
      { status: 405, problem: "edge.method-not-allowed" },
    ])
    expect(bed.trips.map(({ requestId }) => requestId)).toEqual(
      answers.map(({ headers }) => headers.get("x-request-id")),
    )
    expect(JSON.stringify(bed.trips)).not.toContain(cookie.slice(40, 80))
  })

  describe("for the control plane's probe, which comes by a service binding", () => {
    const PROBE = "https://sallyport.invalid/.sallyport/session"
    const strict = { tls: { ...exampleConfig().screen.tls, whenUnknown: "refuse" as const } }

    it("lets it pass, without a trip: it is no traffic, and nothing is known of its connection", async () => {
      const bed = await bedWith({ ...strict, addresses: { mode, deny: ["192.0.2.0/24"] } })
      const { cookie } = await bed.login()
      expect((await ask(bed, { cookie }, {}, PROBE)).status).toBe(200)
      expect(bed.trips).toEqual([])
    })

    it.each<[string, string, Record<string, string>, RequestInit]>([
      ["another hostname", URL_OF_SESSION, {}, {}],
      ["a hostname that begins with its", "https://sallyport.invalid.example.com/.sallyport/session", {}, {}],
      ["a hostname that ends with its", "https://x-sallyport.invalid/.sallyport/session", {}, {}],
      ["no TLS", PROBE.replace("https", "http"), {}, {}],
      ["an address, as Cloudflare's front gives every client", PROBE, { "cf-connecting-ip": IP }, {}],
      ["what the front says of every connection", PROBE, {}, { cf: { tlsVersion: "TLSv1" } } as RequestInit],
    ])("takes nothing else for it: %s", async (_what, url, headers, init) => {
      const bed = await bedWith(strict)
      const { cookie } = await bed.login()
      expect(await codeOf(await ask(bed, { cookie, ...headers }, init, url))).toBe("edge.tls-too-old")
      expect(bed.trips).toHaveLength(1)
    })
  })
})

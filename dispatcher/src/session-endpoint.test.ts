import { describe, expect, it } from "vitest"
import { freshLoginCookie } from "../../kit/fresh-login-cookie.ts"
import { refuse } from "../../kit/problem.ts"
import { clearedSessionCookie } from "../../kit/session-cookie.ts"
import { answerGatewayPath } from "./gateway-endpoints.ts"
import { NOW_S, type TestBed, testBed } from "./test-dependencies.ts"

const URL_OF_SESSION = "https://api.example.com/.sallyport/session"

async function ask(bed: TestBed, headers: Record<string, string> = {}, init: RequestInit = {}): Promise<Response> {
  const behind: Promise<unknown>[] = []
  const response = await answerGatewayPath(new Request(URL_OF_SESSION, { headers, ...init }), bed.deps, (work) => {
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
    expect(revoked.headers.getSetCookie()).toEqual([clearedSessionCookie(), freshLoginCookie()])
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

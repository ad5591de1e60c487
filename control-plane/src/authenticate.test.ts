import { beforeEach, describe, it } from "vitest"
import { OPS_TOKEN, startControlPlane, type TestControlPlane } from "../test/harness.ts"

let platform: TestControlPlane
beforeEach(async () => {
  platform = await startControlPlane()
})

async function whoami(authorization: string | null) {
  const headers = authorization === null ? {} : { authorization }
  return await platform.send("GET /v1/whoami", { token: null, headers })
}

describe("authenticate: works", () => {
  it("knows the first ops token by its hash alone", async ({ expect }) => {
    expect((await whoami(`Bearer ${OPS_TOKEN}`)).body).toEqual({ tokenId: "bootstrap", role: "ops", team: null })
  })

  it("knows a team's token and its team", async ({ expect }) => {
    const token = await platform.team("web")
    expect(token).toMatch(/^spt_[A-Za-z0-9_-]{43}$/)
    expect((await whoami(`Bearer ${token}`)).body).toMatchObject({ role: "team", team: "web" })
  })

  it("takes the scheme in any case, as HTTP has it", async ({ expect }) => {
    expect((await whoami(`bearer ${OPS_TOKEN}`)).status).toBe(200)
  })

  it("makes ops tokens that ops can hold beside the first, which can then go", async ({ expect }) => {
    const made = await platform.send("POST /v1/tokens", { body: { label: "alice", role: "ops" } })
    const settings = { ...platform.deps.settings, bootstrapTokenHash: null }
    platform = await startWithout(settings)
    expect((await whoami(`Bearer ${made.body.token}`)).body).toMatchObject({ role: "ops", team: null })
    expect((await whoami(`Bearer ${OPS_TOKEN}`)).status).toBe(401)
  })

  it("shows a token once and keeps only its hash", async ({ expect }) => {
    const token = await platform.team("web")
    const kept = JSON.stringify([
      (await platform.deps.db.prepare("SELECT * FROM tokens").all()).results,
      (await platform.deps.db.prepare("SELECT * FROM audit").all()).results,
      (await platform.send("GET /v1/tokens")).body,
    ])
    expect(kept).toContain('"label":"test"')
    expect(kept).not.toContain(token)
    expect(kept).not.toContain(token.slice(4))
  })
})

describe("authenticate: refuses", () => {
  it("refuses a token from the second of its expiry on", async ({ expect }) => {
    await platform.team("web")
    const body = { label: "short", expiresInS: 60 }
    const { token, expiresAt } = (await platform.send("POST /v1/teams/web/tokens", { body })).body
    expect(expiresAt).toBe("2026-11-20T12:01:00.000Z")
    platform.pass(59_999)
    expect((await whoami(`Bearer ${token}`)).status).toBe(200)
    platform.pass(1)
    expect((await whoami(`Bearer ${token}`)).status).toBe(401)
  })

  it("refuses a revoked token at once, and revoking it again changes nothing", async ({ expect }) => {
    const token = await platform.team("web")
    const [{ id }] = (await platform.send("GET /v1/teams/web/tokens")).body.items
    expect((await platform.send(`DELETE /v1/tokens/${id}`)).status).toBe(204)
    expect((await whoami(`Bearer ${token}`)).status).toBe(401)
    platform.pass(1000)
    expect((await platform.send(`DELETE /v1/tokens/${id}`)).status).toBe(204)
    const [listed] = (await platform.send("GET /v1/teams/web/tokens")).body.items
    expect(listed.revokedAt).toBe("2026-11-20T12:00:00.000Z")
  })

  const wrong: Record<string, string | null> = {
    "no credential": null,
    "an empty one": "",
    "another scheme": `Basic ${btoa(`ops:${OPS_TOKEN}`)}`,
    "the token without scheme": OPS_TOKEN,
    "two tokens": `Bearer ${OPS_TOKEN}, Bearer ${OPS_TOKEN}`,
    "something after the token": `Bearer ${OPS_TOKEN} x`,
    "one character more": `Bearer ${OPS_TOKEN}o`,
    "one character less": `Bearer ${OPS_TOKEN.slice(0, -1)}`,
    "one character else": `Bearer ${OPS_TOKEN.slice(0, -1)}p`,
    "another prefix": `Bearer SPT_${OPS_TOKEN.slice(4)}`,
    "the hash in place of the token": "Bearer 0000000000000000000000000000000000000000000000000000000000000000",
  }
  for (const [what, authorization] of Object.entries(wrong))
    it(`refuses ${what}, always in the same words`, async ({ expect }) => {
      const sent = await whoami(authorization)
      expect(sent.headers.get("www-authenticate")).toBe('Bearer realm="sallyport"')
      expect(sent.body).toEqual({
        type: "/.sallyport/problems/api.unauthenticated",
        title: "A valid API token is required",
        status: 401,
        detail: "Send `Authorization: Bearer <token>`; `sallyport login` stores one.",
        instance: "/v1/whoami",
        code: "api.unauthenticated",
        requestId: sent.headers.get("x-request-id"),
      })
    })

  it("refuses the stored hash itself as a token", async ({ expect }) => {
    await platform.team("web")
    const hash = await platform.deps.db.prepare("SELECT hash FROM tokens").first<string>("hash")
    expect((await whoami(`Bearer ${hash}`)).status).toBe(401)
  })

  it("looks at no cookie and no query parameter", async ({ expect }) => {
    const cookie = await platform.send("GET /v1/whoami", { token: null, headers: { cookie: `token=${OPS_TOKEN}` } })
    expect(cookie.status).toBe(401)
    expect((await platform.send(`GET /v1/whoami?token=${OPS_TOKEN}`, { token: null })).status).toBe(401)
  })

  it("makes no ops token for a team and no team token for ops", async ({ expect }) => {
    const token = await platform.team("web")
    const body = { label: "x", role: "ops" }
    expect((await platform.send("POST /v1/teams/web/tokens", { token, body })).status).toBe(400)
    expect((await platform.send("POST /v1/teams/web/tokens", { body })).status).toBe(400)
    expect((await platform.send("POST /v1/tokens", { body: { label: "x", role: "team" } })).status).toBe(400)
  })
})

/** The same storage under other settings. */
async function startWithout(settings: TestControlPlane["deps"]["settings"]): Promise<TestControlPlane> {
  const { controlPlane } = await import("./app.ts")
  const deps = { ...platform.deps, settings }
  const app = controlPlane(() => deps)
  const before = platform
  return {
    ...before,
    send: async (line, extra) => {
      const [method = "GET", path = "/"] = line.split(" ")
      const response = await app.request(`https://control-plane.example${path}`, {
        method,
        headers: extra?.headers ?? {},
      })
      return { status: response.status, headers: response.headers, body: await response.json() }
    },
  }
}

import { beforeEach, describe, it } from "vitest"
import { startControlPlane, type TestControlPlane } from "../test/harness.ts"
import { operations } from "./api/operations.ts"

let platform: TestControlPlane
beforeEach(async () => {
  platform = await startControlPlane()
})

it("runs in workerd", ({ expect }) => {
  expect(navigator.userAgent).toBe("Cloudflare-Workers")
})

describe("app: works", () => {
  it("answers health and version without a token", async ({ expect }) => {
    const open = { token: null }
    expect((await platform.send("GET /health/alive", open)).body).toEqual({ status: "ok" })
    expect((await platform.send("GET /health/ready", open)).body).toEqual({ status: "ok" })
    expect((await platform.send("GET /version", open)).body).toMatchObject({ environment: "production" })
  })

  it("is not ready while the registry does not answer, and says no more than that", async ({ expect }) => {
    platform = await startControlPlane((env) => ({
      db: new Proxy(env.DB, {
        get: () => () => {
          throw new Error("D1_ERROR: secret detail")
        },
      }),
    }))
    const sent = await platform.send("GET /health/ready", { token: null })
    expect([sent.status, sent.body]).toEqual([503, { status: "not ready" }])
    expect((await platform.send("GET /health/alive", { token: null })).status).toBe(200)
  })

  it("describes each problem where its type points", async ({ expect }) => {
    const sent = await platform.send("GET /.sallyport/problems/route.taken", { token: null })
    expect(sent.body).toMatchObject({ code: "route.taken", status: 409, type: "/.sallyport/problems/route.taken" })
    expect((await platform.send("GET /.sallyport/problems/constructor", { token: null })).status).toBe(404)
  })

  it("answers HEAD as GET without the body", async ({ expect }) => {
    const sent = await platform.send("HEAD /v1/whoami")
    expect([sent.status, sent.body]).toEqual([200, ""])
  })

  it("gives every answer an id of its own and the headers of a safe page", async ({ expect }) => {
    const ids = new Set<string | null>()
    for (const line of [
      "GET /v1/whoami",
      "GET /nothing",
      "GET /health/alive",
      "PATCH /v1/whoami",
      "GET /client/v4/nothing",
    ]) {
      const { headers } = await platform.send(line, { headers: { "x-request-id": "chosen-by-the-client" } })
      ids.add(headers.get("x-request-id"))
      expect(headers.get("x-content-type-options")).toBe("nosniff")
    }
    expect(ids.size).toBe(5)
    expect(ids).not.toContain("chosen-by-the-client")
  })
})

describe("app: refuses", () => {
  it("answers an unknown path and an unknown method as problems, the latter naming the methods there are", async ({
    expect,
  }) => {
    const unknown = await platform.send("GET /v1/nothing")
    expect([unknown.status, unknown.body.code, unknown.body.instance]).toEqual([404, "api.not-found", "/v1/nothing"])
    const method = await platform.send("PATCH /v1/teams/web", { body: {} })
    expect([method.status, method.body.code]).toEqual([405, "api.method-not-allowed"])
    expect(method.headers.get("allow")).toBe("GET, HEAD, PUT, DELETE")
  })

  it("tells nothing of an unforeseen failure but the request id, under which the log has the rest", async ({
    expect,
  }) => {
    platform = await startControlPlane(() => ({
      edge: { explain: () => Promise.reject(new Error("connection to 10.0.0.1 failed: token not-for-clients")) },
    }))
    const sent = await platform.send("POST /v1/explain", { body: { url: "https://api.procore.com/" } })
    expect([sent.status, sent.body.code]).toEqual([500, "internal"])
    expect(JSON.stringify(sent.body)).not.toMatch(/10\.0\.0\.1|not-for-clients|Error/)
    const logged = platform.logs.find((record) => record.event === "request.failed")
    expect(logged).toMatchObject({ requestId: sent.body.requestId, path: "/v1/explain", code: "internal" })
    expect(String(logged?.cause)).toContain("token not-for-clients")
  })

  it("allows no other origin to read its answers", async ({ expect }) => {
    const origin = { origin: "https://evil.example" }
    const sent = await platform.send("GET /v1/whoami", { headers: origin })
    expect(sent.headers.get("access-control-allow-origin")).toBeNull()
    const preflight = await platform.send("OPTIONS /v1/teams/web", { token: null, headers: origin })
    expect([preflight.status, preflight.headers.get("access-control-allow-origin")]).toEqual([405, null])
  })

  const queries = {
    "?nothing=1": "/nothing",
    "?limit=1&limit=2": "/limit",
    "?limit=0": "/limit",
    "?limit=1e3x": "/limit",
    "?cursor=AA": "/cursor",
  }
  for (const [query, pointer] of Object.entries(queries))
    it(`refuses the query ${query} and says which part`, async ({ expect }) => {
      const sent = await platform.send(`GET /v1/teams${query}`)
      expect([sent.status, sent.body.code, sent.body.errors[0].pointer]).toEqual([400, "api.query-invalid", pointer])
    })
})

describe("app: reference", () => {
  it("shows for some operations a body, and each is one that it would take", async ({ expect }) => {
    const { body: description } = await platform.send("GET /openapi.json", { token: null })
    const shown = operations.filter(({ example }) => example !== undefined)
    expect(shown.length).toBeGreaterThan(2)
    for (const { path, method, body, example } of shown) {
      const content = description.paths[path][method.toLowerCase()].requestBody.content["application/json"]
      expect(content.example).toEqual(example)
      expect(body?.safeParse(example).success).toBe(true)
    }
  })

  it("describes every operation, who may call it and what it may refuse, as OpenAPI 3.1", async ({ expect }) => {
    const { body } = await platform.send("GET /openapi.json", { token: null })
    expect(body.openapi).toBe("3.1.0")
    for (const { id, path, method } of operations) {
      const described = body.paths[path]?.[method.toLowerCase()]
      expect(described?.operationId).toBe(id)
      expect(described.security).toEqual([{ token: [] }])
      // Shown as it stands, where a description is read as Markdown.
      expect(described.summary).not.toContain("`")
      expect(Object.keys(described.responses)).toContain("401")
    }
    expect(body.components.schemas.Route.properties.hostname).toEqual({ type: "string" })
    expect(JSON.stringify(body)).not.toContain('"$schema"')
  })

  it("has no reference that leads nowhere", async ({ expect }) => {
    const { body } = await platform.send("GET /openapi.json", { token: null })
    const references = [...JSON.stringify(body).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(
      (match) => match[1],
    )
    expect(references.length).toBeGreaterThan(50)
    for (const name of new Set(references)) expect(body.components.schemas).toHaveProperty(name ?? "")
  })

  it("lets the reference page load scripts of this origin only", async ({ expect }) => {
    platform = await startControlPlane(() => ({ assets: filesOf({ "/docs/index.html": "<!doctype html>" }) }))
    for (const path of ["/docs", "/docs/", "/docs/index.html"]) {
      const sent = await platform.send(`GET ${path}`, { token: null })
      expect([sent.status, sent.body]).toEqual([200, "<!doctype html>"])
      expect(sent.headers.get("content-security-policy")).toContain("default-src 'none'; script-src 'self';")
    }
    expect((await platform.send("GET /docs/nothing.js", { token: null })).body.code).toBe("api.not-found")
  })
})

/** Assets as the platform serves them. */
function filesOf(files: Readonly<Record<string, string>>): Fetcher {
  const fetchFile = async (request: Request) => {
    const text = files[new URL(request.url).pathname]
    return text === undefined ? new Response(null, { status: 404 }) : new Response(text)
  }
  return { fetch: fetchFile, connect: () => Promise.reject(new Error("not used")) } as unknown as Fetcher
}

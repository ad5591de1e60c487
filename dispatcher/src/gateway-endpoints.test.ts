import { describe, expect, it, vi } from "vitest"
import { exampleConfig } from "./example-config.ts"
import { answerGatewayPath, isGatewayPath } from "./gateway-endpoints.ts"
import { testBed } from "./test-dependencies.ts"

const ORIGIN = "https://api.example.com"
const waitUntil = () => undefined

async function get(path: string, init: RequestInit = {}): Promise<Response> {
  const { deps } = await testBed()
  return answerGatewayPath(new Request(`${ORIGIN}${path}`, init), deps, waitUntil)
}

describe("isGatewayPath", () => {
  it.each(["/.sallyport/version", "/.sallyport/", "/.well-known/jwks.json", "/.well-known/jwks.json?x=1"])(
    "keeps %s for the gateway",
    (path) => {
      expect(isGatewayPath(ORIGIN + path)).toBe(true)
    },
  )
  it.each([
    "/",
    "/.sallyport",
    "/.sallyportx/",
    "/.well-known/jwks.jsonx",
    "/.well-known/openid-configuration",
    "/x/.sallyport/",
    "/?/.sallyport/",
  ])("leaves %s to the routes", (path) => {
    expect(isGatewayPath(ORIGIN + path)).toBe(false)
  })
})

describe("answerGatewayPath", () => {
  it("publishes the public keys, cacheable for five minutes", async () => {
    const response = await get("/.well-known/jwks.json")
    expect(response.headers.get("cache-control")).toBe("public, max-age=300")
    const { keys } = (await response.json()) as { keys: Record<string, string>[] }
    expect(keys.map((key) => key.kid)).toEqual(["k1"])
    expect(keys.some((key) => "d" in key)).toBe(false)
  })

  it("tells nothing of a bug but the request id, under which the log has the rest", async () => {
    const { deps } = await testBed()
    const log = vi.spyOn(console, "log").mockImplementation(() => undefined)
    const keys = Object.assign(Object.create(deps.keys), {
      jwks: () => {
        throw new TypeError("of undefined")
      },
    })
    const response = await answerGatewayPath(
      new Request(`${ORIGIN}/.well-known/jwks.json`),
      { ...deps, keys },
      waitUntil,
    )
    const problem = (await response.json()) as { code: string; requestId: string }
    expect([response.status, problem.code]).toEqual([500, "internal"])
    expect(JSON.stringify(problem)).not.toContain("of undefined")
    const failure = { event: "gateway.failed", requestId: problem.requestId, cause: "TypeError: of undefined" }
    expect(log.mock.calls.flat().map((line) => JSON.parse(line))).toEqual([failure])
    log.mockRestore()
  })

  it("is alive", async () => {
    expect((await get("/.sallyport/health/alive")).status).toBe(200)
  })

  it("becomes ready by looking for a config itself", async () => {
    const response = await get("/.sallyport/health/ready")
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ config: { revision: 1, source: "kv" } })
  })

  it("is not ready without a config", async () => {
    const { deps } = await testBed({ revision: 2 })
    const broken = {
      ...deps,
      config: {
        ...deps.config,
        current: () => Promise.reject(new Error("none")),
        status: () => ({ revision: null, source: null, confirmedAgeMs: null }),
      },
    }
    const request = new Request(`${ORIGIN}/.sallyport/health/ready`)
    expect((await answerGatewayPath(request, broken as never, waitUntil)).status).toBe(503)
  })

  it("explains a problem code, and knows no other", async () => {
    expect(await (await get("/.sallyport/problems/auth.token-expired")).json()).toMatchObject({ status: 401 })
    expect((await get("/.sallyport/problems/constructor")).status).toBe(404)
  })

  it.each([
    "/.well-known/jwks.json",
    "/.sallyport/health/alive",
    "/.sallyport/health/ready",
    "/.sallyport/version",
    "/.sallyport/session",
    "/.sallyport/problems/auth.token-expired",
    "/.sallyport/nothing",
  ])("gives %s a request id of its own", async (path) => {
    expect((await get(path)).headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/)
  })

  it("serves keys and health to whoever asks, also where the screen refuses everybody", async () => {
    const { screen } = exampleConfig()
    const { deps } = await testBed({ screen: { ...screen, tls: { ...screen.tls, whenUnknown: "refuse" } } })
    for (const path of ["/.well-known/jwks.json", "/.sallyport/health/alive", "/.sallyport/health/ready"])
      expect((await answerGatewayPath(new Request(`${ORIGIN}${path}`), deps, waitUntil)).status).toBe(200)
  })

  it("answers GET and HEAD alone", async () => {
    const response = await get("/.sallyport/version", { method: "POST" })
    expect(response.status).toBe(405)
    expect(response.headers.get("allow")).toBe("GET, HEAD")
  })
})

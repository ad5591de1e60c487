import { describe, it } from "vitest"
import { type CorsOptions, cors } from "./cors.ts"
import { refuse } from "./problem.ts"
import { worker } from "./worker.ts"

const APP = "https://app.example.com"

/** One Worker behind `cors`; `later` counts what came through. */
function make(options: CorsOptions, answer: () => Response | Promise<Response> = () => new Response("ok")) {
  const app = worker()
  const later = { count: 0 }
  app.use(cors(options))
  app.use(async (_c, next) => {
    later.count++
    await next()
  })
  app.all("*", () => answer())
  const ask = (headers: Record<string, string>, method = "GET") =>
    app.fetch(new Request("https://api.example.com/x", { method, headers }))
  return { ask, later }
}

const corsHeadersOf = (response: Response) =>
  [...response.headers.keys()].filter((name) => name.startsWith("access-control-"))
const preflight = (origin: string) => ({ origin, "access-control-request-method": "PUT" })

describe("cors: answers", () => {
  it("names the origin that is allowed, and says that the answer depends on it", async ({ expect }) => {
    const response = await make({ origins: [APP], exposeHeaders: ["etag"] }).ask({ origin: APP })
    expect(response.headers.get("access-control-allow-origin")).toBe(APP)
    expect(response.headers.get("access-control-expose-headers")).toBe("etag")
    expect(response.headers.get("vary")).toBe("Origin")
    expect(response.headers.has("access-control-allow-credentials")).toBe(false)
    expect(await response.text()).toBe("ok")
  })

  it("says so to a request without an origin and to a refused one too", async ({ expect }) => {
    const { ask } = make({ origins: [APP] })
    for (const headers of [{}, { origin: "https://evil.example" }] as Record<string, string>[]) {
      const response = await ask(headers)
      expect(response.status).toBe(200)
      expect(response.headers.get("vary")).toBe("Origin")
      expect(corsHeadersOf(response)).toEqual([])
    }
  })

  it("keeps what the answer varied by, once", async ({ expect }) => {
    for (const [before, after] of [
      ["Accept-Language", "Accept-Language, Origin"],
      ["accept-language, origin", "accept-language, origin"],
      ["*", "*"],
      ["X-Origin", "X-Origin, Origin"],
    ] as const) {
      const answer = () => new Response("ok", { headers: { vary: before } })
      const response = await make({ origins: [APP] }, answer).ask({ origin: APP })
      expect(response.headers.get("vary")).toBe(after)
    }
  })

  it("adds its headers to a refusal that a later middleware threw", async ({ expect }) => {
    const { ask } = make({ origins: [APP], credentials: true }, () => {
      throw refuse("auth.token-expired")
    })
    const response = await ask({ origin: APP })
    expect(response.status).toBe(401)
    expect(response.headers.get("access-control-allow-origin")).toBe(APP)
    expect(response.headers.get("access-control-allow-credentials")).toBe("true")
  })

  it("takes away what lies behind it says, and copies an answer that cannot be changed once", async ({ expect }) => {
    const behind = { "access-control-allow-origin": "*", "access-control-allow-credentials": "true", etag: '"1"' }
    // What a cache or fetch() gives has headers that cannot be changed.
    const immutable = async () => {
      const cache = await caches.open("cors")
      await cache.put(
        "https://api.example.com/x",
        new Response("ok", { headers: { ...behind, "cache-control": "max-age=60" } }),
      )
      const response = (await cache.match("https://api.example.com/x")) ?? new Response("missing")
      expect(() => response.headers.set("x-a", "b")).toThrow(TypeError)
      return response
    }
    for (const answer of [() => new Response("ok", { headers: behind }), immutable]) {
      const refused = await make({ origins: [APP] }, answer).ask({ origin: "https://evil.example" })
      expect(corsHeadersOf(refused)).toEqual([])
      const allowed = await make({ origins: [APP] }, answer).ask({ origin: APP })
      expect(corsHeadersOf(allowed)).toEqual(["access-control-allow-origin"])
      expect(allowed.headers.get("access-control-allow-origin")).toBe(APP)
      expect(allowed.headers.get("etag")).toBe('"1"')
      expect(await allowed.text()).toBe("ok")
    }
  })

  it("lets a WebSocket through as it is", async ({ expect }) => {
    const answer = () => {
      const [client, server] = Object.values(new WebSocketPair())
      server?.accept()
      return new Response(null, { status: 101, webSocket: client ?? null })
    }
    const response = await make({ origins: [APP] }, answer).ask({ origin: APP })
    expect(response.webSocket).toBeTruthy()
  })
})

describe("cors: origins", () => {
  const nearMisses = [
    "https://app.example.com.evil",
    "https://app.example.com.evil.example",
    "https://evil-app.example.com",
    "https://evil.app.example.com",
    "https://app.example.co",
    "https://app.example.comm",
    "https://APP.example.com",
    "HTTPS://app.example.com",
    "http://app.example.com",
    "https://app.example.com:443",
    "https://app.example.com:8443",
    "https://app.example.com/",
    "https://app.example.com.",
    "https://app.example.com@evil.example",
    "https://app.example.com, https://evil.example",
    "https://app.example.com https://evil.example",
    "app.example.com",
    "null",
    "*",
    "",
  ]
  for (const origin of nearMisses)
    it(`refuses ${JSON.stringify(origin)} where ${APP} is allowed`, async ({ expect }) => {
      const { ask } = make({ origins: [APP], credentials: true })
      expect(corsHeadersOf(await ask({ origin }))).toEqual([])
      expect(corsHeadersOf(await ask(preflight(origin), "OPTIONS"))).toEqual([])
    })

  it("asks a predicate, but not for null nor for what is no single origin", async ({ expect }) => {
    const asked: string[] = []
    const { ask } = make({
      origins: (origin) => {
        asked.push(origin)
        return /^https:\/\/pr-[0-9]+\.example\.com$/.test(origin)
      },
    })
    expect(corsHeadersOf(await ask({ origin: "https://pr-12.example.com" }))).toEqual(["access-control-allow-origin"])
    expect(corsHeadersOf(await ask({ origin: "https://pr-x.example.com" }))).toEqual([])
    for (const origin of ["null", "", "https://a.example, https://b.example", `https://${"a".repeat(300)}.example`])
      expect(corsHeadersOf(await ask({ origin }))).toEqual([])
    expect(asked).toEqual(["https://pr-12.example.com", "https://pr-x.example.com"])
  })

  it("allows nothing by a predicate that returns a promise, or anything but true", async ({ expect }) => {
    for (const returned of [Promise.resolve(true), "yes", 1]) {
      const { ask } = make({ origins: (() => returned) as unknown as (origin: string) => boolean })
      expect(corsHeadersOf(await ask({ origin: APP }))).toEqual([])
    }
  })

  it("answers every origin with * only where that was asked for, and then varies by nothing", async ({ expect }) => {
    const response = await make({ origins: "*" }).ask({ origin: "https://anyone.example" })
    expect(response.headers.get("access-control-allow-origin")).toBe("*")
    expect(response.headers.has("vary")).toBe(false)
  })

  it("says * to a request without an origin as well: a cache may give that answer to one that has an origin", async ({
    expect,
  }) => {
    const response = await make({ origins: "*", exposeHeaders: ["etag"] }).ask({})
    expect(response.headers.get("access-control-allow-origin")).toBe("*")
    expect(response.headers.get("access-control-expose-headers")).toBe("etag")
  })
})

describe("cors: preflights", () => {
  it("answers before any later middleware", async ({ expect }) => {
    const options = { origins: [APP], methods: ["GET", "PUT"], headers: ["x-a", "x-b"], credentials: true, maxAgeS: 60 }
    const { ask, later } = make(options)
    const response = await ask(preflight(APP), "OPTIONS")
    expect(response.status).toBe(204)
    expect(later.count).toBe(0)
    expect(Object.fromEntries(response.headers)).toEqual({
      "access-control-allow-origin": APP,
      "access-control-allow-credentials": "true",
      "access-control-allow-methods": "GET, PUT",
      "access-control-allow-headers": "x-a, x-b",
      "access-control-max-age": "60",
      vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    })
  })

  it("answers a refused origin without a CORS header, and still says what the answer depends on", async ({
    expect,
  }) => {
    const { ask, later } = make({ origins: [APP] })
    const response = await ask(preflight("https://evil.example"), "OPTIONS")
    expect(response.status).toBe(204)
    expect(later.count).toBe(0)
    expect(Object.fromEntries(response.headers)).toEqual({
      vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    })
  })

  it("leaves an OPTIONS that is no preflight, and a GET that looks like one, to the Worker", async ({ expect }) => {
    const { ask, later } = make({ origins: [APP] })
    await ask({ origin: APP }, "OPTIONS")
    await ask({ "access-control-request-method": "PUT" }, "OPTIONS")
    await ask(preflight(APP), "GET")
    expect(later.count).toBe(3)
  })
})

describe("cors: options that can never be right", () => {
  const wrong: Record<string, CorsOptions> = {
    "* with credentials": { origins: "*", credentials: true },
    "no origin": { origins: [] },
    "a trailing slash": { origins: [`${APP}/`] },
    "a path": { origins: [`${APP}/x`] },
    "a default port": { origins: [`${APP}:443`] },
    "a capital": { origins: ["https://App.example.com"] },
    "a bare hostname": { origins: ["app.example.com"] },
    "null by name": { origins: ["null"] },
    "a wildcard inside": { origins: ["https://*.example.com"] },
    "* in the list": { origins: ["*"] },
    "another scheme": { origins: ["ftp://app.example.com"] },
    "plain http with credentials": { origins: ["http://app.example.com"], credentials: true },
    "no method": { origins: [APP], methods: [] },
    "a method in lower case": { origins: [APP], methods: ["put"] },
    "a method that no script can send": { origins: [APP], methods: ["TRACE"] },
    "a header that is none": { origins: [APP], headers: ["x a"] },
    "* as header with credentials": { origins: [APP], headers: ["*"], credentials: true },
    "* to expose with credentials": { origins: [APP], exposeHeaders: ["*"], credentials: true },
    "a cookie to expose": { origins: [APP], exposeHeaders: ["Set-Cookie"] },
    "a negative age": { origins: [APP], maxAgeS: -1 },
    "more than a day": { origins: [APP], maxAgeS: 86_401 },
    "part of a second": { origins: [APP], maxAgeS: 0.5 },
  }
  for (const [name, options] of Object.entries(wrong))
    it(`throws for ${name}`, ({ expect }) => {
      expect(() => cors(options)).toThrow(TypeError)
    })

  for (const [origin, words] of [
    ["", "empty"],
    [" ", "blank"],
    [`${APP}/`, "no slash at the end"],
    [` ${APP}`, "blank"],
    ["app.example.com", "scheme"],
  ] as const)
    it(`says of the origin ${JSON.stringify(origin)} what it is and what one looks like`, ({ expect }) => {
      const make = () => cors({ origins: [origin] })
      expect(make).toThrow(JSON.stringify(origin))
      expect(make).toThrow("https://app.example.com")
      expect(make).toThrow(words)
    })

  it("says of a text that is empty where it may come from", ({ expect }) => {
    expect(() => cors({ origins: "".split(/\s+/) })).toThrow(/variable that is not set/)
    expect(() => cors({ origins: `${APP} `.split(/\s+/) })).toThrow(/blank at its end/)
    expect(() => cors({ origins: [`${APP}/`] })).not.toThrow(/variable/)
  })

  it("takes their near-misses", ({ expect }) => {
    for (const options of [
      { origins: ["http://app.example.com"] },
      { origins: ["http://localhost:5173", "http://app.localhost", "http://127.0.0.1:8787"], credentials: true },
      { origins: [`${APP}:8443`], methods: ["PATCH"], headers: ["*"], maxAgeS: 86_400 },
      { origins: "*" as const, maxAgeS: 0 },
    ])
      expect(() => cors(options)).not.toThrow()
  })
})

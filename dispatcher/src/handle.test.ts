import { decodeJwt, decodeProtectedHeader, SignJWT } from "jose"
import { describe, expect, it } from "vitest"
import type { DispatchConfig, RouteConfig, ScriptConfig, TracingConfig } from "../../contracts/dispatch-config.ts"
import { route } from "../../contracts/dispatch-config.ts"
import { freshLoginCookie } from "../../kit/fresh-login-cookie.ts"
import { clearedSessionCookie } from "../../kit/session-cookie.ts"
import { exampleConfig } from "./example-config.ts"
import { handle } from "./handle.ts"
import { dispatchSibling } from "./sibling.ts"
import { NOW_S, PIN_KEY, type TestBed, testBed } from "./test-dependencies.ts"
import type { TripSpans } from "./trace/trip-spans.ts"

const CONTEXT = { waitUntil: () => undefined }
const FILES = "https://api.example.com/files/1"
const OPEN = "https://api.example.com/open/1"

async function send(bed: TestBed, url: string, init: RequestInit = {}): Promise<Response> {
  return handle(new Request(url, init), CONTEXT, bed.deps)
}

async function asAlice(
  bed: TestBed,
  url = FILES,
  headers: Record<string, string> = {},
  claims = {},
): Promise<Response> {
  return send(bed, url, { headers: { authorization: `Bearer ${await bed.token(claims)}`, ...headers } })
}

async function codeOf(response: Response): Promise<string> {
  expect(response.headers.get("content-type")).toBe("application/problem+json")
  return ((await response.json()) as { code: string }).code
}

function routesWith(...changes: Partial<RouteConfig>[]): Partial<DispatchConfig> {
  const routes = changes.map((each, index) =>
    route.parse({
      id: `r${index}`,
      path: "/files/*",
      script: "files",
      team: "storage",
      auth: { mode: "none" },
      ...each,
    }),
  )
  return { hostnames: { "api.example.com": { team: "storage", routes } } }
}

describe("handle", () => {
  it("dispatches an authenticated request to the placed version, with a passport for that script", async () => {
    const bed = await testBed()
    const response = await asAlice(bed)
    expect(response.status).toBe(200)
    expect(response.headers.get("x-sallyport-config")).toBe("1")
    const [call] = bed.dispatched
    expect(call?.name).toBe("files--v1")
    const passport = call?.request.headers.get("x-passport") ?? ""
    expect(decodeProtectedHeader(passport)).toMatchObject({ typ: "passport+jwt", alg: "ES256" })
    expect(decodeJwt(passport)).toMatchObject({ aud: "script:files", sub: "alice", exp: NOW_S + 60 })
  })

  it("sends with each dispatch the limits and the egress policy of the team, and the request's id", async () => {
    const bed = await testBed()
    const response = await asAlice(bed)
    const requestId = response.headers.get("x-request-id")
    expect(bed.dispatched[0]?.options).toEqual({
      limits: { cpuMs: 1000, subRequests: 50 },
      outbound: {
        egress: {
          team: "storage",
          script: "files",
          version: 1,
          allow: ["https://origin.example"],
          audiences: { "cell:us01": ["https://cell.example"] },
        },
        requestId,
      },
    })
  })

  it.each([
    "x-passport",
    "X_Passport",
    "x_passport",
    "X-Forwarded-For",
    "Forwarded",
    "CF-Connecting-IP",
    "X-Original-URL",
    "x-sallyport-sibling",
    "Cloudflare-Workers-Version-Overrides",
    "Client-Cert",
    "client_cert_chain",
    "X-WebAuth-User",
    "Fastly-Client-IP",
    "authorization",
    "x-sallyport-pin",
    "x-request-id",
    "X-Sallyport-Config",
    "traceparent",
  ])("lets no client's %s through to a Worker, beside plain text and beside other bytes", async (name) => {
    for (const beside of ["plain", "\u00f8"]) {
      const bed = await testBed()
      const response = await send(bed, OPEN, { headers: { [name]: "canary-of-the-client", "x-name": beside } })
      const headers = Object.fromEntries(bed.dispatched[0]?.request.headers ?? [])
      expect(headers).toMatchObject({
        "x-name": beside,
        "x-request-id": response.headers.get("x-request-id"),
        "x-sallyport-config": response.headers.get("x-sallyport-config"),
      })
      expect(JSON.stringify(headers)).not.toContain("canary-of-the-client")
    }
  })

  it.each<[string, string, RequestInit, number, string]>([
    ["an unknown hostname", "https://other.example.com/", {}, 404, "route.hostname-unknown"],
    ["a path without route", "https://api.example.com/filesystem", {}, 404, "route.not-found"],
    ["an ambiguous path", "https://api.example.com/open/..%2ffiles/1", {}, 400, "edge.path-ambiguous"],
    ["a gateway path in another spelling", "https://api.example.com/%2esallyport/version", {}, 404, "route.not-found"],
    ["a method that is not listed", OPEN, { method: "PROPFIND" }, 405, "edge.method-not-allowed"],
    ["no credential where one is required", FILES, {}, 401, "auth.credential-required"],
    ["a wrong credential", FILES, { headers: { authorization: "Bearer x" } }, 401, "auth.credential-invalid"],
  ])("refuses %s, and dispatches and mints nothing", async (_what, url, init, status, code) => {
    const bed = await testBed()
    const response = await send(bed, url, init)
    expect(response.status).toBe(status)
    expect(await codeOf(response)).toBe(code)
    expect(bed.dispatched).toEqual([])
    expect(bed.trips).toMatchObject([{ status, problem: code, version: null }])
    expect(bed.trips[0]?.msPerStage).not.toHaveProperty("passport")
  })

  it("refuses a subject without the route's scopes before anything is minted", async () => {
    const auth = { mode: "required" as const, issuers: ["example-idp"], scopes: ["files:write"] }
    const bed = await testBed(routesWith({ auth }))
    const response = await asAlice(bed, FILES, {}, { scope: "files:read files:write-all" })
    expect(await codeOf(response)).toBe("auth.not-allowed")
    expect(bed.dispatched).toEqual([])
    expect((await asAlice(bed, FILES, {}, { scope: "x files:write" })).status).toBe(200)
  })

  it("answers 503 with Retry-After on a route whose kill switch is on, and only notes it in log mode", async () => {
    const kill = { reason: "incident", retryAfterS: 7 }
    const on = await testBed(routesWith({ kill: { ...kill, mode: "enforce" } }))
    const response = await send(on, FILES)
    expect(response.headers.get("retry-after")).toBe("7")
    expect(await codeOf(response)).toBe("route.killed")
    const logged = await testBed(routesWith({ kill: { ...kill, mode: "log" } }))
    expect((await send(logged, FILES)).status).toBe(200)
    expect(logged.trips[0]?.findings).toEqual([{ code: "route.killed", mode: "log" }])
  })

  it("lets two routes of one script hold different weights", async () => {
    const on = (version: number) => [{ version, weightBps: 10_000 }]
    const bed = await testBed(
      routesWith({ path: "/files/a/*", releases: on(2) }, { path: "/files/b/*", releases: on(3) }),
    )
    await send(bed, "https://api.example.com/files/a/1")
    await send(bed, "https://api.example.com/files/b/1")
    expect(bed.dispatched.map((call) => call.name)).toEqual(["files--v2", "files--v3"])
  })

  it("keeps a company on one version whatever else changes in its requests", async () => {
    const releases = [
      { version: 2, weightBps: 5_000 },
      { version: 3, weightBps: 5_000 },
    ]
    const bed = await testBed(routesWith({ releases }))
    for (let request = 0; request < 20; request++) {
      await send(bed, `${FILES}?n=${request}`, { headers: { "procore-company-id": "42" } })
    }
    expect(new Set(bed.dispatched.map((call) => call.name)).size).toBe(1)
    expect(bed.trips[0]?.releasedBy).toBe("weight")
  })

  it("obeys a signed pin and ignores an unsigned one", async () => {
    const claims = {
      iss: "sallyport-control-plane",
      aud: "sallyport-dispatcher",
      script: "files",
      version: 9,
      iat: NOW_S,
      exp: NOW_S + 60,
    }
    const sign = (key: Uint8Array) =>
      new SignJWT(claims).setProtectedHeader({ alg: "HS256", typ: "release-pin+jwt" }).sign(key)
    const bed = await testBed()
    await send(bed, OPEN, { headers: { "x-sallyport-pin": await sign(PIN_KEY) } })
    await send(bed, OPEN, { headers: { "x-sallyport-pin": await sign(new Uint8Array(32)) } })
    await send(bed, OPEN, { headers: { "x-sallyport-pin": "9" } })
    expect(bed.dispatched.map((call) => call.name)).toEqual(["files--v9", "files--v1", "files--v1"])
    expect(bed.trips.map((trip) => trip.releasedBy)).toEqual(["pin", "only", "only"])
  })

  it("answers a throwing Worker with 502 and not a byte of its message", async () => {
    const bed = await testBed({}, () => {
      throw new Error("secret of the tenant")
    })
    const response = await send(bed, OPEN)
    expect(response.status).toBe(502)
    expect(await response.clone().text()).not.toContain("secret")
    expect(await codeOf(response)).toBe("dispatch.worker-failed")
  })

  it.each<[string, number, () => Response | Promise<Response>, Partial<RouteConfig>]>([
    ["dispatch.worker-failed", 502, () => Promise.reject(new Error("secret")), {}],
    ["dispatch.response-invalid", 502, () => Response.error(), {}],
    ["dispatch.script-missing", 503, () => Promise.reject(new Error("Worker not found.")), {}],
    ["dispatch.limit-exceeded", 503, () => Promise.reject(new Error("Too many subrequests.")), {}],
    ["dispatch.worker-timeout", 504, () => new Promise<Response>(() => undefined), { timeoutMs: 50 }],
  ])("names the release that failed in %s, and none before one was chosen", async (code, status, answer, changes) => {
    const bed = await testBed(routesWith({ releases: [{ version: 3, weightBps: 10_000 }], ...changes }), answer)
    const response = await send(bed, FILES)
    expect(response.status).toBe(status)
    expect(response.headers.get("x-sallyport-release")).toBe("files--v3")
    expect(await codeOf(response)).toBe(code)
    expect((await send(bed, "https://api.example.com/nowhere")).headers.has("x-sallyport-release")).toBe(false)
  })

  it("answers 503 where a script was never deployed", async () => {
    const base = exampleConfig()
    const files = base.scripts.files
    if (files === undefined) throw new Error("the example has a script")
    const bed = await testBed({ scripts: { files: { ...files, releases: null } } })
    expect(await codeOf(await send(bed, OPEN))).toBe("dispatch.script-missing")
  })

  it("reads nothing from the config store in steady state", async () => {
    const bed = await testBed()
    await asAlice(bed)
    const reads = bed.reads()
    for (let request = 0; request < 50; request++) await asAlice(bed)
    expect(bed.reads()).toBe(reads)
  })

  it("writes one trip per request, with no credential, passport or query in it", async () => {
    const bed = await testBed()
    await asAlice(bed, `${FILES}?sig=canary-query`)
    expect(bed.trips).toHaveLength(1)
    expect(bed.trips[0]).toMatchObject({
      event: "trip",
      method: "GET",
      hostname: "api.example.com",
      path: "/files/1",
      route: "files",
      script: "files",
      version: 1,
      team: "storage",
      subjectKind: "user",
      status: 200,
      problem: null,
      releasedBy: "only",
      configRevision: 1,
    })
    const text = JSON.stringify(bed.trips)
    expect(text).not.toContain("canary-query")
    expect(text).not.toContain("eyJ")
  })

  it("turns a bug into a problem that says nothing of it", async () => {
    const bed = await testBed({}, () => new Response("ok"))
    const deps = { ...bed.deps, makeId: () => "id", keys: null as never }
    const response = await handle(new Request(OPEN), CONTEXT, deps)
    expect(response.status).toBe(500)
    expect(await codeOf(response)).toBe("internal")
  })
})

describe("traces", () => {
  const theirs = {
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    tracestate: "a=b",
    baggage: "c=d",
  }
  const trace = async (tracing: Partial<TracingConfig>, headers: Record<string, string> = {}, url = OPEN) => {
    const bed = await testBed({ tracing: { incoming: "restart", sampleBps: 0, ...tracing } })
    const sent: unknown[][] = []
    const tripSpans = { send: async (...span: unknown[]) => void sent.push(span) } as unknown as TripSpans
    const background: Promise<unknown>[] = []
    const waitUntil = (work: Promise<unknown>) => void background.push(work)
    const response = await handle(new Request(url, { headers }), { waitUntil }, { ...bed.deps, tripSpans })
    await Promise.all(background)
    return { response, trip: bed.trips[0], headers: bed.dispatched[0]?.request.headers, sent }
  }

  it("begin at the entrance with ids of the request id, whatever a client says", async () => {
    const { headers, trip, response } = await trace({}, theirs)
    const traceId = response.headers.get("x-request-id")?.replaceAll("-", "")
    expect(trip).toMatchObject({ traceId, spanId: traceId?.slice(16) })
    expect(headers?.get("traceparent")).toBe(`00-${traceId}-${trip?.spanId}-00`)
    expect(headers?.has("tracestate")).toBe(false)
    expect(headers?.has("baggage")).toBe(false)
  })

  it("go on from a client where it is trusted, with what came along", async () => {
    const { headers, trip } = await trace({ incoming: "trust" }, theirs)
    expect(trip?.traceId).toBe("0af7651916cd43dd8448eb211c80319c")
    expect(headers?.get("traceparent")).toBe(`00-${trip?.traceId}-${trip?.spanId}-01`)
    expect(headers?.get("tracestate")).toBe("a=b")
    expect(headers?.get("baggage")).toBe("c=d")
  })

  it("begin anew where a trusted client's context cannot be read, and drop what came along", async () => {
    const { headers, trip } = await trace({ incoming: "trust" }, { ...theirs, traceparent: `${theirs.traceparent}-x` })
    expect(trip?.traceId).not.toBe("0af7651916cd43dd8448eb211c80319c")
    expect(headers?.has("tracestate")).toBe(false)
  })

  it("leave a span when sampled and nothing when not", async () => {
    expect((await trace({})).sent).toEqual([])
    const { sent, trip } = await trace({ sampleBps: 10_000 })
    expect(sent).toMatchObject([
      [trip, { traceId: trip?.traceId, spanId: trip?.spanId, parentSpanId: null }, "/open/*"],
    ])
  })

  it("stand in the problem that a client gets", async () => {
    const { response, trip } = await trace({}, {}, FILES)
    expect(await response.json()).toMatchObject({ code: "auth.credential-required", traceId: trip?.traceId })
  })

  it("are none for a request that could not be read", async () => {
    const { response, trip, sent } = await trace({ sampleBps: 10_000 }, {}, "https://127.0.0.1/")
    expect(await response.json()).not.toHaveProperty("traceId")
    expect(trip).toMatchObject({ traceId: null, spanId: null })
    expect(sent).toEqual([])
  })
})

describe("service workers", () => {
  const workerScript = { headers: { "service-worker": "script" } }
  const ask = (bed: TestBed, path: string) => send(bed, `https://api.example.com${path}`, workerScript)

  it("are served at the root by the hostname's own team alone", async () => {
    const { hostnames } = routesWith({ path: "/*" })
    const own = await testBed({ hostnames: hostnames ?? {} })
    expect((await ask(own, "/sw.js")).status).toBe(200)
    const routes = hostnames?.["api.example.com"]?.routes ?? []
    for (const team of [null, "someone-else"]) {
      const foreign = await testBed({ hostnames: { "api.example.com": { team, routes } } })
      expect(await codeOf(await ask(foreign, "/sw.js"))).toBe("route.service-worker-refused")
      expect((await ask(foreign, "/files/sw.js")).status).toBe(200)
      expect((await send(foreign, "https://api.example.com/sw.js")).status).toBe(200)
    }
  })
})

describe("authorize, by kind of credential", () => {
  it("refuses a user where only services may call", async () => {
    const auth = { mode: "required" as const, issuers: ["example-idp"], scopes: [], kinds: ["service" as const] }
    const bed = await testBed(routesWith({ auth }))
    expect(await codeOf(await asAlice(bed))).toBe("auth.not-allowed")
    const both = await testBed(routesWith({ auth: { ...auth, kinds: ["service", "user"] } }))
    expect((await asAlice(both)).status).toBe(200)
  })

  it("asks anonymous callers for a credential where a kind is asked for", async () => {
    const auth = { mode: "optional" as const, issuers: ["example-idp"], scopes: [], kinds: ["user" as const] }
    expect(await codeOf(await send(await testBed(routesWith({ auth })), FILES))).toBe("auth.credential-required")
  })
})

describe("what a script itself asks", () => {
  const filesWith = (more: Partial<ScriptConfig>): Partial<DispatchConfig> => {
    const files = exampleConfig().scripts.files as ScriptConfig
    return { scripts: { files: { ...files, ...more } } }
  }

  it("is asked on every route that leads to it, also where no credential is checked", async () => {
    const bed = await testBed(filesWith({ access: { scopes: ["read"] } }))
    expect(await codeOf(await asAlice(bed))).toBe("auth.not-allowed")
    expect((await asAlice(bed, FILES, {}, { scope: "write read" })).status).toBe(200)
    expect(await codeOf(await send(bed, OPEN))).toBe("auth.credential-required")
    expect(bed.dispatched).toHaveLength(1)
  })

  const session = { mode: "required" as const, issuers: ["example-idp"], scopes: [], accept: ["session" as const] }
  const bySession = (access: object, auth: object = {}) =>
    testBed({ ...filesWith({ access: { scopes: [], ...access } }), ...routesWith({ auth: { ...session, ...auth } }) })
  const askBy = async (bed: TestBed, changes: object, headers: Record<string, string> = {}) =>
    send(bed, FILES, { headers: { cookie: (await bed.login(changes)).cookie, ...headers }, redirect: "manual" })

  it("may be a level of the session, though the route asks for none", async () => {
    const bed = await bySession({ minLevel: 2 })
    expect((await askBy(bed, { level: 2 })).status).toBe(200)
    expect(await codeOf(await askBy(bed, { level: 1 }))).toBe("auth.step-up-required")
    const open = await testBed(filesWith({ access: { scopes: [], minLevel: 2 } }))
    expect(await codeOf(await asAlice(open))).toBe("auth.step-up-required")
    expect(await codeOf(await send(open, OPEN))).toBe("auth.credential-required")
    expect([...bed.dispatched, ...open.dispatched]).toHaveLength(1)
  })

  it("may be a fresh proof, to the second", async () => {
    const bed = await bySession({ maxAuthAgeS: 300 })
    const proved = (ageS: number) => ({ authenticatedAtMs: (NOW_S - ageS) * 1000 })
    expect((await askBy(bed, proved(300))).status).toBe(200)
    expect(await codeOf(await askBy(bed, proved(301)))).toBe("auth.step-up-required")
  })

  it("may be that revocations are known, though the route does not ask it", async () => {
    for (const [sensitive, status] of [
      [true, 503],
      [false, 200],
    ] as const) {
      const bed = await bySession({ sensitive })
      bed.relay.since = () => Promise.reject(new Error("the relay is down"))
      expect((await askBy(bed, {})).status).toBe(status)
    }
  })

  it("is what a login has to prove together with what the route asks, so that a browser is sent there once", async () => {
    const login = "/login/start"
    const sentTo = async (access: object, auth: object) => {
      const response = await askBy(await bySession(access, { login, ...auth }), {}, { "sec-fetch-mode": "navigate" })
      return response.headers.get("location")?.split("&").slice(1)
    }
    expect(await sentTo({ minLevel: 2 }, {})).toEqual(["level=2"])
    expect(await sentTo({ minLevel: 3, maxAuthAgeS: 600 }, { minLevel: 2, maxAuthAgeS: 300 })).toEqual([
      "level=3",
      "max_age=300",
    ])
    expect(await sentTo({ maxAuthAgeS: 60 }, { minLevel: 2, maxAuthAgeS: 300 })).toEqual(["level=2", "max_age=60"])
  })

  it("ends with 503 and Retry-After on all its routes when it is switched off", async () => {
    const bed = await testBed(filesWith({ kill: { mode: "enforce", reason: "leak", retryAfterS: 7 } }))
    for (const response of [await send(bed, OPEN), await asAlice(bed)]) {
      expect(response.headers.get("retry-after")).toBe("7")
      expect(await codeOf(response)).toBe("dispatch.script-killed")
    }
  })
})

describe("a team that ops switched off", () => {
  const switched = (team: string, mode: "enforce" | "log" = "enforce") => {
    const { teams, scripts } = exampleConfig()
    const none = { grants: [], egress: [] }
    const kill = { mode, reason: "incident", retryAfterS: 7 }
    const all = { ...teams, guests: none, storage: teams.storage ?? none }
    return { scripts, teams: { ...all, [team]: { ...(all[team as keyof typeof all] ?? none), kill } } }
  }
  const byGuests = (changes: ReturnType<typeof switched>) => testBed({ ...routesWith({ team: "guests" }), ...changes })

  it("answers 503 with Retry-After for every route of its own and every route to a script of its own", async () => {
    for (const bed of [
      await testBed(switched("storage")),
      await byGuests(switched("guests")),
      await byGuests(switched("storage")),
    ]) {
      const response = await send(bed, FILES)
      expect(response.headers.get("retry-after")).toBe("7")
      expect(await codeOf(response)).toBe("dispatch.team-killed")
      expect(bed.dispatched).toEqual([])
    }
  })

  it("is only noted in log mode, once where route and script are both its own", async () => {
    const bed = await testBed({ ...routesWith({}), ...switched("storage", "log") })
    expect((await send(bed, FILES)).status).toBe(200)
    expect(bed.trips[0]?.findings).toEqual([{ code: "dispatch.team-killed", mode: "log" }])
  })

  it("takes nothing from the routes of others to scripts of others", async () => {
    const bed = await testBed({ ...routesWith({}), ...switched("guests") })
    expect((await send(bed, FILES)).status).toBe(200)
  })
})

describe("a problem on a route that names who may read it", () => {
  const APP = "https://app.example.com"
  const auth = { mode: "required" as const, issuers: ["example-idp"], scopes: [] }
  const bedOf = (changes: Partial<RouteConfig> = {}) =>
    testBed(routesWith({ auth, problemsReadableBy: [APP, "http://localhost:3000"], ...changes }))
  const from = async (origin: string, changes?: Partial<RouteConfig>) => {
    const { status, headers } = await send(await bedOf(changes), FILES, { headers: { origin } })
    const said = [...headers].filter(([name]) => name.startsWith("access-control-"))
    return { status, said: Object.fromEntries(said), vary: headers.get("vary") }
  }
  const open = (origin: string) => ({
    "access-control-allow-origin": origin,
    "access-control-allow-credentials": "true",
    "access-control-expose-headers":
      "Retry-After, WWW-Authenticate, X-Request-Id, X-Sallyport-Config, X-Sallyport-Release",
  })

  it("is open to scripts of those origins, with credentials", async () => {
    for (const origin of [APP, "http://localhost:3000"])
      expect(await from(origin)).toEqual({ status: 401, said: open(origin), vary: "Origin" })
  })

  it("is open when the screen refuses, before any route was looked for", async () => {
    const { screen } = exampleConfig()
    const methods = { ...screen.methods, allow: ["POST"] }
    const bed = await testBed({ ...routesWith({ auth, problemsReadableBy: [APP] }), screen: { ...screen, methods } })
    const answer = await send(bed, FILES, { headers: { origin: APP } })
    expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([405, APP])
    const elsewhere = await send(bed, "https://api.example.com/elsewhere", { headers: { origin: APP } })
    expect([elsewhere.status, elsewhere.headers.get("access-control-allow-origin")]).toEqual([405, null])
  })

  it("is closed under another spelling of a gateway path, which belongs to no route", async () => {
    const bed = await testBed(routesWith({ path: "/*", auth, problemsReadableBy: [APP] }))
    for (const [path, opened] of [
      ["/%2esallyport/session", null],
      ["/sallyport/session", APP],
    ] as const) {
      const answer = await send(bed, `https://api.example.com${path}`, { headers: { origin: APP } })
      expect([path, answer.headers.get("access-control-allow-origin")]).toEqual([path, opened])
    }
  })

  it("is open when the route is switched off, too", async () => {
    const kill = { mode: "enforce" as const, reason: "incident", retryAfterS: 7 }
    expect(await from(APP, { kill })).toEqual({ status: 503, said: open(APP), vary: "Origin" })
  })

  it.each([
    "null",
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://APP.example.com",
    "https://app.example.com.",
    "https://app.example.com.evil.example",
    "https://app.example.com, https://evil.example",
    `${APP}/`,
  ])("is closed to %s", async (origin) => {
    expect(await from(origin)).toEqual({ status: 401, said: {}, vary: "Origin" })
  })

  it("is closed to all on another route", async () => {
    const response = await send(await testBed(routesWith({ auth })), FILES, { headers: { origin: APP } })
    expect([...response.headers.keys()].filter((name) => /^(vary|access-control-.*)$/.test(name))).toEqual([])
  })

  it("says nothing of what a Worker answers", async () => {
    const answer = await asAlice(await bedOf(), FILES, { origin: APP })
    expect(answer.status).toBe(200)
    expect([...answer.headers.keys()].filter((name) => /^(vary|access-control-.*)$/.test(name))).toEqual([])
  })
})

describe("a CORS preflight", () => {
  const auth = { mode: "required" as const, issuers: ["example-idp"], scopes: ["read"] }
  const preflight = { origin: "https://app.example.com", "access-control-request-method": "PUT" }
  const ask = async (bed: TestBed, method: string, headers: Record<string, string>, body?: string) =>
    send(bed, FILES, { method, headers, ...(body === undefined ? {} : { body }) })

  it("reaches the script of a route that hands it over, without a subject", async () => {
    const bed = await testBed(routesWith({ auth, preflight: "worker" }))
    expect((await ask(bed, "OPTIONS", preflight)).status).toBe(200)
    expect(bed.trips[0]?.subjectKind).toBe("anonymous")
    expect(bed.dispatched[0]?.request.headers.get("access-control-request-method")).toBe("PUT")
  })

  it.each<[string, string, Record<string, string>]>([
    ["another method", "GET", preflight],
    ["an OPTIONS that asks for no method", "OPTIONS", { origin: "https://app.example.com" }],
  ])("is not %s: that needs its credential", async (_what, method, headers) => {
    const bed = await testBed(routesWith({ auth, preflight: "worker" }))
    expect(await codeOf(await ask(bed, method, headers))).toBe("auth.credential-required")
  })

  it("is none when it brings a cookie or a body: its Worker would hear what nobody asked a credential for", async () => {
    const bed = await testBed(routesWith({ auth, preflight: "worker" }))
    const cookie = await ask(bed, "OPTIONS", { ...preflight, cookie: "sid=1" })
    expect(await codeOf(cookie)).toBe("auth.credential-required")
    const body = await ask(bed, "OPTIONS", preflight, "transfer=1")
    expect(await codeOf(body)).toBe("auth.credential-required")
    expect(bed.dispatched).toEqual([])
  })

  it("is none with a credential, which is checked", async () => {
    const bed = await testBed(routesWith({ auth, preflight: "worker" }))
    const wrong = await ask(bed, "OPTIONS", { ...preflight, authorization: "Bearer x.y.z" })
    expect(await codeOf(wrong)).toBe("auth.credential-invalid")
  })

  it("needs a credential on a route that says nothing of it", async () => {
    const bed = await testBed(routesWith({ auth }))
    expect(await codeOf(await ask(bed, "OPTIONS", preflight))).toBe("auth.credential-required")
  })

  it("ends at a kill switch like everything else", async () => {
    const kill = { mode: "enforce" as const, reason: "incident", retryAfterS: 7 }
    const bed = await testBed(routesWith({ auth, preflight: "worker", kill }))
    expect(await codeOf(await ask(bed, "OPTIONS", preflight))).toBe("route.killed")
  })
})

describe("a session", () => {
  const auth = {
    mode: "required" as const,
    issuers: ["example-idp"],
    scopes: [],
    accept: ["session" as const, "bearer" as const, "service-key" as const],
    login: "/login/start",
  }
  const withSession = (bed: TestBed, cookie: string, init: RequestInit = {}, url = FILES) =>
    send(bed, url, { ...init, headers: { cookie: `theme=dark; ${cookie}`, ...init.headers } })

  it("is a credential like any, and reaches the Worker as a passport alone", async () => {
    const bed = await testBed(routesWith({ auth }))
    const { cookie, handle } = await bed.login({ company: "42", scopes: ["read"], level: 2 })
    expect((await withSession(bed, cookie)).status).toBe(200)
    const headers = bed.dispatched[0]?.request.headers
    expect(headers?.get("cookie")).toBe("theme=dark")
    expect(JSON.stringify([...(headers ?? [])])).not.toContain(cookie.slice(30, 60))
    expect(decodeJwt(headers?.get("x-passport") ?? "")).toMatchObject({
      sub: "alice",
      idp: "example-idp",
      kind: "user",
      scope: "read",
      company: "42",
      sid: handle,
      auth_time: NOW_S,
      level: 2,
    })
    expect(JSON.stringify(bed.trips)).not.toContain(cookie.slice(30, 60))
  })

  it("changes nothing for a page of another host of the site", async () => {
    const bed = await testBed(routesWith({ auth }))
    const { cookie } = await bed.login()
    const post = (site: string) => withSession(bed, cookie, { method: "POST", headers: { "sec-fetch-site": site } })
    expect(await codeOf(await post("same-site"))).toBe("auth.cross-site")
    expect((await post("same-origin")).status).toBe(200)
  })

  it("is sent to the login by a navigation when it is none any more, and not by what a page fetches", async () => {
    const bed = await testBed(routesWith({ auth }))
    const navigate = { "sec-fetch-mode": "navigate" }
    const { cookie, handle } = await bed.login({ createdAtMs: (NOW_S - 600) * 1000 })
    bed.sessions.texts.delete(`session/${handle}`)
    for (const headers of [navigate, { ...navigate, cookie }]) {
      const response = await send(bed, `${FILES}?a=b`, { headers, redirect: "manual" })
      expect(response.status).toBe(302)
      expect(response.headers.get("location")).toBe("/login/start?return_to=%2Ffiles%2F1%3Fa%3Db")
      expect(response.headers.get("cache-control")).toBe("no-store")
    }
    expect(await codeOf(await send(bed, FILES))).toBe("auth.credential-required")
    expect(await codeOf(await withSession(bed, cookie))).toBe("auth.session-expired")
    expect(bed.trips[0]).toMatchObject({ status: 302, problem: "auth.login-required" })
  })

  it("that is over is left behind by a navigation to what is open to everybody, which then is answered", async () => {
    const { login: _, ...rest } = auth
    const bed = await testBed(routesWith({ auth: { ...rest, mode: "optional" } }))
    const { cookie, handle } = await bed.login({ createdAtMs: (NOW_S - 600) * 1000 })
    bed.sessions.texts.delete(`session/${handle}`)
    const navigate = { "sec-fetch-mode": "navigate" }
    const response = await send(bed, `${FILES}?a=b`, { headers: { ...navigate, cookie }, redirect: "manual" })
    expect(response.status).toBe(302)
    expect(response.headers.get("location")).toBe("/files/1?a=b")
    expect(response.headers.getSetCookie()).toEqual([clearedSessionCookie()])
    expect((await send(bed, `${FILES}?a=b`, { headers: navigate })).status).toBe(200)
  })

  it("is sent to the login for more by a navigation whose route asks for more", async () => {
    const bed = await testBed(routesWith({ auth: { ...auth, minLevel: 2, maxAuthAgeS: 300 } }))
    const { cookie } = await bed.login()
    const response = await withSession(bed, cookie, { headers: { "sec-fetch-mode": "navigate" } })
    expect(response.headers.get("location")).toBe("/login/start?return_to=%2Ffiles%2F1&level=2&max_age=300")
    const fetched = await withSession(bed, cookie)
    expect(fetched.headers.get("www-authenticate")).toContain('acr_values="2", max_age="300"')
    expect(await codeOf(fetched)).toBe("auth.step-up-required")
  })

  it("keeps a level per route: the same session passes one and not the other", async () => {
    const bed = await testBed(
      routesWith({ auth, path: "/files/a/*" }, { auth: { ...auth, minLevel: 2 }, path: "/files/b/*" }),
    )
    const { cookie } = await bed.login()
    for (let time = 0; time < 2; time++) {
      expect((await withSession(bed, cookie, {}, "https://api.example.com/files/a/1")).status).toBe(200)
      expect((await withSession(bed, cookie, {}, "https://api.example.com/files/b/1")).status).toBe(401)
    }
  })

  it("gives its login's cookies to the scripts of a team that begins sessions, and lets them alone set them", async () => {
    const answer = () =>
      new Response(null, { headers: { "set-cookie": "__Host-sallyport-login=n; Path=/; Secure; HttpOnly" } })
    const teams = (grants: string[]) => ({ teams: { storage: { egress: [], grants } } })
    for (const [grants, seen, set] of [
      [[], null, []],
      [["sessions:login"], "__Host-sallyport-login=l", ["__Host-sallyport-login=n; Path=/; Secure; HttpOnly"]],
    ] as const) {
      const bed = await testBed(teams([...grants]), answer)
      const { cookie } = await bed.login()
      const response = await send(bed, OPEN, { headers: { cookie: `${cookie}; __Host-sallyport-login=l` } })
      expect(bed.dispatched[0]?.request.headers.get("cookie")).toBe(seen)
      expect(response.headers.getSetCookie()).toEqual(set)
    }
  })

  it("serves for thirty minutes and more without its store, in an isolate that knew it and in one that did not", async () => {
    const warm = await testBed(routesWith({ auth }))
    const cold = await testBed(routesWith({ auth }))
    const { cookie } = await warm.login()
    await withSession(warm, cookie)
    const outcomes: number[] = []
    for (const bed of [warm, cold]) {
      bed.sessions.state = "down"
      for (let second = 0; second <= 35 * 60; second += 7) {
        bed.time.nowMs = (NOW_S + second) * 1000
        outcomes.push((await withSession(bed, cookie)).status)
      }
    }
    expect(outcomes).toHaveLength(602)
    expect(outcomes.filter((status) => status !== 200)).toEqual([])
    expect(cold.trips.at(-1)?.findings).toContainEqual({ code: "auth.session-unconfirmed", mode: "log" })
  })
})

describe("revocation", () => {
  const auth = {
    mode: "required" as const,
    issuers: ["example-idp"],
    scopes: [],
    accept: ["session" as const, "bearer" as const],
    login: "/login/start",
  }
  /** A bed whose background work can be waited for. */
  const bedWith = async (asked: Parameters<typeof routesWith>[0]["auth"] = auth) => {
    const bed = await testBed(routesWith({ auth: asked }))
    const behind: Promise<unknown>[] = []
    const context = { waitUntil: (work: Promise<unknown>) => void behind.push(work) }
    const ask = async (headers: Record<string, string>) => {
      const response = await handle(new Request(FILES, { headers }), context, bed.deps)
      await Promise.all(behind.splice(0))
      return response
    }
    return { bed, ask }
  }

  it("ends a session within the poll after it, and nobody else's", async () => {
    const { bed, ask } = await bedWith()
    const [mine, other] = [await bed.login(), await bed.login()]
    for (const { cookie } of [mine, other]) expect((await ask({ cookie })).status).toBe(200)
    await bed.relay.revoke({ kind: "session", session: mine.handle })
    bed.time.nowMs += 1_000
    await ask({ cookie: other.cookie })
    expect(await codeOf(await ask({ cookie: mine.cookie }))).toBe("auth.revoked")
    expect((await ask({ cookie: other.cookie })).status).toBe(200)
  })

  it("of a subject ends what was made until then, by whichever credential, and nothing that is made later", async () => {
    const { bed, ask } = await bedWith()
    const { cookie } = await bed.login()
    const authorization = `Bearer ${await bed.token({ iat: NOW_S })}`
    const others = `Bearer ${await bed.token({ iat: NOW_S, sub: "bob" })}`
    await ask({ cookie })
    await bed.relay.revoke({ kind: "subject", idp: "example-idp", subject: "alice" }, NOW_S * 1000 + 500)
    bed.time.nowMs += 1_000
    await ask({ authorization: others })
    expect(await codeOf(await ask({ cookie }))).toBe("auth.revoked")
    expect(await codeOf(await ask({ authorization }))).toBe("auth.revoked")
    expect((await ask({ authorization: others })).status).toBe(200)
    expect((await ask({ authorization: `Bearer ${await bed.token({ iat: NOW_S + 1 })}` })).status).toBe(200)
    expect((await ask({ cookie: (await bed.login()).cookie })).status).toBe(200)
  })

  it("lets in who logs in anew in the very second of it, and whatever their requests are handed on to", async () => {
    const caller = { script: "files", version: 1, team: "storage" }
    const order = { script: "files", zone: null }
    const granted = { storage: { egress: [], grants: ["dispatch:files"] } }
    const bed = await testBed({ ...routesWith({ auth }), teams: granted })
    await bed.relay.revoke({ kind: "subject", idp: "example-idp", subject: "alice" }, NOW_S * 1000 + 500)
    bed.time.nowMs = NOW_S * 1000 + 501
    expect((await send(bed, FILES, { headers: { cookie: (await bed.login()).cookie } })).status).toBe(200)
    const own = { "x-passport": bed.dispatched[0]?.request.headers.get("x-passport") ?? "" }
    const request = new Request(FILES, { headers: own })
    expect((await dispatchSibling(request, order, caller, CONTEXT, bed.deps)).status).toBe(200)
  })

  it("of a company and of a signing key ends what belongs to them", async () => {
    const { bed, ask } = await bedWith()
    const { cookie } = await bed.login({ company: "42" })
    const near = await bed.login({ company: "421" })
    const authorization = `Bearer ${await bed.token()}`
    await bed.relay.revoke({ kind: "company", company: "42" }, NOW_S * 1000)
    await bed.relay.revoke({ kind: "key", idp: "example-idp", kid: "k1" })
    await ask({ cookie: near.cookie })
    bed.time.nowMs += 1_000
    await ask({ cookie: near.cookie })
    expect(await codeOf(await ask({ cookie }))).toBe("auth.revoked")
    expect(await codeOf(await ask({ authorization }))).toBe("auth.revoked")
    expect((await ask({ cookie: near.cookie })).status).toBe(200)
  })

  it("sends a browser to prove anew who it is", async () => {
    const { bed, ask } = await bedWith()
    const { cookie, handle } = await bed.login()
    await bed.relay.revoke({ kind: "session", session: handle })
    await ask({ cookie })
    const response = await ask({ cookie, "sec-fetch-mode": "navigate" })
    expect(response.headers.get("location")).toBe("/login/start?return_to=%2Ffiles%2F1&max_age=0")
  })

  it("has a browser remember that where it went on without its session, and nothing that a page fetches takes its cookie", async () => {
    const open = { ...auth, mode: "optional" as const }
    for (const [asked, set] of [
      [auth, []],
      [open, [clearedSessionCookie(), freshLoginCookie()]],
    ] as const) {
      const { bed, ask } = await bedWith(asked)
      const { cookie, handle } = await bed.login()
      const authorization = `Bearer ${await bed.token({ iat: NOW_S })}`
      await bed.relay.revoke({ kind: "session", session: handle })
      await bed.relay.revoke({ kind: "subject", idp: "example-idp", subject: "alice" }, NOW_S * 1000)
      await ask({ cookie })
      expect((await ask({ cookie, "sec-fetch-mode": "navigate" })).headers.getSetCookie()).toEqual(set)
      for (const headers of [{ cookie }, { cookie, "sec-fetch-mode": "cors" }, { authorization }]) {
        const response = await ask(headers)
        expect(response.headers.getSetCookie()).toEqual([])
        expect(await codeOf(response)).toBe("auth.revoked")
      }
    }
  })

  it("lets no Worker but the login see that memory", async () => {
    const memory = freshLoginCookie().split(";")[0] ?? ""
    for (const grants of [[], ["sessions:login"]]) {
      const bed = await testBed({
        ...routesWith({ auth: { ...auth, mode: "optional" } }),
        teams: { storage: { egress: [], grants } },
      })
      expect((await send(bed, FILES, { headers: { cookie: `a=1; ${memory}` } })).status).toBe(200)
      const seen = bed.dispatched[0]?.request.headers.get("cookie")
      expect(seen).toBe(grants.length > 0 ? `a=1; ${memory}` : "a=1")
    }
  })
})

describe("in steady state", () => {
  const KEY = "spsa_robot_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN_-0"
  const auth = {
    mode: "required" as const,
    issuers: ["example-idp"],
    scopes: [],
    accept: ["session" as const, "bearer" as const, "service-key" as const],
    sensitive: true,
  }

  it("a thousand requests by session, token and service key ask no store, no relay, no brake and no network before they are dispatched", async () => {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(KEY))
    const hash = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("")
    const bed = await testBed({
      ...routesWith({ auth }),
      serviceAccounts: {
        robot: { scopes: [], keys: [{ id: "first", hash, createdAt: new Date((NOW_S - 60) * 1000).toISOString() }] },
      },
      subjects: { "example-idp/alice": { scopes: ["read"], companies: ["42"] } },
    })
    const background: Promise<unknown>[] = []
    const context = { waitUntil: (work: Promise<unknown>) => void background.push(work) }
    const credentials = [
      { cookie: (await bed.login()).cookie },
      { authorization: `Bearer ${await bed.token()}` },
      { authorization: `Bearer ${KEY}` },
    ]
    for (const headers of credentials)
      expect((await handle(new Request(FILES, { headers }), context, bed.deps)).status).toBe(200)
    await Promise.all(background.splice(0))
    const asked = () => ({ config: bed.reads(), sessions: bed.sessions.calls.length, relay: bed.relay.calls })
    const before = asked()
    const { fetch } = globalThis
    let fetched = 0
    globalThis.fetch = () => {
      fetched += 1
      return Promise.reject(new Error("nothing is fetched"))
    }
    try {
      for (let request = 0; request < 1_002; request++) {
        const headers = credentials[request % 3] ?? {}
        expect((await handle(new Request(FILES, { headers }), context, bed.deps)).status).toBe(200)
      }
    } finally {
      globalThis.fetch = fetch
    }
    expect(asked()).toEqual(before)
    expect({ fetched, background: background.length }).toEqual({ fetched: 0, background: 0 })
    expect(bed.dispatched).toHaveLength(1_005)
    expect(bed.trips.slice(3).every(({ msPerStage }) => Object.keys(msPerStage).join() === "forward")).toBe(true)
  })
})

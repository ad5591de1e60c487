import { trace } from "@opentelemetry/api"
import { beforeEach, describe, it, vi } from "vitest"
import { dispatchSibling } from "./dispatch-sibling.ts"
import { refuse } from "./problem.ts"
import { exportCounts, type TracingOptions, tracing } from "./tracing.ts"
import { worker } from "./worker.ts"

const TRACE = "0af7651916cd43dd8448eb211c80319c"
const SPAN = "b7ad6b7169203331"
const SAMPLED = `00-${TRACE}-${SPAN}-01`
const UNSAMPLED = `00-${TRACE}-${SPAN}-00`
const PASSPORT = `eyJ${"a".repeat(20)}.${"b".repeat(30)}.${"c".repeat(40)}`
const COLLECTOR = { OTLP_ENDPOINT: "https://collector.example/otlp/", OTLP_HEADERS: "x-key=a%20b" }

interface JsonSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly status: { readonly code: number; readonly message?: string }
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[]
  readonly links: readonly { readonly traceId: string }[]
}

/** The outside world, put in place before the first `tracing()` takes the runtime's fetch: a collector, and origins that answer with the headers they got. */
const exported: { readonly headers: Headers; readonly text: string }[] = []
/** Called when an origin has a request that it will not answer. */
let hanging: () => void = () => undefined
let collectorAnswers: () => Promise<Response> = async () => new Response("{}")
// Finished spans wait for others: that time passes in `settled`.
vi.useFakeTimers({ toFake: ["setTimeout"] })
globalThis.fetch = async (input: RequestInfo | URL, init?: RequestInit) => {
  const request = new Request(input, init)
  if (request.url === "https://collector.example/otlp/v1/traces") {
    exported.push({ headers: request.headers, text: await request.text() })
    return collectorAnswers()
  }
  if (request.url.includes("/hanging"))
    return new Promise((_, reject) => {
      request.signal.addEventListener("abort", () => reject(request.signal.reason))
      hanging()
    })
  if (request.url.includes("/unreachable")) throw new TypeError("connection to secret-host lost")
  const body = { headers: Object.fromEntries(request.headers), method: request.method, body: await request.text() }
  return Response.json(body, { status: request.url.includes("/failing") ? 503 : 200 })
}

/** Siblings answer with the headers they got, too. */
const platform = {
  fetch: async (request: Request) => Response.json({ headers: Object.fromEntries(request.headers) }),
}

function appWith(options: Partial<TracingOptions> = {}) {
  const app = worker()
  app.use(tracing({ service: "tested", ...options }))
  app.get("/files/:id", (c) => {
    trace.getActiveSpan()?.setAttribute("file.kind", "drawing")
    return c.text("file")
  })
  app.get("/origin", (c) => fetch(new Request("https://origin.example:8443/a?sig=secret", c.req.raw)))
  app.post("/origin", (c) => fetch("https://origin.example/b", { method: "POST", body: c.req.raw.body }))
  app.post("/rewritten", (c) => fetch("https://origin.example/c", c.req.raw))
  app.get("/sibling", (c) => dispatchSibling(platform, "gateway", c.req.raw))
  app.get("/failing", () => fetch("https://origin.example/failing"))
  app.get("/unreachable", () => fetch("https://origin.example/unreachable"))
  app.get("/aborted-request", async (c) => {
    const abort = new AbortController()
    hanging = () => abort.abort(new RangeError("client gone"))
    const request = new Request("https://origin.example/hanging", { signal: abort.signal })
    const how = c.req.query("how") === "init" ? fetch(request.url, { signal: abort.signal }) : fetch(request)
    return c.text(await how.then(() => "answered", String))
  })
  app.get("/refused", () => Promise.reject(refuse("company.unknown")))
  app.get("/bug", () => Promise.reject(new RangeError("secret text")))
  app.get("/late", (c) => {
    c.executionCtx.waitUntil(scheduler.wait(1).then(() => fetch("https://origin.example/late")))
    return c.text("answered")
  })
  return app
}

/** An execution context, and `settled`: all that was handed to it, also meanwhile. */
function executionContext() {
  const pending: Promise<unknown>[] = []
  const context = {
    waitUntil: (work: Promise<unknown>) => void pending.push(work),
    passThroughOnException: () => undefined,
    props: {},
  }
  const settled = async () => {
    for (let work = pending.shift(); work !== undefined; work = pending.shift())
      await Promise.all([work, vi.advanceTimersByTimeAsync(200)])
  }
  return { context: context as unknown as ExecutionContext, settled }
}

async function ask(
  path: string,
  headers: HeadersInit = {},
  options: Partial<TracingOptions> = {},
  env: object = COLLECTOR,
) {
  const { context, settled } = executionContext()
  const init = path.startsWith("POST ") ? { method: "POST", body: "body" } : {}
  const request = new Request(`https://api.example.com${path.replace("POST ", "")}`, { ...init, headers })
  const response = await appWith(options).fetch(request, env, context)
  const text = await response.text()
  await settled()
  return {
    response,
    text,
    seen: text.startsWith("{") ? (JSON.parse(text) as { headers: Record<string, string>; body: string }) : null,
  }
}

function spansOf(each: { readonly text: string }): JsonSpan[] {
  const document = JSON.parse(each.text) as { resourceSpans: { scopeSpans: { spans: JsonSpan[] }[] }[] }
  return document.resourceSpans.flatMap((resource) => resource.scopeSpans.flatMap((scope) => scope.spans))
}
const spans = () => exported.flatMap(spansOf)
const named = (name: string) => {
  const [found, more] = spans().filter((span) => span.name === name)
  if (found === undefined || more !== undefined) throw new Error(`one span ${name}, not ${JSON.stringify(spans())}`)
  return found
}
const attributesOf = (span: JsonSpan) =>
  Object.fromEntries(span.attributes.map(({ key, value }) => [key, Object.values(value)[0]]))

beforeEach(() => {
  exported.length = 0
  collectorAnswers = async () => new Response("{}")
})

/** Lines of the log that say that tracing is off. */
const log = vi.spyOn(console, "log").mockImplementation(() => undefined)
const saidOff = () => log.mock.calls.map(([line]) => String(line)).filter((line) => line.includes("not-configured"))

describe("variables that cannot be read", () => {
  it("are said in the log, once an isolate, by the name of the variable and never its value", async ({ expect }) => {
    for (const env of [{}, { OTLP_ENDPOINT: "" }, { OTLP_HEADERS: "bad" }, COLLECTOR])
      await ask("/files/7", {}, {}, env)
    expect(saidOff()).toEqual([])
    const wrong = { ...COLLECTOR, OTLP_HEADERS: "x-key secret" }
    for (const env of [wrong, { ...wrong }, { OTLP_ENDPOINT: "secret.example" }]) {
      expect((await ask("/files/7", {}, {}, env)).response.status).toBe(200)
      expect(saidOff()).toEqual([JSON.stringify({ event: "tracing-not-configured", variable: "OTLP_HEADERS" })])
    }
  })
})

describe("the span of a request", () => {
  it("continues the trace that came, and says what was asked and answered", async ({ expect }) => {
    await ask("/files/7?token=secret", { traceparent: SAMPLED, cookie: "c=secret", authorization: "Bearer secret" })
    const span = named("GET /files/:id")
    expect(span).toMatchObject({ traceId: TRACE, parentSpanId: SPAN, kind: 2, status: { code: 0 } })
    expect(attributesOf(span)).toEqual({
      "http.request.method": "GET",
      "url.scheme": "https",
      "url.path": "/files/7",
      "server.address": "api.example.com",
      "http.route": "/files/:id",
      "http.response.status_code": 200,
      "file.kind": "drawing",
    })
    expect(exported[0]?.text).toContain('{"key":"service.name","value":{"stringValue":"tested"}}')
    expect(exported[0]?.text).not.toContain("secret")
  })

  it("begins a trace where none came", async ({ expect }) => {
    await ask("/files/7")
    expect(named("GET /files/:id").traceId).toMatch(/^[0-9a-f]{32}$/)
    expect(named("GET /files/:id").parentSpanId).toBeUndefined()
  })

  it("begins a trace of its own as a root, linked to the one that came", async ({ expect }) => {
    await ask("/files/7", { traceparent: SAMPLED }, { isRoot: true })
    const span = named("GET /files/:id")
    expect(span.traceId).not.toBe(TRACE)
    expect(span.parentSpanId).toBeUndefined()
    expect(span.links.map((link) => link.traceId)).toEqual([TRACE])
  })

  it("takes a malformed traceparent as none", async ({ expect }) => {
    await ask("/files/7", { traceparent: `${SAMPLED}, ${SAMPLED}` })
    expect(named("GET /files/:id").traceId).not.toBe(TRACE)
  })

  it("is an error when the Worker fails, and tells the kind alone", async ({ expect }) => {
    await ask("/bug", { traceparent: SAMPLED })
    expect(named("GET /bug").status).toEqual({ code: 2 })
    expect(attributesOf(named("GET /bug"))).toMatchObject({
      "error.type": "RangeError",
      "http.response.status_code": 500,
    })
    expect(exported[0]?.text).not.toContain("secret text")
  })

  it("is no error when the client was refused", async ({ expect }) => {
    await ask("/refused", { traceparent: SAMPLED })
    expect(named("GET /refused").status.code).toBe(0)
    const attributes = attributesOf(named("GET /refused"))
    expect(attributes).toMatchObject({ "http.response.status_code": 404, "sallyport.problem": "company.unknown" })
    expect(attributes).not.toHaveProperty("error.type")
  })

  it("has no route when no handler took the path", async ({ expect }) => {
    await ask("/nowhere", { traceparent: SAMPLED })
    expect(attributesOf(named("GET"))).toMatchObject({ "http.response.status_code": 404 })
    expect(attributesOf(named("GET"))).not.toHaveProperty("http.route")
  })

  it("holds no token, whoever put it there", async ({ expect }) => {
    await ask(`/files/${PASSPORT}`, { traceparent: SAMPLED, "x-passport": PASSPORT })
    expect(attributesOf(named("GET /files/:id"))["url.path"]).toBe("/files/[token]")
    expect(exported[0]?.text).not.toContain(PASSPORT)
  })
})

describe("calls out", () => {
  it("carry the trace without anything being passed, and are spans of their own", async ({ expect }) => {
    const { seen } = await ask("/origin", { traceparent: SAMPLED, tracestate: "a=b" })
    const server = named("GET /origin")
    const client = named("GET")
    expect(client).toMatchObject({ traceId: TRACE, parentSpanId: server.spanId, kind: 3 })
    expect(attributesOf(client)).toEqual({
      "http.request.method": "GET",
      "server.address": "origin.example",
      "server.port": 8443,
      "url.full": "https://origin.example:8443/a",
      "http.response.status_code": 200,
    })
    expect(seen?.headers).toMatchObject({ traceparent: `00-${TRACE}-${client.spanId}-01`, tracestate: "a=b" })
    expect(exported[0]?.text).not.toContain("secret")
  })

  it("keep their body and their method", async ({ expect }) => {
    const { seen } = await ask("POST /origin", { traceparent: SAMPLED })
    expect(seen).toMatchObject({ method: "POST", body: "body" })
  })

  for (const [how, env] of Object.entries({ recorded: COLLECTOR, "not recorded": {} }))
    it(`keep them too when a request is given as what another address gets, ${how}`, async ({ expect }) => {
      const { seen } = await ask("POST /rewritten", { "x-mine": "1", traceparent: SAMPLED }, {}, env)
      expect(seen).toMatchObject({ method: "POST", body: "body" })
      expect(seen?.headers).toMatchObject({ "x-mine": "1", traceparent: expect.stringContaining(TRACE) })
    })

  it("carry the state of the trace that came only while it goes on", async ({ expect }) => {
    const { seen } = await ask("/origin", { traceparent: SAMPLED, tracestate: "a=b" }, { isRoot: true })
    expect(seen?.headers).not.toHaveProperty("tracestate")
    expect(seen?.headers.traceparent).not.toContain(TRACE)
  })

  it("are errors when the origin fails or is not there", async ({ expect }) => {
    await ask("/failing", { traceparent: SAMPLED })
    expect(attributesOf(named("GET"))).toMatchObject({ "error.type": "503", "http.response.status_code": 503 })
    exported.length = 0
    await ask("/unreachable", { traceparent: SAMPLED })
    expect(named("GET").status).toEqual({ code: 2 })
    expect(attributesOf(named("GET"))["error.type"]).toBe("TypeError")
    expect(exported[0]?.text).not.toContain("secret-host")
  })

  it.for(["init", "request"])("end when their signal, in the %s, says so", async (how, { expect }) => {
    const { text } = await ask(`/aborted-request?how=${how}`, { traceparent: SAMPLED })
    expect(text).toBe("RangeError: client gone")
    expect(attributesOf(named("GET"))["error.type"]).toBe("RangeError")
  })

  it("to a sibling go on in the same trace", async ({ expect }) => {
    const { seen } = await ask("/sibling", { traceparent: SAMPLED })
    const client = named("GET gateway")
    expect(client).toMatchObject({ traceId: TRACE, parentSpanId: named("GET /sibling").spanId, kind: 3 })
    expect(seen?.headers.traceparent).toBe(`00-${TRACE}-${client.spanId}-01`)
  })

  it("that end after the response follow it", async ({ expect }) => {
    await ask("/late", { traceparent: SAMPLED })
    expect(named("GET").parentSpanId).toBe(named("GET /late").spanId)
  })

  it("of requests at the same time keep to their own trace", async ({ expect }) => {
    const ids = Array.from({ length: 20 }, (_, index) => index.toString(16).padStart(32, "a"))
    const answers = await Promise.all(ids.map((id) => ask("/origin", { traceparent: `00-${id}-${SPAN}-01` })))
    expect(answers.map(({ seen }) => seen?.headers.traceparent?.slice(3, 35))).toEqual(ids)
  })
})

describe("what is exported", () => {
  it("goes to the collector once for all spans of a request, with its headers, and makes no span itself", async ({
    expect,
  }) => {
    await ask("/origin", { traceparent: SAMPLED })
    expect(exported).toHaveLength(1)
    expect(exported[0]?.headers.get("x-key")).toBe("a b")
    expect(exported[0]?.headers.get("content-type")).toBe("application/json")
    expect(exported[0]?.headers.has("traceparent")).toBe(false)
    expect(spans()).toHaveLength(2)
  })

  it("goes once for requests that end together", async ({ expect }) => {
    await Promise.all(Array.from({ length: 20 }, () => ask("/origin", { traceparent: SAMPLED })))
    expect([exported.length, spans().length]).toEqual([1, 40])
  })

  it("is nothing of a trace that is not sampled, which goes on all the same", async ({ expect }) => {
    for (const path of ["/origin", "/sibling"]) {
      const { seen } = await ask(path, { traceparent: UNSAMPLED })
      expect(seen?.headers.traceparent).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`))
    }
    expect(exported).toEqual([])
  })

  it.for([
    {},
    { OTLP_ENDPOINT: "" },
    { OTLP_ENDPOINT: "collector" },
    { OTLP_ENDPOINT: "file:///x" },
    { ...COLLECTOR, OTLP_HEADERS: "bad" },
  ])(
    "is nothing without an endpoint that can be sent to, and the trace goes on as it came: %j",
    async (env, { expect }) => {
      for (const path of ["/origin", "/sibling"]) {
        const { seen } = await ask(path, { traceparent: SAMPLED, tracestate: "a=b" }, {}, env)
        expect(seen?.headers).toMatchObject({ traceparent: SAMPLED, tracestate: "a=b" })
      }
      const { seen } = await ask("/origin", { traceparent: SAMPLED }, { isRoot: true }, env)
      expect(seen?.headers.traceparent).toMatch(/^00-(?!0af7651916cd43dd)[0-9a-f]{32}-[0-9a-f]{16}-00$/)
      expect(exported).toEqual([])
    },
  )

  it("is as much of the traces that begin here as is asked for", async ({ expect }) => {
    await ask("/files/7", {}, { sampleBps: 0 })
    expect(exported).toEqual([])
    await ask("/files/7", { traceparent: SAMPLED }, { sampleBps: 0 })
    expect(exported).toHaveLength(1)
  })

  it("is counted when the collector refuses it or is not there, and no client hears of it", async ({ expect }) => {
    const before = exportCounts().failed
    collectorAnswers = async () => new Response(null, { status: 400 })
    expect((await ask("/files/7")).response.status).toBe(200)
    collectorAnswers = () => Promise.reject(new TypeError("down"))
    expect((await ask("/files/7")).response.status).toBe(200)
    expect(exportCounts().failed).toBe(before + 2)
  })

  it("is bounded for one request", async ({ expect }) => {
    const app = worker()
    app.use(tracing({ service: "tested" }))
    app.get("/", async (c) => {
      for (let count = 0; count < 300; count++) trace.getTracer("mine").startSpan("mine").end()
      return c.text("ok")
    })
    const before = exportCounts().dropped
    const { context, settled } = executionContext()
    await app.fetch(new Request("https://api.example.com/"), COLLECTOR, context)
    await settled()
    expect(spans()).toHaveLength(256)
    expect(exportCounts().dropped).toBe(before + 45)
  })
})

describe("tracing", () => {
  it.for([
    { service: "" },
    { service: "a", sampleBps: -1 },
    { service: "a", sampleBps: 10_001 },
    { service: "a", sampleBps: 0.5 },
  ])("is not made of %j", (options, { expect }) => {
    expect(() => tracing(options)).toThrow(TypeError)
  })
})

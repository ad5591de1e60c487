import { TracerProvider } from "@opentelemetry/sdk-trace"
import { describe, it } from "vitest"
import {
  OtlpExporter,
  otlpDestination,
  type ReadableSpan,
  type SpansLost,
  type TracingNotConfigured,
  unreadableOtlpVariable,
} from "./otlp-exporter.ts"

const DESTINATION = { url: "https://collector.example/v1/traces", headers: { "x-key": "k" } }
const finished: ReadableSpan[] = []
const tracer = new TracerProvider({
  spanProcessors: [
    {
      onStart: () => undefined,
      onEnd: (span) => void finished.push(span),
      forceFlush: async () => undefined,
      shutdown: async () => undefined,
    },
  ],
}).getTracer("test")

function spanOf(attributes: Record<string, string> = {}): ReadableSpan {
  tracer.startSpan("a", { attributes }).end()
  const span = finished.pop()
  if (span === undefined) throw new Error("a span that has ended is finished")
  return span
}

describe("otlpDestination", () => {
  it.for([
    ["https://collector.example", "https://collector.example/v1/traces"],
    ["https://collector.example/otlp/", "https://collector.example/otlp/v1/traces"],
    ["https://collector.example//a/b//", "https://collector.example//a/b/v1/traces"],
    ["http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"],
    ["", undefined],
    ["collector.example", undefined],
    ["ftp://collector.example", undefined],
    ["https://collector.example/?key=1", undefined],
  ] as const)("of %s is %s", ([endpoint, url], { expect }) => {
    expect(otlpDestination({ OTLP_ENDPOINT: endpoint })?.url).toBe(url)
  })

  it("is none when no variable is set", ({ expect }) => {
    expect(otlpDestination({})).toBeNull()
  })

  it.for([
    ["a=b", { a: "b" }],
    ["Authorization=Bearer%20x%3D, x-team = edge ,", { authorization: "Bearer x=", "x-team": "edge" }],
    ["", {}],
    ["a", null],
    ["=b", null],
    ["a b=c", null],
    ["a=%", null],
  ] as const)("has the headers %s, or is none", ([list, headers], { expect }) => {
    const destination = otlpDestination({ OTLP_ENDPOINT: "https://collector.example", OTLP_HEADERS: list })
    expect(destination?.headers ?? null).toEqual(headers)
  })
})

describe("unreadableOtlpVariable", () => {
  const endpoint = "https://collector.example"
  it.for([
    [{}, null],
    [{ OTLP_ENDPOINT: "" }, null],
    [{ OTLP_ENDPOINT: endpoint }, null],
    [{ OTLP_ENDPOINT: endpoint, OTLP_HEADERS: "" }, null],
    [{ OTLP_ENDPOINT: endpoint, OTLP_HEADERS: "a=b" }, null],
    // Nothing is to be sent, and so no header is missing.
    [{ OTLP_HEADERS: "a" }, null],
    [{ OTLP_ENDPOINT: "", OTLP_HEADERS: "a" }, null],
    [{ OTLP_ENDPOINT: " " }, "OTLP_ENDPOINT"],
    [{ OTLP_ENDPOINT: "collector.example" }, "OTLP_ENDPOINT"],
    [{ OTLP_ENDPOINT: "ftp://collector.example" }, "OTLP_ENDPOINT"],
    [{ OTLP_ENDPOINT: `${endpoint}/?key=1` }, "OTLP_ENDPOINT"],
    [{ OTLP_ENDPOINT: "collector.example", OTLP_HEADERS: "a" }, "OTLP_ENDPOINT"],
    [{ OTLP_ENDPOINT: endpoint, OTLP_HEADERS: "a" }, "OTLP_HEADERS"],
    [{ OTLP_ENDPOINT: endpoint, OTLP_HEADERS: "a=%" }, "OTLP_HEADERS"],
  ] as const)("of %j is %s", ([variables, name], { expect }) => {
    expect(unreadableOtlpVariable(variables)).toBe(name)
    if (name !== null) expect(otlpDestination(variables)).toBeNull()
  })
})

interface Circumstances {
  /** What the collector answers to each call, in order, and then always `{}`. */
  readonly answers?: (() => Promise<Response>)[]
}

/** An exporter under a clock of its own: nothing is waited for but by `pass`. */
function exporterWith({ answers = [] }: Circumstances = {}) {
  let nowMs = 1_000_000
  let waits: { readonly until: number; readonly over: () => void }[] = []
  const calls: Request[] = []
  const said: SpansLost[] = []
  const notConfigured: TracingNotConfigured[] = []
  const exporter = new OtlpExporter(
    (input, init) => {
      calls.push(new Request(input, init))
      return (answers.shift() ?? (async () => new Response("{}")))()
    },
    {
      clock: { now: () => nowMs },
      wait: (ms) => new Promise((over) => waits.push({ until: nowMs + ms, over: () => over() })),
      log: (record) => (record.event === "spans-lost" ? said.push(record) : notConfigured.push(record)),
    },
  )
  return {
    exporter,
    calls,
    said,
    notConfigured,
    waiting: () => waits.length,
    /** As if the requests that wait were cancelled: none of their timers will come. */
    cancel: () => {
      waits = []
    },
    pass: async (ms: number) => {
      nowMs += ms
      const due = waits.filter(({ until }) => until <= nowMs)
      waits = waits.filter(({ until }) => until > nowMs)
      for (const { over } of due) over()
      await scheduler.wait(0)
    },
  }
}
const some = (count: number) => Array.from({ length: count }, () => spanOf())
const countIn = async (call: Request | undefined) => ((await call?.clone().text()) ?? "").split('"spanId"').length - 1
const never = () => new Promise<Response>(() => undefined)

describe("OtlpExporter: a batch", () => {
  it("goes out as JSON, with the collector's headers and without tokens", async ({ expect }) => {
    const token = `eyJ${"a".repeat(20)}.${"b".repeat(20)}.${"c".repeat(20)}`
    const { exporter, calls, pass } = exporterWith()
    const sent = exporter.send([spanOf({ mine: token }), spanOf()], DESTINATION)
    await pass(200)
    await sent
    expect(calls[0]?.headers.get("x-key")).toBe("k")
    expect(calls[0]?.headers.get("content-type")).toBe("application/json")
    expect(await calls[0]?.text()).toContain('{"stringValue":"[token]"}')
    expect(exporter.counts).toEqual({ sent: 2, failed: 0, dropped: 0 })
  })

  it("holds the spans of all requests that end within its time, and goes when that is over, not before", async ({
    expect,
  }) => {
    const { exporter, calls, pass } = exporterWith()
    const requests = [exporter.send(some(1), DESTINATION)]
    await pass(150)
    requests.push(exporter.send(some(2), DESTINATION))
    await pass(49)
    expect(calls).toHaveLength(0)
    await pass(1)
    expect([calls.length, await countIn(calls[0])]).toEqual([1, 3])
    await pass(1_000)
    await Promise.all(requests)
    expect([calls.length, exporter.counts.sent]).toEqual([1, 3])
  })

  it("goes at once when it is full, and not one span earlier", async ({ expect }) => {
    const { exporter, calls, pass } = exporterWith()
    void exporter.send(some(127), DESTINATION)
    await pass(0)
    expect(calls).toHaveLength(0)
    await exporter.send(some(1), DESTINATION)
    expect([calls.length, await countIn(calls[0])]).toEqual([1, 128])
  })

  it("leaves nothing behind of a request with more spans than it holds", async ({ expect }) => {
    const { exporter, calls, pass } = exporterWith()
    const sent = exporter.send(some(300), DESTINATION)
    await pass(200)
    await sent
    expect(await Promise.all(calls.map(countIn))).toEqual([128, 128, 44])
    expect(exporter.counts.sent).toBe(300)
  })

  it("is sent by the next request when those that waited with it were cancelled", async ({ expect }) => {
    const { exporter, calls, pass, cancel } = exporterWith()
    void exporter.send(some(1), DESTINATION)
    cancel()
    await pass(201)
    expect(calls).toHaveLength(0)
    void exporter.send(some(1), DESTINATION)
    await pass(200)
    expect(await Promise.all(calls.map(countIn))).toEqual([1, 1])
  })

  it("is sent by whoever is left of those that wait with it", async ({ expect }) => {
    const { exporter, calls, pass, cancel } = exporterWith()
    void exporter.send(some(1), DESTINATION)
    await pass(100)
    cancel()
    const last = exporter.send(some(1), DESTINATION)
    await pass(200)
    await last
    expect(await Promise.all(calls.map(countIn))).toEqual([2])
  })

  it("keeps 16 requests waiting and no more; the others end at once", async ({ expect }) => {
    const { exporter, calls, pass, waiting } = exporterWith()
    for (let request = 0; request < 16; request++) void exporter.send(some(1), DESTINATION)
    await exporter.send(some(1), DESTINATION)
    expect(waiting()).toBe(16)
    await pass(200)
    expect([calls.length, await countIn(calls[0])]).toEqual([1, 17])
  })

  it("holds what goes to one collector, and never another's", async ({ expect }) => {
    const { exporter, calls, pass } = exporterWith()
    void exporter.send(some(1), DESTINATION)
    void exporter.send(some(2), { url: "https://other.example/v1/traces", headers: {} })
    await pass(200)
    expect(calls.map(({ url }) => new URL(url).hostname)).toEqual(["collector.example", "other.example"])
    expect(await Promise.all(calls.map(countIn))).toEqual([1, 2])
    expect(calls[1]?.headers.has("x-key")).toBe(false)
  })

  it("is none when a request has no spans", async ({ expect }) => {
    const { exporter, calls, pass, waiting } = exporterWith()
    await exporter.send([], DESTINATION)
    expect(waiting()).toBe(0)
    await pass(200)
    expect(calls).toHaveLength(0)
  })

  it("goes in parts when it is too long for one call, and a span that is too large takes none with it", async ({
    expect,
  }) => {
    const { exporter, calls, said, pass } = exporterWith()
    const large = (length: number) => spanOf({ long: "x".repeat(length) })
    void exporter.send([...some(3), large(600_000), large(600_000), large(1024 * 1024), ...some(3)], DESTINATION)
    await pass(200)
    expect(calls.length).toBeGreaterThan(1)
    expect(exporter.counts).toEqual({ sent: 8, failed: 0, dropped: 1 })
    expect(said).toEqual([{ event: "spans-lost", sent: expect.any(Number), failed: 0, dropped: 1 }])
  })
})

describe("OtlpExporter: what cannot be configured", () => {
  it("is said once, by the name of the variable alone", ({ expect }) => {
    const { exporter, notConfigured, said } = exporterWith()
    exporter.sayNotConfigured("OTLP_HEADERS")
    exporter.sayNotConfigured("OTLP_ENDPOINT")
    exporter.sayNotConfigured("OTLP_HEADERS")
    expect(notConfigured).toEqual([{ event: "tracing-not-configured", variable: "OTLP_HEADERS" }])
    expect(said).toEqual([])
  })
})

describe("OtlpExporter: what is lost", () => {
  it("is counted and said when the collector refuses, redirects or does not answer, and throws nothing", async ({
    expect,
  }) => {
    const answers = [
      async () => new Response(null, { status: 503 }),
      async () => new Response(null, { status: 307, headers: { location: "https://elsewhere.example" } }),
      () => Promise.reject(new TypeError("down")),
    ]
    const { exporter, said } = exporterWith({ answers })
    for (let call = 0; call < 4; call++) await exporter.send(some(128), DESTINATION)
    expect(exporter.counts).toEqual({ sent: 128, failed: 384, dropped: 0 })
    expect(said.map(({ failed }) => failed)).toEqual([128, 256, 384])
  })

  it("is what is beyond 32 calls at once, until the time of a call is over: then that one has failed", async ({
    expect,
  }) => {
    const { exporter, said, pass } = exporterWith({ answers: Array.from({ length: 40 }, () => never) })
    for (let call = 0; call < 33; call++) void exporter.send(some(128), DESTINATION)
    await pass(0)
    expect(exporter.counts).toEqual({ sent: 0, failed: 0, dropped: 128 })
    await pass(5_000)
    void exporter.send(some(128), DESTINATION)
    await pass(0)
    expect(exporter.counts).toEqual({ sent: 0, failed: 0, dropped: 256 })
    await pass(1)
    void exporter.send(some(128), DESTINATION)
    await pass(0)
    expect(exporter.counts).toEqual({ sent: 0, failed: 32 * 128, dropped: 256 })
    expect(said.at(-1)).toEqual({ event: "spans-lost", sent: 0, failed: 32 * 128, dropped: 256 })
  })

  it("is counted once when an answer comes after its call was forgotten", async ({ expect }) => {
    const { promise, resolve } = Promise.withResolvers<Response>()
    const { exporter, pass } = exporterWith({ answers: [() => promise] })
    const late = exporter.send(some(128), DESTINATION)
    await pass(5_001)
    await exporter.send(some(128), DESTINATION)
    expect(exporter.counts).toEqual({ sent: 128, failed: 128, dropped: 0 })
    resolve(new Response("{}"))
    await late
    expect(exporter.counts).toEqual({ sent: 128, failed: 128, dropped: 0 })
  })

  it("is said of what could not even be given", async ({ expect }) => {
    const { exporter, said } = exporterWith()
    exporter.drop(0)
    expect(said).toEqual([])
    exporter.drop(3)
    expect(said).toEqual([{ event: "spans-lost", sent: 0, failed: 0, dropped: 3 }])
  })
})

import { TracerProvider } from "@opentelemetry/sdk-trace"
import { describe, it } from "vitest"
import { OtlpExporter, otlpDestination, type ReadableSpan } from "./otlp-exporter.ts"

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

describe("OtlpExporter", () => {
  it("posts the spans as JSON, with the collector's headers and without tokens", async ({ expect }) => {
    const token = `eyJ${"a".repeat(20)}.${"b".repeat(20)}.${"c".repeat(20)}`
    const sent: Request[] = []
    const exporter = new OtlpExporter(async (input, init) => {
      sent.push(new Request(input, init))
      return new Response("{}")
    })
    await exporter.send([spanOf({ mine: token }), spanOf()], DESTINATION)
    expect(sent[0]?.headers.get("x-key")).toBe("k")
    const text = (await sent[0]?.text()) ?? ""
    expect(text).toContain('{"stringValue":"[token]"}')
    expect(exporter.counts).toEqual({ sent: 2, failed: 0, dropped: 0 })
  })

  it("counts what the collector refuses, redirects or does not answer, and throws nothing", async ({ expect }) => {
    const answers = [
      async () => new Response(null, { status: 503 }),
      async () => new Response(null, { status: 307, headers: { location: "https://elsewhere.example" } }),
      () => Promise.reject(new TypeError("down")),
    ]
    const exporter = new OtlpExporter(() => (answers.shift() ?? (async () => new Response("{}")))())
    for (let call = 0; call < 4; call++) await exporter.send([spanOf()], DESTINATION)
    expect(exporter.counts).toEqual({ sent: 1, failed: 3, dropped: 0 })
  })

  it("drops what is beyond 32 calls at once, and forgets a call whose time is over", async ({ expect }) => {
    let nowMs = 0
    const exporter = new OtlpExporter(() => new Promise(() => undefined), { now: () => nowMs })
    const span = spanOf()
    for (let call = 0; call < 33; call++) void exporter.send([span], DESTINATION)
    expect(exporter.counts.dropped).toBe(1)
    nowMs = 5_000
    void exporter.send([span], DESTINATION)
    expect(exporter.counts.dropped).toBe(2)
    nowMs = 5_001
    void exporter.send([span], DESTINATION)
    expect(exporter.counts.dropped).toBe(2)
  })

  it("drops a batch that is too large", async ({ expect }) => {
    const exporter = new OtlpExporter(async () => new Response("{}"))
    const span = spanOf()
    await exporter.send(
      Array.from({ length: 513 }, () => span),
      DESTINATION,
    )
    await exporter.send([spanOf({ long: "x".repeat(1024 * 1024) })], DESTINATION)
    expect(exporter.counts).toEqual({ sent: 0, failed: 0, dropped: 514 })
    await exporter.send(
      Array.from({ length: 512 }, () => span),
      DESTINATION,
    )
    expect(exporter.counts.sent).toBe(512)
  })
})

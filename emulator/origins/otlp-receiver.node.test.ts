import { gzipSync } from "node:zlib"
import { ROOT_CONTEXT, trace } from "@opentelemetry/api"
import { JsonTraceSerializer, ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer"
import { resourceFromAttributes } from "@opentelemetry/resources"
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type OtlpReceiver, startOtlpReceiver } from "./otlp-receiver.ts"

let receiver: OtlpReceiver
beforeAll(async () => {
  receiver = await startOtlpReceiver({ port: 0 })
})
afterAll(() => receiver.close())

const post = (
  body: string | Uint8Array<ArrayBuffer>,
  type = "application/json",
  headers: Record<string, string> = {},
  path = "/v1/traces",
) => fetch(`${receiver.url}${path}`, { method: "POST", headers: { "content-type": type, ...headers }, body })

/** A root with one child, by OpenTelemetry's own SDK. */
function familyOfSpans() {
  const exporter = new InMemorySpanExporter()
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": "tested" }),
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
  })
  const tracer = provider.getTracer("test")
  const root = tracer.startSpan("root", { attributes: { text: "a", count: 3, part: 0.5, yes: true, list: ["x", "y"] } })
  const child = tracer.startSpan("child", {}, trace.setSpan(ROOT_CONTEXT, root))
  child.addEvent("happened")
  child.end()
  root.end()
  return { spans: exporter.getFinishedSpans(), traceId: root.spanContext().traceId }
}

const ID = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" }
const times = { startTimeUnixNano: "1800000000000000001", endTimeUnixNano: "1800000000000000002" }
const payload = (...spans: object[]) => JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] })

describe("the page of a trace", () => {
  const pageOf = (traceId: string) => fetch(`${receiver.url}/traces/${traceId}`)
  const idOf = (number: number) => number.toString(16).padStart(16, "0")

  it("shows what a span says as text, also an object that is no text", async () => {
    const traceId = "1".repeat(32)
    const key = `<b>"'`
    const odd = { kvlistValue: { values: [{ key: "toString", value: { stringValue: "<i>" } }] } }
    await post(payload({ ...ID, ...times, traceId, name: "<script>", attributes: [{ key, value: odd }] }))
    const response = await pageOf(traceId)
    expect(response.status).toBe(200)
    const html = await response.text()
    expect(html).toContain("&lt;script&gt;")
    expect(html).toContain("&quot;toString&quot;")
    expect(html).not.toMatch(/<(script|b>"|i>)/)
  })

  it("shows each span once, however often its parent was delivered", async () => {
    const traceId = "2".repeat(32)
    const chain = Array.from({ length: 40 }, (_, level) => {
      const parent = level === 0 ? {} : { parentSpanId: idOf(level) }
      return { ...times, traceId, spanId: idOf(level + 1), ...parent, name: `level-${level}` }
    })
    await post(payload(...chain, ...chain))
    const html = await pageOf(traceId).then((response) => response.text())
    expect(html.match(/<b>level-39</g)).toHaveLength(1)
  })

  it("is there for a trace of any depth", async () => {
    const traceId = "3".repeat(32)
    const chain = Array.from({ length: 20_000 }, (_, level) => {
      const parent = level === 0 ? {} : { parentSpanId: idOf(level) }
      return { ...times, traceId, spanId: idOf(level + 1), ...parent, name: "n" }
    })
    expect((await post(payload(...chain))).status).toBe(200)
    expect((await pageOf(traceId)).status).toBe(200)
  })
})

describe("the receiver", () => {
  it.each([
    ["JSON", "application/json", JsonTraceSerializer],
    ["protobuf", "application/x-protobuf", ProtobufTraceSerializer],
  ])("reads what OpenTelemetry's SDK sends as %s", async (_, type, serializer) => {
    const { spans, traceId } = familyOfSpans()
    const body = Buffer.from(serializer.serializeRequest(spans) ?? [])
    const response = await post(gzipSync(body), type, { "content-encoding": "gzip" })
    expect(response.status).toBe(200)
    await receiver.arrived(traceId, 2)
    const tree = receiver.tree(traceId)
    expect(tree.span).toMatchObject({ name: "root", service: "tested", kind: "internal", status: "unset" })
    expect(tree.span.attributes).toEqual({ text: "a", count: 3, part: 0.5, yes: true, list: ["x", "y"] })
    expect(tree.children.map(({ span }) => [span.name, span.events])).toEqual([["child", ["happened"]]])
    expect(receiver.payloads().at(-1)?.equals(body)).toBe(true)
  })

  it("keeps 64-bit times whole", async () => {
    await post(payload({ ...ID, ...times, name: "x", kind: 2 }))
    expect(receiver.spans({ traceId: ID.traceId })[0]).toMatchObject({
      startNs: times.startTimeUnixNano,
      kind: "server",
    })
  })

  it.each([
    ["no JSON", "{", "application/json", 400],
    ["JSON that is no object", "[]", "application/json", 400],
    ["a list that is none", '{"resourceSpans":"x"}', "application/json", 400],
    ["an id that is not hex", payload({ ...ID, ...times, name: "x", spanId: "zz" }), "application/json", 400],
    ["an id too short", payload({ ...ID, ...times, name: "x", spanId: "b7ad6b71692033" }), "application/json", 400],
    ["an id of zeros", payload({ ...ID, ...times, name: "x", spanId: "0".repeat(16) }), "application/json", 400],
    ["a span without a name", payload({ ...ID, ...times }), "application/json", 400],
    [
      "a span that ends before it begins",
      payload({ ...ID, ...times, name: "x", endTimeUnixNano: "1" }),
      "application/json",
      400,
    ],
    ["bytes that are no protobuf", "hello world", "application/x-protobuf", 400],
    ["another media type", "x", "text/plain", 415],
  ])("refuses %s, with a reason", async (_, body, type, status) => {
    const before = receiver.spans().length
    const response = await post(body, type)
    expect(response.status).toBe(status)
    expect(((await response.json()) as { message: string }).message).not.toBe("")
    expect(receiver.spans()).toHaveLength(before)
  })

  it("takes spans at one path alone, and no more than 4 MiB", async () => {
    expect((await post("{}", "application/json", {}, "/v1/metrics")).status).toBe(404)
    expect((await post(new Uint8Array(4 * 1024 * 1024 + 1))).status).toBe(413)
    expect(
      (await post(gzipSync(new Uint8Array(5 * 1024 * 1024)), "application/json", { "content-encoding": "gzip" }))
        .status,
    ).toBe(400)
  })
})

describe("a tree", () => {
  let traces = 0
  const traceOf = async (...parents: [string, string | null][]) => {
    traces += 1
    const traceId = traces.toString(16).padStart(32, "a")
    const spans = parents.map(([spanId, parent]) => ({
      ...times,
      traceId,
      spanId: spanId.repeat(16),
      name: spanId,
      ...(parent === null ? {} : { parentSpanId: parent.repeat(16) }),
    }))
    expect((await post(payload(...spans))).status).toBe(200)
    return traceId
  }

  it("is given when every span hangs on one root", async () => {
    const traceId = await traceOf(["c", "b"], ["a", null], ["b", "a"])
    expect(receiver.tree(traceId)).toMatchObject({
      span: { name: "a" },
      children: [{ span: { name: "b" }, children: [{ span: { name: "c" } }] }],
    })
  })

  it.each<[string, [string, string | null][], RegExp]>([
    [
      "two roots",
      [
        ["a", null],
        ["b", null],
      ],
      /One root is needed/,
    ],
    [
      "no root",
      [
        ["a", "b"],
        ["b", "a"],
      ],
      /One root is needed/,
    ],
    [
      "a circle beside the root",
      [
        ["a", null],
        ["b", "c"],
        ["c", "b"],
      ],
      /not below its root/,
    ],
    [
      "a parent that is missing",
      [
        ["a", null],
        ["b", "d"],
      ],
      /parent of .* is missing/,
    ],
    [
      "one id twice",
      [
        ["a", null],
        ["a", null],
      ],
      /have one id/,
    ],
  ])("is refused for %s", async (_, parents, reason) => {
    const traceId = await traceOf(...parents)
    expect(() => receiver.tree(traceId)).toThrow(reason)
  })

  it("is refused when nothing arrived", () => {
    expect(() => receiver.tree("f".repeat(32))).toThrow(/One root is needed/)
  })
})

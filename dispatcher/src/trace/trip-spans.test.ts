import { describe, expect, it } from "vitest"
import type { TripRecord } from "../../../contracts/trip.ts"
import { OtlpExporter } from "../../../kit/otlp-exporter.ts"
import { TripSpans } from "./trip-spans.ts"

const trace = {
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  isSampled: true,
  isRecorded: true,
  isContinued: false,
}
const record: TripRecord = {
  event: "trip",
  requestId: "11111111-2222-4333-8444-555555555555",
  traceId: trace.traceId,
  spanId: trace.spanId,
  startedAt: 1_800_000_000_123,
  method: "GET",
  hostname: "api.example.com",
  path: `/files/eyJ${"a".repeat(20)}.${"b".repeat(20)}.${"c".repeat(20)}`,
  route: "files",
  script: "files",
  version: 3,
  zone: null,
  team: "storage",
  subjectKind: "user",
  actor: null,
  status: 200,
  problem: null,
  releasedBy: "only",
  configRevision: 7,
  findings: [],
  msPerStage: { forward: 4 },
  totalMs: 5,
}

interface Sent {
  readonly name: string
  readonly parentSpanId?: string
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly status: { readonly code: number }
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[]
}

async function sentFor(
  changes: Partial<TripRecord> = {},
  parentSpanId: string | null = null,
  path: string | null = "/files/*",
) {
  const bodies: string[] = []
  const collect: typeof fetch = async (input, init) => {
    bodies.push(await new Request(input, init).text())
    return new Response("{}")
  }
  const exporter = new OtlpExporter(collect, { wait: async () => undefined })
  const destination = { url: "https://collector.example/v1/traces", headers: {} }
  await new TripSpans(exporter, destination, "test").send({ ...record, ...changes }, { ...trace, parentSpanId }, path)
  const document = JSON.parse(bodies[0] ?? "") as { resourceSpans: [{ scopeSpans: [{ spans: [Sent] }] }] }
  const [span] = document.resourceSpans[0].scopeSpans[0].spans
  const attributes = Object.fromEntries(span.attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
  return { span, attributes, text: bodies[0] ?? "" }
}

describe("the span of a trip", () => {
  it("says what the trip says, without anything that is null and without a token", async () => {
    const { span, attributes, text } = await sentFor()
    expect(span).toMatchObject({ name: "GET /files/*", kind: 2, status: { code: 0 } })
    expect(span.startTimeUnixNano).toBe("1800000000123000000")
    expect(span.endTimeUnixNano).toBe("1800000000128000000")
    expect(span.parentSpanId).toBeUndefined()
    expect(attributes).toEqual({
      "http.request.method": "GET",
      "http.response.status_code": 200,
      "http.route": "/files/*",
      "url.scheme": "https",
      "url.path": "/files/[token]",
      "server.address": "api.example.com",
      "sallyport.request_id": record.requestId,
      "sallyport.route": "files",
      "sallyport.script": "files",
      "sallyport.version": 3,
      "sallyport.team": "storage",
      "sallyport.subject.kind": "user",
      "sallyport.released_by": "only",
      "sallyport.config_revision": 7,
      "sallyport.stage.forward.ms": 4,
    })
    expect(text).toContain('"stringValue":"sallyport-dispatcher"')
  })

  it("is an error from status 500 on, of the kind that the problem names", async () => {
    const failed = await sentFor({ status: 502, problem: "dispatch.worker-failed" })
    expect(failed.span.status.code).toBe(2)
    expect(failed.attributes["error.type"]).toBe("dispatch.worker-failed")
    const refused = await sentFor({ status: 499, problem: "auth.not-allowed" })
    expect(refused.span.status.code).toBe(0)
    expect(refused.attributes).not.toHaveProperty("error.type")
    expect(refused.attributes["sallyport.problem"]).toBe("auth.not-allowed")
  })

  it("hangs on its caller's span, and is named by the script, for a sibling dispatch", async () => {
    const { span, attributes } = await sentFor({ actor: "router", script: "gateway" }, "00f067aa0ba902b7", null)
    expect(span).toMatchObject({ name: "GET gateway", parentSpanId: "00f067aa0ba902b7" })
    expect(attributes["sallyport.actor"]).toBe("router")
  })
})

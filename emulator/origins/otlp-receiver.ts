/**
 * An OpenTelemetry collector as far as tests need one: takes OTLP over HTTP, as protobuf and as JSON, and keeps the spans in memory.
 * Both are read with OpenTelemetry's own schema, as its project generated it from the .proto files (the package `otlp-schema`, see docs/dependencies.md),
 * so that what we export is held against something that is not ours.
 * @see https://opentelemetry.io/docs/specs/otlp/#otlphttp
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { gunzipSync } from "node:zlib"
import schema from "otlp-schema/build/src/generated/root.js"
import { listen } from "../listen.ts"
import { traceListPage, tracePage } from "./trace-page.ts"

/** Bytes of one payload, also after decompression. */
const MOST_BYTES = 4 * 1024 * 1024
/** Payloads and spans that are kept; the oldest go first. */
const MOST_PAYLOADS = 10_000
const MOST_SPANS = 100_000
/** Milliseconds that {@link OtlpReceiver.arrived} waits at most. */
const WAIT_MS = 15_000

export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | null
  readonly name: string
  readonly kind: "internal" | "server" | "client" | "producer" | "consumer" | "unspecified"
  /** `service.name` of the resource; empty when it has none. */
  readonly service: string
  readonly attributes: Readonly<Record<string, unknown>>
  /** Nanoseconds since the epoch, decimal: beyond 53 bits. */
  readonly startNs: string
  readonly endNs: string
  readonly status: "unset" | "ok" | "error"
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly events: readonly string[]
}

export interface SpanTree {
  readonly span: ReceivedSpan
  readonly children: readonly SpanTree[]
}

export interface OtlpReceiver {
  /** `http://127.0.0.1:<port>`: what `OTLP_ENDPOINT` names. */
  readonly url: string
  /** In the order of arrival. */
  spans(query?: { readonly traceId?: string }): readonly ReceivedSpan[]
  /** All spans of the trace as one tree. Throws when there are none, when one's parent is missing, or when there is more than one root. */
  tree(traceId: string): SpanTree
  /** The spans of the trace as soon as there are `count`; rejects after 15 s, saying which there are. */
  arrived(traceId: string, count: number): Promise<readonly ReceivedSpan[]>
  /** Every payload as it came, decompressed: to look for what must not be in any. */
  payloads(): readonly Buffer[]
  /** Headers of each payload's request. */
  requests(): readonly IncomingMessage["headers"][]
  close(): Promise<void>
}

/** Starts it on 127.0.0.1; `port` 0 takes any free one. A payload that the schema does not take is answered with 400 and the reason. */
export async function startOtlpReceiver(options: { readonly port: number }): Promise<OtlpReceiver> {
  const kept: ReceivedSpan[] = []
  const payloads: Buffer[] = []
  const requests: IncomingMessage["headers"][] = []
  const waiting = new Set<() => void>()
  const server = createServer(async (request, response) => {
    try {
      if (request.method === "GET") return showPage(request.url ?? "/", kept, response)
      const { body, type } = await readPayload(request)
      const spans = spansOf(type === "json" ? decodeJson(body) : decodeProtobuf(body))
      keep(kept, spans, MOST_SPANS)
      keep(payloads, [body], MOST_PAYLOADS)
      keep(requests, [request.headers], MOST_PAYLOADS)
      answer(response, 200, type, type === "json" ? "{}" : "")
      for (const look of [...waiting]) look()
    } catch (error) {
      const refused = error instanceof Refused ? error : new Refused(400, String(error))
      answer(response, refused.status, "json", JSON.stringify({ message: refused.message }))
    }
  })
  const { url, stop } = await listen(server, options.port)
  const spans: OtlpReceiver["spans"] = ({ traceId } = {}) =>
    traceId === undefined ? [...kept] : kept.filter((span) => span.traceId === traceId)
  return {
    url,
    spans,
    tree: (traceId) => treeOf(spans({ traceId }), traceId),
    payloads: () => [...payloads],
    requests: () => [...requests],
    close: stop,
    arrived: (traceId, count) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = spans({ traceId })
          if (found.length < count) return
          finish()
          resolve(found)
        }
        const timer = setTimeout(() => {
          finish()
          const names = spans({ traceId }).map((span) => `${span.service} ${span.name}`)
          reject(new Error(`${count} spans of ${traceId} did not arrive; there are: ${names.join(", ") || "none"}`))
        }, WAIT_MS)
        const finish = () => {
          clearTimeout(timer)
          waiting.delete(look)
        }
        waiting.add(look)
        look()
      }),
  }
}

function showPage(url: string, kept: readonly ReceivedSpan[], response: ServerResponse): void {
  const traceId = /^\/traces\/([0-9a-f]{32})$/.exec(url)?.[1]
  const html = url === "/" ? traceListPage(kept) : tracePage(kept.filter((span) => span.traceId === traceId))
  if (html === null) {
    answer(response, 404, "json", JSON.stringify({ message: "there is no such trace" }))
    return
  }
  response.writeHead(200, {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
  })
  response.end(html)
}

/** Why a payload is not taken. */
class Refused extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

async function readPayload(request: IncomingMessage): Promise<{ body: Buffer; type: "json" | "protobuf" }> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  // Read to the end even when it is refused: a client that is still sending does not read the answer.
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length
    if (sizeBytes <= MOST_BYTES) chunks.push(chunk)
  }
  if (request.url !== "/v1/traces") throw new Refused(404, "spans are taken at /v1/traces")
  if (request.method !== "POST") throw new Refused(405, "POST is needed")
  if (sizeBytes > MOST_BYTES) throw new Refused(413, `at most ${MOST_BYTES} bytes`)
  const sent = Buffer.concat(chunks)
  const encoding = request.headers["content-encoding"] ?? "identity"
  if (encoding !== "identity" && encoding !== "gzip") throw new Refused(415, `content-encoding ${encoding}`)
  const body = encoding === "gzip" ? gunzipSync(sent, { maxOutputLength: MOST_BYTES }) : sent
  const mediaType = (request.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase()
  if (mediaType === "application/json") return { body, type: "json" }
  if (mediaType === "application/x-protobuf") return { body, type: "protobuf" }
  throw new Refused(415, "application/json or application/x-protobuf is needed")
}

function answer(response: ServerResponse, status: number, type: "json" | "protobuf", body: string): void {
  const contentType = type === "json" ? "application/json" : "application/x-protobuf"
  response.writeHead(status, { "content-type": contentType }).end(body)
}

function keep<T>(list: T[], more: readonly T[], most: number): void {
  list.push(...more)
  if (list.length > most) list.splice(0, list.length - most)
}

// Decoding

/** What protobufjs generates for a message; the package's types do not name what its root holds. */
interface MessageType {
  decode(bytes: Uint8Array): object
  fromObject(plain: object): object
  verify(message: object): string | null
  toObject(message: object, options: object): object
}
type Collector = { readonly trace: { readonly v1: { readonly ExportTraceServiceRequest: MessageType } } }
const { opentelemetry } = schema as unknown as { opentelemetry: { proto: { collector: Collector } } }
const ExportRequest = opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest
/** What the schema's decoder gives, with bytes as base64, 64-bit numbers and enums as text. */
interface Decoded {
  readonly resourceSpans?: readonly {
    readonly resource?: { readonly attributes?: readonly KeyValue[] }
    readonly scopeSpans?: readonly { readonly spans?: readonly DecodedSpan[] }[]
  }[]
}
interface DecodedSpan {
  readonly traceId?: string
  readonly spanId?: string
  readonly parentSpanId?: string
  readonly name?: string
  readonly kind?: string
  readonly startTimeUnixNano?: string
  readonly endTimeUnixNano?: string
  readonly attributes?: readonly KeyValue[]
  readonly status?: { readonly code?: string }
  readonly links?: readonly { readonly traceId?: string; readonly spanId?: string }[]
  readonly events?: readonly { readonly name?: string }[]
}
interface KeyValue {
  readonly key?: string
  readonly value?: AnyValue
}
interface AnyValue {
  readonly stringValue?: string
  readonly boolValue?: boolean
  readonly intValue?: string
  readonly doubleValue?: number
  readonly arrayValue?: { readonly values?: readonly AnyValue[] }
  readonly kvlistValue?: { readonly values?: readonly KeyValue[] }
  readonly bytesValue?: string
}

function decodeProtobuf(body: Buffer): Decoded {
  return plain(ExportRequest.decode(body))
}

/** OTLP's JSON is that of protobuf but for the ids, which are hex and not base64. */
function decodeJson(body: Buffer): Decoded {
  const document: unknown = JSON.parse(body.toString("utf8"))
  if (typeof document !== "object" || document === null || Array.isArray(document)) throw new TypeError("not an object")
  return plain(ExportRequest.fromObject(withBinaryIds(document) as object))
}

const ID_NAMES: ReadonlySet<string> = new Set(["traceId", "spanId", "parentSpanId"])

function withBinaryIds(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withBinaryIds)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      name,
      ID_NAMES.has(name) ? binaryId(name, each) : withBinaryIds(each),
    ]),
  )
}

function binaryId(name: string, value: unknown): Buffer {
  if (typeof value !== "string" || !/^([0-9a-fA-F]{2})*$/.test(value)) throw new TypeError(`${name} is not hex`)
  return Buffer.from(value, "hex")
}

function plain(message: object): Decoded {
  const fault = ExportRequest.verify(message)
  if (fault !== null) throw new TypeError(fault)
  return ExportRequest.toObject(message, { longs: String, enums: String, bytes: String }) as Decoded
}

function spansOf(decoded: Decoded): ReceivedSpan[] {
  return (decoded.resourceSpans ?? []).flatMap(({ resource, scopeSpans = [] }) => {
    const service = String(recordOf(resource?.attributes)["service.name"] ?? "")
    return scopeSpans.flatMap(({ spans = [] }) => spans.map((span) => received(span, service)))
  })
}

function received(span: DecodedSpan, service: string): ReceivedSpan {
  const { name = "", startTimeUnixNano: startNs = "0", endTimeUnixNano: endNs = "0" } = span
  if (name === "") throw new TypeError("a span has no name")
  if (BigInt(startNs) === 0n || BigInt(endNs) < BigInt(startNs)) throw new TypeError(`${name} ends before it begins`)
  return {
    traceId: hexId("traceId", span.traceId, 16),
    spanId: hexId("spanId", span.spanId, 8),
    parentSpanId: (span.parentSpanId ?? "") === "" ? null : hexId("parentSpanId", span.parentSpanId, 8),
    name,
    kind: KINDS[span.kind ?? ""] ?? "unspecified",
    service,
    attributes: recordOf(span.attributes),
    startNs,
    endNs,
    status: STATUSES[span.status?.code ?? ""] ?? "unset",
    links: (span.links ?? []).map((link) => ({
      traceId: hexId("traceId of a link", link.traceId, 16),
      spanId: hexId("spanId of a link", link.spanId, 8),
    })),
    events: (span.events ?? []).map((event) => event.name ?? ""),
  }
}

const KINDS: Readonly<Record<string, ReceivedSpan["kind"]>> = {
  SPAN_KIND_INTERNAL: "internal",
  SPAN_KIND_SERVER: "server",
  SPAN_KIND_CLIENT: "client",
  SPAN_KIND_PRODUCER: "producer",
  SPAN_KIND_CONSUMER: "consumer",
}
const STATUSES: Readonly<Record<string, ReceivedSpan["status"]>> = {
  STATUS_CODE_OK: "ok",
  STATUS_CODE_ERROR: "error",
}

/** Base64 as hex; all zeros are no id. */
function hexId(what: string, base64: string | undefined, bytes: number): string {
  const id = Buffer.from(base64 ?? "", "base64")
  if (id.length !== bytes || id.every((byte) => byte === 0)) throw new TypeError(`${what} is not ${bytes} bytes`)
  return id.toString("hex")
}

function recordOf(pairs: readonly KeyValue[] = []): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key = "", value = {} }) => [key, valueIn(value)]))
}

function valueIn(value: AnyValue): unknown {
  if (value.intValue !== undefined) return Number(value.intValue)
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(valueIn)
  if (value.kvlistValue !== undefined) return recordOf(value.kvlistValue.values)
  return value.stringValue ?? value.boolValue ?? value.doubleValue ?? value.bytesValue ?? null
}

// The tree

function treeOf(spans: readonly ReceivedSpan[], traceId: string): SpanTree {
  const byId = new Map(spans.map((span) => [span.spanId, span]))
  const say = (span: ReceivedSpan) => `${span.service} ${span.name} (${span.spanId})`
  if (byId.size !== spans.length) throw new Error(`Two spans of ${traceId} have one id`)
  const orphan = spans.find((span) => span.parentSpanId !== null && !byId.has(span.parentSpanId))
  if (orphan !== undefined) throw new Error(`The parent of ${say(orphan)} is missing: ${orphan.parentSpanId}`)
  const roots = spans.filter((span) => span.parentSpanId === null)
  const [root] = roots
  if (root === undefined || roots.length > 1)
    throw new Error(`One root is needed in ${traceId}; there are: ${roots.map(say).join(", ") || "none"}`)
  let reached = 0
  const grow = (span: ReceivedSpan): SpanTree => {
    reached += 1
    return { span, children: spans.filter((each) => each.parentSpanId === span.spanId).map(grow) }
  }
  const tree = grow(root)
  // With one root and no orphan, what is not reached goes in a circle.
  if (reached !== spans.length) throw new Error(`${spans.length - reached} spans of ${traceId} are not below its root`)
  return tree
}

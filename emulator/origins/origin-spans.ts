/**
 * How an origin joins a trace: it continues the `traceparent` that arrives and sends a span of its own, with OpenTelemetry's SDK for Node and as protobuf. It imports
 * nothing of the gateway: a backend in any language does the same with its own SDK.
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import { ROOT_CONTEXT, SpanKind, SpanStatusCode } from "@opentelemetry/api"
import { W3CTraceContextPropagator } from "@opentelemetry/core"
import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer"
import { resourceFromAttributes } from "@opentelemetry/resources"
import {
  AlwaysOffSampler,
  ParentBasedSampler,
  SimpleSpanProcessor,
  type SpanExporter,
  TracerProvider,
} from "@opentelemetry/sdk-trace"

/** Milliseconds for one call to the collector. */
const TIMEOUT_MS = 5_000
const SUCCESS = 0
const FAILED = 1

export interface OriginSpans {
  /** Records `request` until its response is sent or broken off, when it belongs to a trace that is recorded. */
  begin(request: IncomingMessage, response: ServerResponse): void
  /** Resolves when what has ended is sent. */
  stop(): Promise<void>
}

/** `endpoint`: base URL of the collector. */
export function originSpans(service: string, endpoint: string): OriginSpans {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": service }),
    // Nobody but the gateway's entrance decides what is recorded.
    sampler: new ParentBasedSampler({ root: new AlwaysOffSampler() }),
    spanProcessors: [new SimpleSpanProcessor({ exporter: exporterTo(`${endpoint}/v1/traces`) })],
  })
  const tracer = provider.getTracer(service)
  const propagator = new W3CTraceContextPropagator()
  const getter = {
    get: (headers: IncomingMessage["headers"], name: string) => headers[name],
    keys: (headers: IncomingMessage["headers"]) => Object.keys(headers),
  }
  return {
    begin: (request, response) => {
      const { method = "GET", headers } = request
      // As it came: not every target that a client can send parses as a URL.
      const [path = ""] = (request.url ?? "").split("?")
      const attributes = { "http.request.method": method, "url.path": path }
      const parent = propagator.extract(ROOT_CONTEXT, headers, getter)
      const span = tracer.startSpan(method, { kind: SpanKind.SERVER, attributes }, parent)
      response.once("close", () => {
        span.setAttribute("http.response.status_code", response.statusCode)
        if (response.statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
        span.end()
      })
    },
    stop: () => provider.forceFlush().then(() => provider.shutdown()),
  }
}

function exporterTo(url: string): SpanExporter {
  return {
    export: (spans, done) => {
      const body = new Uint8Array(ProtobufTraceSerializer.serializeRequest(spans) ?? [])
      const headers = { "content-type": "application/x-protobuf" }
      fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(TIMEOUT_MS) }).then(
        (response) => done({ code: response.ok ? SUCCESS : FAILED }),
        (error) => done({ code: FAILED, error: error instanceof Error ? error : new Error(String(error)) }),
      )
    },
    shutdown: async () => undefined,
  }
}

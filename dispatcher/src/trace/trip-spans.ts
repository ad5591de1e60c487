/**
 * A sampled trip as an OpenTelemetry span, sent behind the response. It says what the trip record says and nothing else, so that what may not
 * be in the one is not in the other: no query, no credential, no address.
 */
import { SpanKind, SpanStatusCode } from "@opentelemetry/api"
import { scrubPath } from "../../../contracts/trace-context.ts"
import type { TripRecord } from "../../../contracts/trip.ts"
import { type OtlpDestination, type OtlpExporter, type ReadableSpan, resourceOf } from "../../../kit/otlp-exporter.ts"
import type { TraceContext } from "./begin-trace.ts"

const SERVICE = "sallyport-dispatcher"
const SAMPLED = 1

/** Sends trips to one collector; one per isolate. */
export class TripSpans {
  readonly #exporter: OtlpExporter
  readonly #destination: OtlpDestination
  readonly #resource: ReadableSpan["resource"]

  constructor(exporter: OtlpExporter, destination: OtlpDestination, environment: string) {
    this.#exporter = exporter
    this.#destination = destination
    this.#resource = resourceOf(SERVICE, { "deployment.environment.name": environment })
  }

  /** For `waitUntil`; never rejects. `path` is the route's pattern, null when no route was found or a sibling was asked. */
  send(record: TripRecord, trace: TraceContext, path: string | null): Promise<void> {
    return this.#exporter.send([spanOf(record, trace, path, this.#resource)], this.#destination)
  }
}

function spanOf(
  record: TripRecord,
  { traceId, spanId, parentSpanId }: TraceContext,
  path: string | null,
  resource: ReadableSpan["resource"],
): ReadableSpan {
  const inTrace = (id: string) => ({ traceId, spanId: id, traceFlags: SAMPLED })
  const target = record.actor === null ? path : record.script
  return {
    name: target === null ? record.method : `${record.method} ${target}`,
    kind: SpanKind.SERVER,
    spanContext: () => inTrace(spanId),
    ...(parentSpanId === null ? {} : { parentSpanContext: { ...inTrace(parentSpanId), isRemote: true } }),
    startTime: timeOf(record.startedAt),
    endTime: timeOf(record.startedAt + record.totalMs),
    duration: timeOf(record.totalMs),
    ended: true,
    status: { code: record.status >= 500 ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
    attributes: attributesOf(record, path),
    links: [],
    events: [],
    resource,
    instrumentationScope: { name: SERVICE },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  }
}

/** What is null is left out. */
function attributesOf(record: TripRecord, path: string | null): ReadableSpan["attributes"] {
  const known: Record<string, string | number | null> = {
    "http.request.method": record.method,
    "http.response.status_code": record.status,
    "http.route": path,
    "url.scheme": "https",
    "url.path": scrubPath(record.path),
    "server.address": record.hostname,
    "error.type": record.status >= 500 ? (record.problem ?? String(record.status)) : null,
    "sallyport.request_id": record.requestId,
    "sallyport.route": record.route,
    "sallyport.script": record.script,
    "sallyport.version": record.version,
    "sallyport.team": record.team,
    "sallyport.zone": record.zone,
    "sallyport.actor": record.actor,
    "sallyport.subject.kind": record.subjectKind,
    "sallyport.released_by": record.releasedBy,
    "sallyport.problem": record.problem,
    "sallyport.config_revision": record.configRevision,
    ...Object.fromEntries(Object.entries(record.msPerStage).map(([stage, ms]) => [`sallyport.stage.${stage}.ms`, ms])),
  }
  return Object.fromEntries(
    Object.entries(known).filter((entry): entry is [string, string | number] => entry[1] !== null),
  )
}

/** Milliseconds as OpenTelemetry counts: seconds, and nanoseconds beyond them. */
function timeOf(ms: number): [number, number] {
  return [Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)]
}

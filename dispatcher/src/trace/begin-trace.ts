/**
 * Stage "trace": which trace a request belongs to, and who is asked to record it. Runs on every request, so it is a few operations on text: the ids come
 * from the request id, which the gateway makes at random. Whoever knows the one knows the other, and a trace is found by the request id in a problem.
 */
import type { TracingConfig } from "../../../contracts/dispatch-config.ts"
import { parseTraceparent, type TraceParent } from "../../../contracts/trace-context.ts"

/** The span that a trip is. */
export interface TraceContext extends TraceParent {
  readonly parentSpanId: string | null
  /** The trace began elsewhere, and what else came of it (`tracestate`, `baggage`) goes on. */
  readonly isContinued: boolean
  /** The trip becomes a span. The flag alone does not say so: a Worker may record its own trace where ops record none. */
  readonly isRecorded: boolean
}

/** Sixteen bits of the trace id decide, so that the same trace is judged alike wherever it passes. */
const SAMPLE_STEPS = 65_536
const FULL_BPS = 10_000

/** At the entrance. `restart`: nobody outside chooses a trace id, or what is recorded. `trust`: a well-formed `traceparent` does. `requestId` is a UUID. */
export function beginTrace(
  inbound: { readonly requestId: string; readonly traceparent: string | null },
  { incoming, sampleBps }: TracingConfig,
): TraceContext {
  const spanId = spanIdOf(inbound.requestId)
  const sent = incoming === "trust" ? parseTraceparent(inbound.traceparent) : null
  if (sent !== null) return below(sent, spanId, true)
  const traceId = traceIdOf(inbound.requestId)
  const isRecorded = isSampled(traceId, sampleBps)
  return { traceId, spanId, parentSpanId: null, isSampled: isRecorded, isContinued: false, isRecorded }
}

/**
 * At a sibling dispatch: the caller's trace goes on, as its Worker says. One that says nothing, or nothing that can be read, is in the trace of its request id all the
 * same, unrecorded. Where ops record no trace at all, no Worker makes the dispatcher send a span: the flag only goes on. `spanSource` is a UUID that was not used yet: the request
 * id is the entrance's.
 */
export function continueTrace(
  inbound: { readonly requestId: string; readonly traceparent: string | null },
  spanSource: string,
  { incoming, sampleBps }: TracingConfig,
): TraceContext {
  const spanId = spanIdOf(spanSource)
  const sent = parseTraceparent(inbound.traceparent)
  if (sent !== null) return below(sent, spanId, incoming === "trust" || sampleBps > 0)
  const traceId = traceIdOf(inbound.requestId)
  return { traceId, spanId, parentSpanId: null, isSampled: false, isContinued: false, isRecorded: false }
}

function below(
  { traceId, spanId: parentSpanId, isSampled }: TraceParent,
  spanId: string,
  mayRecord: boolean,
): TraceContext {
  return { traceId, spanId, parentSpanId, isSampled, isContinued: true, isRecorded: isSampled && mayRecord }
}

/** A UUID without its hyphens; by slices, which cost a fifth of a search for them. */
function traceIdOf(uuid: string): string {
  return uuid.slice(0, 8) + uuid.slice(9, 13) + uuid.slice(14, 18) + uuid.slice(19, 23) + uuid.slice(24)
}

/** The second half of a UUID: 62 random bits, never all zero. */
function spanIdOf(uuid: string): string {
  return uuid.slice(19, 23) + uuid.slice(24)
}

function isSampled(traceId: string, sampleBps: number): boolean {
  return sampleBps !== 0 && Number.parseInt(traceId.slice(-4), 16) * FULL_BPS < sampleBps * SAMPLE_STEPS
}

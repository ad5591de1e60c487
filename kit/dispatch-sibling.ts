/**
 * A request to another team script, through the platform binding. By `fetch`, not by the RPC method `dispatch`: RPC cannot carry
 * a WebSocket, and costs more. This is the only place that knows. Where `kit/tracing.ts` is in use the call is a span of the ambient trace, which goes on in the sibling.
 */
import {
  type Context,
  context,
  propagation,
  SpanKind,
  SpanStatusCode,
  type TextMapSetter,
  trace,
} from "@opentelemetry/api"
import { SIBLING_HEADER, SIBLING_ZONE_HEADER } from "../contracts/reserved-headers.ts"

/** The `PLATFORM` binding as something to fetch from. */
export interface SiblingDoor {
  fetch(request: Request): Promise<Response>
}

/**
 * The sibling's response, or a problem response (`platform.*`, `dispatch.*`). `request` must carry the `x-passport` that the caller received;
 * its body streams through. `zone` replaces the zone in the sibling's passport. Needs the grant `dispatch:<script>`, and `zone:<zone>` for another zone than the caller's own.
 */
export function dispatchSibling(
  platform: SiblingDoor,
  script: string,
  request: Request,
  options: { readonly zone?: string } = {},
): Promise<Response> {
  const outgoing = new Request(request)
  outgoing.headers.set(SIBLING_HEADER, script)
  if (options.zone !== undefined) outgoing.headers.set(SIBLING_ZONE_HEADER, options.zone)
  const active = trace.getActiveSpan()
  if (active === undefined) return platform.fetch(outgoing)
  if (active.isRecording()) return recorded(platform, script, outgoing)
  carry(context.active(), outgoing)
  return platform.fetch(outgoing)
}

async function recorded(platform: SiblingDoor, script: string, outgoing: Request): Promise<Response> {
  const { method } = outgoing
  const attributes = { "http.request.method": method, "sallyport.script": script }
  const span = trace.getTracer("sallyport").startSpan(`${method} ${script}`, { kind: SpanKind.CLIENT, attributes })
  carry(trace.setSpan(context.active(), span), outgoing)
  try {
    const response = await platform.fetch(outgoing)
    span.setAttribute("http.response.status_code", response.status)
    if (response.status >= 400) {
      span.setAttribute("error.type", String(response.status))
      span.setStatus({ code: SpanStatusCode.ERROR })
    }
    return response
  } catch (thrown) {
    span.setAttribute("error.type", thrown instanceof Error ? thrown.name : "_OTHER")
    span.setStatus({ code: SpanStatusCode.ERROR })
    throw thrown
  } finally {
    span.end()
  }
}

const SETTER: TextMapSetter<Headers> = { set: (headers, name, value) => headers.set(name, value) }

/** The request may bear the headers that the Worker itself received: the state of another trace does not go on with this one. */
function carry(within: Context, outgoing: Request): void {
  outgoing.headers.delete("tracestate")
  propagation.inject(within, outgoing.headers, SETTER)
}

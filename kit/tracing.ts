/**
 * Traces of a team's Worker, by OpenTelemetry's own SDK behind `@opentelemetry/api`: `app.use(tracing({ service: "files" }))`, and from there on nothing is passed
 * by hand. The span of the request is ambient (`trace.getActiveSpan()?.setAttribute("company", id)` anywhere below), and calls out carry `traceparent`.
 *
 * The Worker needs the compatibility flag `nodejs_als`, for `AsyncLocalStorage`. Once per isolate this file registers a context manager, the W3C propagator and a
 * tracer provider, and **replaces the global `fetch`** by one that adds the headers and, where the trace is recorded, a span. Calls through
 * bindings are not seen, but for `kit/dispatch-sibling.ts`, which asks the same API. Spans end when there are response headers: a stream goes on without one.
 * Nothing here puts a query, a cookie, an `authorization` or a passport into a span.
 */
import { AsyncLocalStorage } from "node:async_hooks"
import {
  type Context,
  type ContextManager,
  context,
  createContextKey,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  type TextMapSetter,
  TraceFlags,
  trace,
} from "@opentelemetry/api"
import { W3CTraceContextPropagator } from "@opentelemetry/core"
import {
  ParentBasedSampler,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace"
import type { Context as HonoContext, MiddlewareHandler } from "hono"
import { scrubPath } from "../contracts/trace-context.ts"
import {
  type ExportCounts,
  type OtlpDestination,
  OtlpExporter,
  type OtlpVariables,
  otlpDestination,
  type ReadableSpan,
  resourceOf,
  unreadableOtlpVariable,
} from "./otlp-exporter.ts"
import { Refusal } from "./problem.ts"

export interface TracingOptions {
  /** `service.name` of every span; one per Worker, the script's name. */
  readonly service: string
  /** Begin a trace of its own with each request, linked to the one that came. Default false: the incoming trace goes on. */
  readonly isRoot?: boolean
  /** Basis points of the traces that begin here, 0–10 000, default all. Of a trace that began elsewhere its own flag decides. */
  readonly sampleBps?: number
}

/** Bounds of one span, and the spans of one request; what is beyond is dropped and counted. */
const LIMITS = {
  attributeCountLimit: 64,
  attributeValueLengthLimit: 1024,
  eventCountLimit: 32,
  linkCountLimit: 8,
} as const
const MOST_SPANS_OF_A_REQUEST = 256
const FULL_BPS = 10_000
const TRACER = "sallyport"
const TRACESTATE = "tracestate"

/**
 * A span for each request, named by method and route, and where `OTLP_ENDPOINT` (and `OTLP_HEADERS`) are set among the Worker's variables the finished spans go there
 * in `waitUntil`, with OTLP over HTTP; the team's egress must list that origin. Without an endpoint nothing is recorded, and the trace is handed on as it came; nor is it with a variable that
 * is there and cannot be read, which the log says once an isolate (`tracing-not-configured`).
 * Add it first. Throws a TypeError when made with a service without name or a sample beyond its bounds.
 *
 * ```ts
 * const app = worker<Env>({ log: writeLog })
 * app.use(tracing({ service: "files" }))
 * app.get("/files/:id", async (c) => {
 *   trace.getActiveSpan()?.setAttribute("file.kind", "drawing")
 *   return fetch(`https://origin.example/${c.req.param("id")}`) // carries traceparent
 * })
 * ```
 */
export function tracing({ service, isRoot = false, sampleBps = FULL_BPS }: TracingOptions): MiddlewareHandler {
  if (service === "") throw new TypeError("A service needs a name")
  if (!Number.isInteger(sampleBps) || sampleBps < 0 || sampleBps > FULL_BPS)
    throw new TypeError(`sampleBps is a whole number from 0 to ${FULL_BPS}`)
  const provider = makeProvider(service, sampleBps)
  const { exporter } = installOnce(provider)
  const tracer = provider.getTracer(TRACER)
  const destinationOf = rememberedDestination(exporter)

  return async function tracing(c, next) {
    const destination = destinationOf(c.env ?? {})
    const incoming = propagation.extract(ROOT_CONTEXT, c.req.raw.headers, HEADERS)
    const sent = trace.getSpanContext(incoming)
    if (destination === null) return context.with(isRoot || sent === undefined ? unrecorded() : incoming, next)

    const spans = new RequestSpans(exporter, destination, c)
    const links = isRoot && sent !== undefined ? [{ context: sent }] : []
    const parent = incoming.setValue(SPANS_OF_REQUEST, spans)
    const { method } = c.req
    const span = tracer.startSpan(method, { kind: SpanKind.SERVER, root: isRoot, links }, parent)
    const active = trace.setSpan(parent, span)
    if (!span.isRecording()) return context.with(active, next)
    const ownRoute = c.req.routePath
    span.setAttributes(requestAttributes(method, c.req.url))
    try {
      await context.with(active, next)
      describeAnswer(span, c, ownRoute)
    } catch (thrown) {
      fail(span, nameOf(thrown))
      throw thrown
    } finally {
      span.end()
      spans.close()
    }
  }
}

/** Spans of this isolate that were sent, that the collector did not take, and that were dropped unsent. */
export function exportCounts(): Readonly<ExportCounts> {
  return installed?.exporter.counts ?? { sent: 0, failed: 0, dropped: 0 }
}

const HEADERS: TextMapGetter<Headers> & TextMapSetter<Headers> = {
  get: (headers, name) => headers.get(name) ?? undefined,
  keys: (headers) => [...headers.keys()],
  set: (headers, name, value) => headers.set(name, value),
}

/** Reads the variables again only when they are others: they are the same for an isolate's life, and parsing a URL for each request is not. */
function rememberedDestination(exporter: OtlpExporter): (variables: OtlpVariables) => OtlpDestination | null {
  let known: { readonly from: OtlpVariables; readonly destination: OtlpDestination | null } | null = null
  return ({ OTLP_ENDPOINT = "", OTLP_HEADERS = "" }) => {
    if (known?.from.OTLP_ENDPOINT !== OTLP_ENDPOINT || known.from.OTLP_HEADERS !== OTLP_HEADERS) {
      const from = { OTLP_ENDPOINT, OTLP_HEADERS }
      known = { from, destination: otlpDestination(from) }
      const unreadable = unreadableOtlpVariable(from)
      if (unreadable !== null) exporter.sayNotConfigured(unreadable)
    }
    return known.destination
  }
}

// What a span says

function requestAttributes(method: string, url: string) {
  const { protocol, hostname, pathname } = new URL(url)
  return {
    "http.request.method": method,
    "url.scheme": protocol.slice(0, -1),
    "url.path": scrubPath(pathname),
    "server.address": hostname,
  }
}

/** The last handler that Hono ran names the route; when none matched more narrowly than this middleware, the route is not known. */
function describeAnswer(span: Span, c: HonoContext, ownRoute: string): void {
  const { status } = c.res
  const { routePath } = c.req
  span.setAttribute("http.response.status_code", status)
  if (routePath !== ownRoute) {
    span.setAttribute("http.route", routePath)
    span.updateName(`${c.req.method} ${routePath}`)
  }
  if (c.error instanceof Refusal) span.setAttribute("sallyport.problem", c.error.code)
  if (status >= 500) fail(span, c.error === undefined ? String(status) : nameOf(c.error))
}

/** Never the message: it may hold anything. */
function nameOf(thrown: unknown): string {
  if (thrown instanceof Refusal) return thrown.code
  return thrown instanceof Error ? thrown.name : "_OTHER"
}

function fail(span: Span, type: string): void {
  span.setAttribute("error.type", type)
  span.setStatus({ code: SpanStatusCode.ERROR })
}

// Calls out

/** The runtime's fetch with the trace on it. It never touches the body: only the headers are copied. */
function tracedFetch(runtimeFetch: typeof fetch): typeof fetch {
  return async function fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const parent = trace.getActiveSpan()
    if (parent === undefined) return runtimeFetch(input, init)
    // `fetch(address, request)`: what a Request says is not its own properties, and would be lost with a copy of them.
    if (init instanceof Request) return fetch(new Request(input, init))
    const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined))
    if (!isRecorded(parent)) return runtimeFetch(input, { ...init, headers: injected(headers, context.active()) })

    const method = init?.method ?? (input instanceof Request ? input.method : "GET")
    const attributes = callAttributes(method, input instanceof Request ? input.url : String(input))
    const span = trace.getTracer(TRACER).startSpan(method, { kind: SpanKind.CLIENT, attributes })
    try {
      const active = trace.setSpan(context.active(), span)
      const response = await runtimeFetch(input, { ...init, headers: injected(headers, active) })
      span.setAttribute("http.response.status_code", response.status)
      if (response.status >= 400) fail(span, String(response.status))
      return response
    } catch (thrown) {
      fail(span, nameOf(thrown))
      throw thrown
    } finally {
      span.end()
    }
  }
}

/** Whether calls below `parent` are sent anywhere. It may itself have ended, and no longer record: what runs in `waitUntil` still belongs to it. */
function isRecorded(parent: Span): boolean {
  const isSampled = (parent.spanContext().traceFlags & TraceFlags.SAMPLED) !== 0
  return isSampled && context.active().getValue(SPANS_OF_REQUEST) !== undefined
}

function callAttributes(method: string, url: string) {
  const parsed = URL.parse(url)
  if (parsed === null) return { "http.request.method": method }
  const { origin, protocol, hostname, port, pathname } = parsed
  return {
    "http.request.method": method,
    "server.address": hostname,
    "server.port": port === "" ? (protocol === "http:" ? 80 : 443) : Number(port),
    "url.full": `${origin}${scrubPath(pathname)}`,
  }
}

/** A Worker that hands on the headers it received would hand on the state of another trace with them. */
function injected(headers: Headers, within: Context): Headers {
  headers.delete(TRACESTATE)
  propagation.inject(within, headers, HEADERS)
  return headers
}

// Where finished spans go

const SPANS_OF_REQUEST = createContextKey("sallyport: spans of the request")

/** The finished spans of one request, given to the exporter with its response; what ends later, in `waitUntil`, follows. */
class RequestSpans {
  readonly #exporter: OtlpExporter
  readonly #destination: OtlpDestination
  readonly #c: HonoContext
  #spans: ReadableSpan[] = []
  #beyond = 0
  #isOpen = true

  constructor(exporter: OtlpExporter, destination: OtlpDestination, c: HonoContext) {
    this.#exporter = exporter
    this.#destination = destination
    this.#c = c
  }

  add(span: ReadableSpan): void {
    if (this.#spans.length < MOST_SPANS_OF_A_REQUEST) this.#spans.push(span)
    else this.#beyond += 1
    if (!this.#isOpen && this.#spans.length === 1) queueMicrotask(() => this.#send())
  }

  close(): void {
    this.#isOpen = false
    this.#send()
  }

  #send(): void {
    const spans = this.#spans
    this.#spans = []
    this.#exporter.drop(this.#beyond)
    this.#beyond = 0
    const work = this.#exporter.send(spans, this.#destination)
    try {
      this.#c.executionCtx.waitUntil(work)
    } catch {
      // No execution context, as in a unit test, or one that is over: they go with those of another request.
    }
  }
}

/** Gives each finished span to the request in whose context it began; one that began outside of any is dropped. */
class ToTheRequest implements SpanProcessor {
  readonly #owners = new WeakMap<object, RequestSpans>()

  onStart(span: object, parent: Context): void {
    const owner = parent.getValue(SPANS_OF_REQUEST)
    if (owner instanceof RequestSpans) this.#owners.set(span, owner)
  }

  onEnd(span: ReadableSpan): void {
    this.#owners.get(span)?.add(span)
  }

  async forceFlush(): Promise<void> {}
  async shutdown(): Promise<void> {}
}

function makeProvider(service: string, sampleBps: number): TracerProvider {
  return new TracerProvider({
    resource: resourceOf(service),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampleBps / FULL_BPS) }),
    spanLimits: LIMITS,
    spanProcessors: [new ToTheRequest()],
    idGenerator: { generateTraceId: () => randomHex(16), generateSpanId: () => randomHex(8) },
  })
}

/** A context with new ids that nobody records: what is called still finds its calls under one id. */
function unrecorded(): Context {
  const made: SpanContext = { traceId: randomHex(16), spanId: randomHex(8), traceFlags: TraceFlags.NONE }
  return trace.setSpanContext(ROOT_CONTEXT, made)
}

/** From the system's generator; the SDK's own for other runtimes than Node takes `Math.random`. All zeros, which are no id, come once in 2^64. */
function randomHex(bytes: 8 | 16): string {
  let hex = ""
  for (const byte of crypto.getRandomValues(new Uint8Array(bytes))) hex += byte.toString(16).padStart(2, "0")
  return hex
}

// Once per isolate

let installed: { readonly exporter: OtlpExporter } | null = null

/** Further calls change nothing: spans of `trace.getTracer` bear the name of the first service. */
function installOnce(provider: TracerProvider): { readonly exporter: OtlpExporter } {
  if (installed !== null) return installed
  const runtimeFetch = globalThis.fetch
  context.setGlobalContextManager(new AmbientContext())
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  trace.setGlobalTracerProvider(provider)
  globalThis.fetch = tracedFetch(runtimeFetch)
  installed = { exporter: new OtlpExporter(runtimeFetch) }
  return installed
}

/** OpenTelemetry's own manager needs `node:events`, which `nodejs_als` does not bring. */
class AmbientContext implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>()

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    within: Context,
    work: F,
    self?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(within, () => work.apply(self, args))
  }

  bind<T>(within: Context, target: T): T {
    if (typeof target !== "function") return target
    const bound = (...args: unknown[]) => this.#storage.run(within, () => target(...args))
    return bound as T
  }

  enable(): this {
    return this
  }

  disable(): this {
    return this
  }
}

/**
 * Sends finished spans to an OpenTelemetry collector: OTLP over HTTP, as JSON. Used by kit/tracing.ts in user Workers and by the dispatcher for its trips.
 * It runs in `waitUntil`, behind the response: it never throws, is bounded in time, size and number, and counts and says what it could not send.
 * The spans of an isolate's requests go together. What requests share is data alone: each waits by a timer of its own, since a promise or a timer
 * of a request that is cancelled would leave the others waiting for ever.
 * @see https://opentelemetry.io/docs/specs/otlp/#otlphttp
 */
import { JsonTraceSerializer } from "@opentelemetry/otlp-transformer"
import { resourceFromAttributes } from "@opentelemetry/resources"
import type { ReadableSpan } from "@opentelemetry/sdk-trace"
import { withoutTokens } from "../contracts/trace-context.ts"
import { trimEnd } from "./trim.ts"
import { writeLog } from "./write-log.ts"

export type { ReadableSpan } from "@opentelemetry/sdk-trace"

/** Variables of a Worker that say where its spans go. */
export interface OtlpVariables {
  /** Base URL of the collector, to which `/v1/traces` is added. Absent or empty: nothing is sent. */
  readonly OTLP_ENDPOINT?: string
  /** `name=value,name2=value2`, values percent-encoded; a secret, since it may hold a key. */
  readonly OTLP_HEADERS?: string
}

export interface OtlpDestination {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

/** Spans, since the isolate began. Every span that was given ends in one of these. */
export interface ExportCounts {
  sent: number
  /** The collector refused them, was not there, or was too slow, or the call ended with its request. */
  failed: number
  /** Not even tried: too many calls were under way, or one was too large. */
  dropped: number
}

/** One record for each batch that was lost, or lost some; the counts are those since the isolate began. */
export type SpansLost = { readonly event: "spans-lost" } & Readonly<ExportCounts>

/** Once an isolate: what was to be traced is not, because a variable that is there cannot be read. Its value is no part of it: either may hold a key. */
export interface TracingNotConfigured {
  readonly event: "tracing-not-configured"
  readonly variable: keyof OtlpVariables
}

export interface OtlpExporterOptions {
  /** Milliseconds since the epoch; default `Date`. */
  readonly clock?: { now(): number }
  /** Resolves after so many milliseconds; default `setTimeout`. */
  readonly wait?: (ms: number) => Promise<void>
  readonly log?: (record: SpansLost | TracingNotConfigured) => void
}

/** Milliseconds for one call, until the collector has answered. */
const TIMEOUT_MS = 5_000
/** Calls of one isolate that may be under way at once. A call whose request was cancelled is forgotten when its time is over. */
const MOST_CALLS = 32
/** Milliseconds that a span waits for others at most: what an isolate's last request adds to its own life. */
const WAIT_MS = 200
/** Spans that go at once, without waiting. */
const FULL_SPANS = 128
/** Requests that wait with a batch: one of them is enough, unless it is cancelled. Those of a slow isolate all do. */
const MOST_WAITING = 16
/** UTF-16 units of one call's body. */
const MOST_TEXT = 1024 * 1024
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/

/** Who the spans are of: `service.name`, and what else is true of all of them. */
export function resourceOf(
  service: string,
  attributes: Readonly<Record<string, string>> = {},
): ReadableSpan["resource"] {
  return resourceFromAttributes({ "service.name": service, ...attributes })
}

/**
 * Where to send to, or null when the variables name nothing, or something that is neither http nor https, or headers that are none: then nothing is sent anywhere, and
 * {@link unreadableOtlpVariable} says whether that was meant.
 */
export function otlpDestination({ OTLP_ENDPOINT = "", OTLP_HEADERS = "" }: OtlpVariables): OtlpDestination | null {
  const url = urlOf(OTLP_ENDPOINT)
  const headers = headersOf(OTLP_HEADERS)
  return url === null || headers === null ? null : { url, headers }
}

/** The first of the variables that is there and cannot be read; null when they can, and when no endpoint is set, with which nothing is to be sent. */
export function unreadableOtlpVariable(variables: OtlpVariables): keyof OtlpVariables | null {
  const { OTLP_ENDPOINT = "", OTLP_HEADERS = "" } = variables
  if (OTLP_ENDPOINT === "") return null
  if (urlOf(OTLP_ENDPOINT) === null) return "OTLP_ENDPOINT"
  return headersOf(OTLP_HEADERS) === null ? "OTLP_HEADERS" : null
}

function urlOf(endpoint: string): string | null {
  const url = URL.parse(endpoint)
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) return null
  if (url.search !== "" || url.hash !== "") return null
  url.pathname = `${trimEnd(url.pathname, (character) => character === "/")}/v1/traces`
  return url.href
}

function headersOf(list: string): Record<string, string> | null {
  const headers: Record<string, string> = {}
  for (const pair of list.split(",")) {
    if (pair.trim() === "") continue
    const equals = pair.indexOf("=")
    const name = pair.slice(0, equals).trim().toLowerCase()
    if (equals === -1 || !HEADER_NAME.test(name)) return null
    try {
      headers[name] = decodeURIComponent(pair.slice(equals + 1).trim())
    } catch {
      return null
    }
  }
  return headers
}

/** What goes out together. */
interface Batch {
  readonly destination: OtlpDestination
  readonly beganAt: number
  readonly spans: ReadableSpan[]
  waiting: number
}

/** A call that has not been answered. */
interface UnderWay {
  readonly since: number
  readonly spans: number
}

/** One per isolate. */
export class OtlpExporter {
  readonly counts: ExportCounts = { sent: 0, failed: 0, dropped: 0 }
  readonly #fetch: typeof fetch
  readonly #options: Required<OtlpExporterOptions>
  #batch: Batch | null = null
  #underWay: UnderWay[] = []
  #isSaidNotConfigured = false

  /** `send` is the runtime's own fetch: a traced one would make spans of its own calls. */
  constructor(send: typeof fetch, options: OtlpExporterOptions = {}) {
    this.#fetch = send
    this.#options = { clock: Date, wait: after, log: writeLog, ...options }
  }

  /**
   * Adds the spans to what goes out next: at once when that is full, or has waited too long for a request that was cancelled, else within {@link WAIT_MS}.
   * For `waitUntil`: resolves when whatever fell to this request is done; never rejects. Whatever looks like a token is taken out of every attribute.
   */
  async send(spans: readonly ReadableSpan[], destination: OtlpDestination): Promise<void> {
    if (spans.length === 0) return
    const due: Batch[] = []
    for (const span of spans) {
      if (this.#batch !== null && this.#isDue(this.#batch, destination)) due.push(this.#take(this.#batch))
      this.#batch ??= { destination, beganAt: this.#options.clock.now(), spans: [], waiting: 0 }
      this.#batch.spans.push(span)
    }
    const own = this.#batch
    if (own !== null && own.spans.length >= FULL_SPANS) due.push(this.#take(own))
    const calls = due.map((batch) => this.#post(batch))
    if (own !== null && own === this.#batch && own.waiting < MOST_WAITING) {
      own.waiting += 1
      await this.#options.wait(WAIT_MS)
      // Unless somebody took it meanwhile.
      if (own === this.#batch) calls.push(this.#post(this.#take(own)))
    }
    await Promise.all(calls)
  }

  /** For spans that could not be given. */
  drop(spans: number): void {
    if (spans === 0) return
    this.counts.dropped += spans
    this.#sayLost()
  }

  /** That nothing is exported, and why; once, whatever else is wrong. */
  sayNotConfigured(variable: keyof OtlpVariables): void {
    if (this.#isSaidNotConfigured) return
    this.#isSaidNotConfigured = true
    this.#options.log({ event: "tracing-not-configured", variable })
  }

  #isDue({ spans, beganAt, destination }: Batch, next: OtlpDestination): boolean {
    if (spans.length >= FULL_SPANS || !isSame(destination, next)) return true
    return this.#options.clock.now() - beganAt > WAIT_MS
  }

  #take(batch: Batch): Batch {
    this.#batch = null
    return batch
  }

  async #post({ spans, destination }: Batch): Promise<void> {
    const calls = bodiesOf(spans).map(async ({ body, spans }) => {
      if (body !== null && this.#mayCall()) await this.#call(body, spans, destination)
      else this.drop(spans)
    })
    await Promise.all(calls)
  }

  async #call(body: string, spans: number, { url, headers }: OtlpDestination): Promise<void> {
    const own: UnderWay = { since: this.#options.clock.now(), spans }
    this.#underWay.push(own)
    const isTaken = await this.#isTaken(url, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body,
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    // Forgotten, and so counted, when its time was over.
    if (!this.#underWay.includes(own)) return
    this.#underWay = this.#underWay.filter((each) => each !== own)
    this.counts[isTaken ? "sent" : "failed"] += spans
    if (!isTaken) this.#sayLost()
  }

  async #isTaken(url: string, init: RequestInit): Promise<boolean> {
    try {
      // Called without `this`: workerd knows its fetch by the receiver.
      const call = this.#fetch
      const response = await call(url, init)
      await response.body?.cancel()
      return response.ok
    } catch {
      return false
    }
  }

  /** A call whose request was cancelled never ends: it is forgotten when its time is over. */
  #mayCall(): boolean {
    const oldest = this.#options.clock.now() - TIMEOUT_MS
    const forgotten = this.#underWay.filter(({ since }) => since < oldest)
    if (forgotten.length > 0) {
      this.#underWay = this.#underWay.filter(({ since }) => since >= oldest)
      for (const { spans } of forgotten) this.counts.failed += spans
      this.#sayLost()
    }
    return this.#underWay.length < MOST_CALLS
  }

  #sayLost(): void {
    this.#options.log({ event: "spans-lost", ...this.counts })
  }
}

function isSame(one: OtlpDestination, other: OtlpDestination): boolean {
  if (one === other) return true
  return one.url === other.url && JSON.stringify(one.headers) === JSON.stringify(other.headers)
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}

interface Body {
  /** Null for what cannot be sent. */
  readonly body: string | null
  readonly spans: number
}

/** One body, or several where one would be too long: a span that is too large by itself takes none with it. */
function bodiesOf(spans: readonly ReadableSpan[]): readonly Body[] {
  const body = textOf(spans)
  if (body !== null || spans.length <= 1) return [{ body, spans: spans.length }]
  const middle = spans.length >>> 1
  return [...bodiesOf(spans.slice(0, middle)), ...bodiesOf(spans.slice(middle))]
}

function textOf(spans: readonly ReadableSpan[]): string | null {
  try {
    const text = withoutTokens(new TextDecoder().decode(JsonTraceSerializer.serializeRequest([...spans])))
    return text.length > MOST_TEXT ? null : text
  } catch {
    return null
  }
}

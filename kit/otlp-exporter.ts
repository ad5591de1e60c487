/**
 * Sends finished spans to an OpenTelemetry collector: OTLP over HTTP, as JSON. Used by kit/tracing.ts in user Workers and by the dispatcher for its trips.
 * It runs in `waitUntil`, behind the response: it never throws, is bounded in time, size and number, and counts what it could not send.
 * No promise is shared between requests: one that is cancelled would leave the others waiting for ever.
 * @see https://opentelemetry.io/docs/specs/otlp/#otlphttp
 */
import { JsonTraceSerializer } from "@opentelemetry/otlp-transformer"
import { resourceFromAttributes } from "@opentelemetry/resources"
import type { ReadableSpan } from "@opentelemetry/sdk-trace"
import { withoutTokens } from "../contracts/trace-context.ts"

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

/** Spans, since the isolate began. */
export interface ExportCounts {
  sent: number
  /** The collector refused them, was not there, or was too slow. */
  failed: number
  /** Not even tried: too many calls were under way, or the batch was too large. */
  dropped: number
}

/** Milliseconds for one call, until the collector has answered. */
const TIMEOUT_MS = 5_000
/** Calls of one isolate that may be under way at once. A call whose request was cancelled is forgotten when its time is over. */
const MOST_CALLS = 32
/** Spans of one call. */
const MOST_SPANS = 512
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

/** Where to send to, or null when the variables name nothing, or something that is neither http nor https: then nothing is sent anywhere. */
export function otlpDestination({ OTLP_ENDPOINT = "", OTLP_HEADERS = "" }: OtlpVariables): OtlpDestination | null {
  if (OTLP_ENDPOINT === "" || !URL.canParse(OTLP_ENDPOINT)) return null
  const url = new URL(OTLP_ENDPOINT)
  if ((url.protocol !== "https:" && url.protocol !== "http:") || url.search !== "" || url.hash !== "") return null
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/v1/traces`
  const headers = headersOf(OTLP_HEADERS)
  return headers === null ? null : { url: url.href, headers }
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

/** One per isolate. */
export class OtlpExporter {
  readonly counts: ExportCounts = { sent: 0, failed: 0, dropped: 0 }
  readonly #fetch: typeof fetch
  readonly #clock: { now(): number }
  readonly #underWaySince: number[] = []

  /** `send` is the runtime's own fetch: a traced one would make spans of its own calls. `clock` in milliseconds. */
  constructor(send: typeof fetch, clock: { now(): number } = Date) {
    this.#fetch = send
    this.#clock = clock
  }

  /** Resolves when the collector has answered or the time is over; never rejects. Whatever looks like a token is taken out of every attribute. */
  async send(spans: readonly ReadableSpan[], destination: OtlpDestination): Promise<void> {
    const body = this.#mayCall() ? bodyOf(spans) : null
    if (body === null) {
      this.counts.dropped += spans.length
      return
    }
    this.#underWaySince.push(this.#clock.now())
    try {
      const { url, headers } = destination
      // Called without `this`: workerd knows its fetch by the receiver.
      const call = this.#fetch
      const response = await call(url, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body,
        redirect: "manual",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      await response.body?.cancel()
      this.counts[response.ok ? "sent" : "failed"] += spans.length
    } catch {
      this.counts.failed += spans.length
    } finally {
      this.#underWaySince.shift()
    }
  }

  #mayCall(): boolean {
    const oldest = this.#clock.now() - TIMEOUT_MS
    while ((this.#underWaySince[0] ?? oldest) < oldest) this.#underWaySince.shift()
    return this.#underWaySince.length < MOST_CALLS
  }
}

function bodyOf(spans: readonly ReadableSpan[]): string | null {
  if (spans.length === 0 || spans.length > MOST_SPANS) return null
  try {
    const bytes = JsonTraceSerializer.serializeRequest([...spans])
    const text = withoutTokens(new TextDecoder().decode(bytes))
    return text.length > MOST_TEXT ? null : text
  } catch {
    return null
  }
}

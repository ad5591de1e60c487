/**
 * Answers kept in a named cache or in KV: given out while fresh, and for a while longer as they are while one request behind the others makes a new one.
 *
 * What is kept is what says that it may be: `Cache-Control: public` for everybody and for anonymous callers, who are many, or any answer without `no-store` where the key holds a subject. A request's own
 * `Vary`, `Cache-Control` or `Pragma` means nothing, so that no client chooses a key or makes the work be done again. Whoever's it is, an answer is of one company:
 * the key holds every place in which a request names one.
 * @see RFC 9111 §3 (what may be stored), §4.1 (keys), RFC 5861 §3, RFC 9211 (Cache-Status)
 */
import type { PassportClaims } from "../contracts/passport.ts"

export interface StaleWhileRevalidateOptions {
  /** {@link inNamedCache} or {@link inKv}. */
  readonly store: AnswerStore
  /** Seconds that an answer is given out without a thought, at least 1; an answer that allows itself less (`s-maxage`, `max-age`) gets less. */
  readonly freshS: number
  /** Seconds after that in which it is still given out while a new one is made, at least 0; less where the answer says less (`stale-while-revalidate`, `must-revalidate`). */
  readonly staleS: number
  /**
   * Whose answers they are. The key of each holds the method, the URL with its query, the headers of `vary`, and the company: what `procore-company-id` says, whatever it is, what path and query
   * name, since they are in the URL, and the one that the passport is bound to, where one is given.
   * `everybody`: that alone, so that all who ask for one company share an answer. `subject`: each their own, by kind, issuer and subject, and by scope, zone and level (contracts/passport.ts).
   */
  readonly keyedBy: "everybody" | "subject"
  /** Request headers that the answer may depend on; an answer whose `Vary` names another is not kept. Default none. */
  readonly vary?: readonly string[]
  /** Longer bodies are passed on and not kept; default 1 MiB. */
  readonly maxBytes?: number
  /** Milliseconds since the epoch; default `Date`. */
  readonly clock?: { now(): number }
}

/** Who asks and what keeps the work behind the answer alive: in a Hono handler `{ passport: c.var.passport, waitUntil: (work) => c.executionCtx.waitUntil(work) }`. */
export interface AskingRequest {
  /** Needed where the key holds the subject: with its issuer, since two issuers may have an `alice`, and with scope, company, zone and level, of which its answers are. */
  readonly passport?: Pick<PassportClaims, "kind" | "idp" | "sub" | "scope" | "company" | "zone" | "level">
  readonly waitUntil: (work: Promise<unknown>) => void
}

export type StaleOrFresh = (
  request: Request,
  asking: AskingRequest,
  produce: () => Promise<Response> | Response,
) => Promise<Response>

/** An answer as it is kept: plain data. */
export interface KeptAnswer {
  readonly headers: readonly (readonly [string, string])[]
  readonly body: ArrayBuffer
  /** Milliseconds since the epoch. */
  readonly keptAtMs: number
  readonly freshS: number
  /** Seconds after that in which it may still be given out. */
  readonly staleS: number
}

type Times = Pick<KeptAnswer, "freshS" | "staleS">

export interface AnswerStore {
  /** Null when there is none, or one that cannot be read. `key` is 64 hex digits. */
  get(key: string): Promise<KeptAnswer | null>
  /** `keepS`: seconds after which it may go. */
  put(key: string, answer: KeptAnswer, keepS: number): Promise<void>
  delete(key: string): Promise<void>
}

const DEFAULT_MAX_BYTES = 1024 * 1024
/** Characters of one header that the key may hold; what is longer is not worth an entry. */
const MAX_VARY_VALUE = 256
/** As kit/company-detection.ts, which the test holds it to: what a request may say there decides whose data it gets, whether or not a Worker thought of it. */
const COMPANY_HEADER = "procore-company-id"
/** Milliseconds after which another request may begin a renewal that has not come back. */
const RENEWAL_LOST_MS = 30_000
/** Not modified, and "later": the answer itself may be as it was. */
const SAYS_NOTHING: ReadonlySet<number> = new Set([304, 408, 425, 429])
/** Belong to the moment, the connection or the request that made it, not to what is kept. */
const NOT_KEPT: ReadonlySet<string> = new Set([
  "age",
  "date",
  "connection",
  "keep-alive",
  "transfer-encoding",
  "x-request-id",
  "traceparent",
  "tracestate",
  "server-timing",
])

/**
 * Answers GET from what is kept, or from `produce`. Everything else, and a request for a range, goes to `produce` and is not kept. A store that fails is as good as an empty one.
 * `request` is the one that came: what a Worker has changed of it before, the company above all, the key does not hold.
 * The answer carries `Age` when it was kept, and `Cache-Status: kit; …`. Throws `TypeError` when made with bounds that can never be right, or asked without the passport that its key needs.
 *
 * ```ts
 * const reports = staleWhileRevalidate({ store: inNamedCache("reports"), freshS: 60, staleS: 600, keyedBy: "subject" })
 *
 * app.get("/reports/", (c) =>
 *   reports(c.req.raw, { passport: c.var.passport, waitUntil: (work) => c.executionCtx.waitUntil(work) }, () => fetch(REPORTS)),
 * )
 * ```
 */
export function staleWhileRevalidate(options: StaleWhileRevalidateOptions): StaleOrFresh {
  const { store, freshS, staleS, clock = Date, maxBytes = DEFAULT_MAX_BYTES, keyedBy } = options
  if (!(freshS >= 1) || !(staleS >= 0)) throw new TypeError("staleWhileRevalidate: freshS is from 1, staleS from 0")
  const vary = (options.vary ?? []).map((name) => name.toLowerCase())
  for (const name of vary)
    if (name === "*" || name === "cookie" || name === "authorization")
      throw new TypeError(
        `staleWhileRevalidate: answers that depend on ${name} belong to one caller; key them by subject`,
      )
  const renewals = new Map<string, number>()

  return async function staleOrFresh(request, asking, produce) {
    const key = await keyOf(request, asking)
    if (key === null) return withStatus(await produce(), "fwd=bypass")
    const kept = await store.get(key).catch(() => null)
    const ageS = kept === null ? 0 : Math.max(0, (clock.now() - kept.keptAtMs) / 1000)
    const isShared = keyedBy === "everybody" || asking.passport?.kind === "anonymous"
    if (kept === null || ageS >= kept.freshS + kept.staleS) return produceAndKeep(key, isShared, asking, produce)
    const isFresh = ageS < kept.freshS
    if (!isFresh && begins(key)) asking.waitUntil(renew(key, isShared, produce))
    return answerOf(kept, ageS)
  }

  async function keyOf(request: Request, { passport }: AskingRequest): Promise<string | null> {
    if (keyedBy === "subject" && passport === undefined)
      throw new TypeError("staleWhileRevalidate: the key needs a passport")
    if (request.method !== "GET" || request.headers.has("range")) return null
    const values = [...vary, COMPANY_HEADER].map((name) => request.headers.get(name))
    if (values.some((value) => value !== null && value.length > MAX_VARY_VALUE)) return null
    const [url = ""] = request.url.split("#")
    // As JSON, so that no two lists are one text.
    const whose = keyedBy === "subject" ? identityOf(passport) : [passport?.company ?? null]
    return sha256Hex(JSON.stringify([whose, request.method, url, vary, values]))
  }

  async function produceAndKeep(
    key: string,
    isShared: boolean,
    { waitUntil }: AskingRequest,
    produce: () => Promise<Response> | Response,
  ) {
    const response = await produce()
    const times = timesOf(response, isShared)
    if (times === null || response.body === null) return withStatus(response, "fwd=uri-miss")
    const [given, kept] = response.body.tee()
    waitUntil(keep(key, response.headers, kept, times).catch(() => {}))
    return withStatus(new Response(given, response), "fwd=uri-miss; stored")
  }

  /** At most one renewal of a key at a time in this isolate. */
  function begins(key: string): boolean {
    const now = clock.now()
    for (const [each, startedAt] of renewals) {
      if (now - startedAt < RENEWAL_LOST_MS) break
      renewals.delete(each)
    }
    if (renewals.has(key)) return false
    renewals.set(key, now)
    return true
  }

  /** What fails leaves the old answer until its time; what may not be kept any more takes it away. */
  async function renew(key: string, isShared: boolean, produce: () => Promise<Response> | Response): Promise<void> {
    try {
      const response = await produce()
      const times = timesOf(response, isShared)
      if (times !== null && response.body !== null) return await keep(key, response.headers, response.body, times)
      await response.body?.cancel()
      if (response.status < 500 && !SAYS_NOTHING.has(response.status)) await store.delete(key)
    } catch {
      // The next request that finds it stale tries again.
    } finally {
      renewals.delete(key)
    }
  }

  async function keep(key: string, headers: Headers, body: ReadableStream, times: Times): Promise<void> {
    const bytes = await read(body, maxBytes)
    if (bytes === null) return store.delete(key)
    const kept = [...headers].filter(([name]) => !NOT_KEPT.has(name))
    await store.put(key, { headers: kept, body: bytes, keptAtMs: clock.now(), ...times }, times.freshS + times.staleS)
  }

  /** Null when an answer may not be kept. */
  function timesOf({ status, headers }: Response, isShared: boolean): Times | null {
    if (status !== 200 || headers.has("set-cookie") || headers.has("content-encoding")) return null
    const control = directivesOf(headers.get("cache-control") ?? "")
    if (control.has("no-store") || control.has("no-cache")) return null
    if (isShared && (control.has("private") || !control.has("public"))) return null
    const variesBy = (headers.get("vary") ?? "").split(",").map((name) => name.trim().toLowerCase())
    if (!variesBy.every((name) => name === "" || vary.includes(name))) return null
    const shared = isShared ? control.get("s-maxage") : undefined
    const allowed = secondsOf(shared ?? control.get("max-age")) - (secondsOf(headers.get("age") ?? "0") || 0)
    if (!(allowed > 0)) return null
    return { freshS: Math.min(freshS, allowed), staleS: Math.min(staleS, allowedStaleS(control, isShared)) }
  }
}

/** Seconds; RFC 9111 §4.2.4 names what forbids it, RFC 5861 §3 what says how long. */
function allowedStaleS(control: ReadonlyMap<string, string>, isShared: boolean): number {
  const stated = control.get("stale-while-revalidate")
  const isForbidden =
    control.has("must-revalidate") ||
    (isShared && (control.has("proxy-revalidate") || (control.has("s-maxage") && stated === undefined)))
  return isForbidden ? 0 : secondsOf(stated)
}

function identityOf(passport: AskingRequest["passport"]): readonly (string | number | null)[] {
  const {
    kind = null,
    idp = null,
    sub = null,
    scope = null,
    company = null,
    zone = null,
    level = null,
  } = passport ?? {}
  return [kind, idp, sub, scope, company, zone, level]
}

/** Directives in lower case with their value, or "" for none. A quoted list (`private="set-cookie"`) counts as the directive itself. */
function directivesOf(header: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const [, name = "", quoted, bare] of header.matchAll(/([a-z-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,]+)))?/gi))
    if (!found.has(name.toLowerCase())) found.set(name.toLowerCase(), quoted ?? bare ?? "")
  return found
}

/** Infinity where nothing is said; 0 for what is no number, since what cannot be read must not last. */
function secondsOf(value: string | undefined): number {
  if (value === undefined) return Number.POSITIVE_INFINITY
  return /^[0-9]{1,10}$/.test(value) ? Number(value) : 0
}

function answerOf(kept: KeptAnswer, ageS: number): Response {
  const response = new Response(kept.body, { headers: kept.headers.map(([name, value]) => [name, value]) })
  response.headers.set("age", String(Math.floor(ageS)))
  response.headers.set("cache-status", `kit; hit; ttl=${Math.floor(kept.freshS - ageS)}`)
  return response
}

/** A switch of protocols is left as it is. */
function withStatus(response: Response, status: string): Response {
  if (response.status === 101) return response
  const copy = new Response(response.body, response)
  copy.headers.set("cache-status", `kit; ${status}`)
  return copy
}

/** All of it, or null when it is longer than `maxBytes`; rejects when it breaks off, so that no part is ever taken for the whole. */
async function read(body: ReadableStream<Uint8Array>, maxBytes: number): Promise<ArrayBuffer | null> {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  const reader = body.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    sizeBytes += value.byteLength
    if (sizeBytes > maxBytes) {
      await reader.cancel()
      return null
    }
    chunks.push(value)
  }
  const whole = new Uint8Array(sizeBytes)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.byteLength
  }
  return whole.buffer
}

async function sha256Hex(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("")
}

/** Answers of one location. The cache belongs to the script alone; its name tells uses apart. */
export function inNamedCache(name: string): AnswerStore {
  // No such host can be fetched: what stands there was put there.
  const urlOf = (key: string) => `https://kept-answer.invalid/${key}`
  return {
    async get(key) {
      const found = await (await caches.open(name)).match(urlOf(key))
      return found === undefined ? null : unpacked(await found.arrayBuffer())
    },
    async put(key, answer, keepS) {
      const headers = { "cache-control": `max-age=${Math.ceil(keepS)}` }
      await (await caches.open(name)).put(urlOf(key), new Response(packed(answer), { headers }))
    },
    async delete(key) {
      await (await caches.open(name)).delete(urlOf(key))
    },
  }
}

/** Seconds: KV keeps nothing for less. */
const KV_MIN_TTL_S = 60

/** Answers of every location, seen elsewhere within a minute; one write per key and second is what KV takes. `prefix` tells uses apart, 448 bytes at most. */
export function inKv(kv: KvStore, prefix: string): AnswerStore {
  return {
    async get(key) {
      const value = await kv.get(prefix + key, { type: "arrayBuffer" })
      return value === null ? null : unpacked(value)
    },
    async put(key, answer, keepS) {
      await kv.put(prefix + key, packed(answer), { expirationTtl: Math.max(KV_MIN_TTL_S, Math.ceil(keepS)) })
    },
    delete: (key) => kv.delete(prefix + key),
  }
}

/** What {@link inKv} uses of a KV namespace. */
export interface KvStore {
  get(key: string, options: { readonly type: "arrayBuffer" }): Promise<ArrayBuffer | null>
  put(key: string, value: ArrayBuffer, options: { readonly expirationTtl: number }): Promise<void>
  delete(key: string): Promise<void>
}

/** Bytes that say how long the JSON is that stands before the body: KV's own metadata would be too small for headers. */
const LENGTH_BYTES = 4

function packed({ body, ...meta }: KeptAnswer): ArrayBuffer {
  const json = new TextEncoder().encode(JSON.stringify(meta))
  const whole = new Uint8Array(LENGTH_BYTES + json.byteLength + body.byteLength)
  new DataView(whole.buffer).setUint32(0, json.byteLength)
  whole.set(json, LENGTH_BYTES)
  whole.set(new Uint8Array(body), LENGTH_BYTES + json.byteLength)
  return whole.buffer
}

/** Others may write to the same place: what cannot be read is none. */
function unpacked(whole: ArrayBuffer): KeptAnswer | null {
  try {
    const end = LENGTH_BYTES + new DataView(whole).getUint32(0)
    const json = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(whole.slice(LENGTH_BYTES, end))
    const { headers, keptAtMs, freshS, staleS } = JSON.parse(json) as Partial<KeptAnswer>
    const isList = Array.isArray(headers) && headers.every((each) => Array.isArray(each) && each.length === 2)
    if (!isList || typeof keptAtMs !== "number" || typeof freshS !== "number" || typeof staleS !== "number") return null
    return { headers, keptAtMs, freshS, staleS, body: whole.slice(end) }
  } catch {
    return null
  }
}

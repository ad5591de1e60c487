/**
 * The only place of the command line that speaks HTTP with the control plane. Answers are held against contracts/api.ts, so that a
 * drift between the two is an error with a place, not an `undefined` three lines later.
 */
import type { z } from "zod"
import { listOf, problemShape } from "../contracts/api.ts"
import { PROBLEMS } from "../contracts/problem-codes.ts"
import { toFaults } from "../contracts/to-faults.ts"
import type { Connection } from "./configuration.ts"
import { Failure } from "./failure.ts"

/** Milliseconds; a publish with a large config takes a few seconds. */
const TIMEOUT_MS = 60_000
/** Milliseconds between repeats of what was recorded and is not in force yet. */
const RETRY_MS = 2_000
const ATTEMPTS = 3
/** Items per page, the most that the API gives. */
const PAGE = 1000

export interface Answer<T> {
  readonly value: T
  /** For If-Match; null when the answer had none. */
  readonly etag: string | null
}

export interface Send {
  /** FormData as it is, anything else as JSON. */
  readonly body?: unknown
  /** The thing that was read before: it must still be so. Null when there was none: there must still be none. */
  readonly before?: { readonly etag: string | null } | null
  /** A repeat with the same key finishes or answers what the first one began. */
  readonly idempotencyKey?: string
}

type Method = "GET" | "PUT" | "POST" | "DELETE"

export class ApiClient {
  readonly connection: Connection
  readonly #fetch: typeof fetch

  constructor(connection: Connection, fetchFunction: typeof fetch) {
    this.connection = connection
    this.#fetch = fetchFunction
  }

  /** @throws Failure with the problem's code, for every answer that is not 2xx. */
  async get<T>(path: string, shape: z.ZodType<T>): Promise<Answer<T>> {
    return this.#exchange("GET", path, shape, {})
  }

  /** The thing, or null when there is none (or the token may not read it). */
  async find<T>(path: string, shape: z.ZodType<T>): Promise<Answer<T> | null> {
    try {
      return await this.get(path, shape)
    } catch (thrown) {
      if (thrown instanceof Failure && thrown.details.code === "api.not-found") return null
      throw thrown
    }
  }

  async put<T>(path: string, shape: z.ZodType<T>, send: Send): Promise<Answer<T>> {
    return this.#exchange("PUT", path, shape, send)
  }

  async post<T>(path: string, shape: z.ZodType<T>, send: Send): Promise<Answer<T>> {
    return this.#exchange("POST", path, shape, send)
  }

  /**
   * A POST that must not happen twice: under a key of its own, and again with that key while the control plane has recorded it but cannot publish yet.
   * `sleep` takes milliseconds.
   */
  async postOnce<T>(
    path: string,
    shape: z.ZodType<T>,
    send: Send,
    sleep: (ms: number) => Promise<void>,
  ): Promise<Answer<T>> {
    const keyed = { ...send, idempotencyKey: crypto.randomUUID() }
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.post(path, shape, keyed)
      } catch (thrown) {
        const isPending = thrown instanceof Failure && thrown.details.code === "config.not-published"
        if (!isPending || attempt === ATTEMPTS) throw thrown
        await sleep(RETRY_MS)
      }
    }
  }

  async delete(path: string, send: Send = {}): Promise<void> {
    await this.#respond("DELETE", path, send)
  }

  /** The first `limit` items, over as many pages as that takes, and whether there are others behind them. */
  async list<T>(
    path: string,
    item: z.ZodType<T>,
    limit: number,
  ): Promise<{ readonly items: T[]; readonly hasMore: boolean }> {
    const items: T[] = []
    let cursor: string | null = null
    do {
      const query = new URLSearchParams({ limit: String(Math.min(PAGE, limit - items.length)) })
      if (cursor !== null) query.set("cursor", cursor)
      const page: z.output<ReturnType<typeof listOf<z.ZodType<T>>>> = (await this.get(`${path}?${query}`, listOf(item)))
        .value
      items.push(...page.items)
      cursor = page.items.length === 0 ? null : page.nextCursor
    } while (cursor !== null && items.length < limit)
    return { items: items.slice(0, limit), hasMore: cursor !== null || items.length > limit }
  }

  async #exchange<T>(method: Method, path: string, shape: z.ZodType<T>, send: Send): Promise<Answer<T>> {
    const response = await this.#respond(method, path, send)
    const parsed = shape.safeParse(await jsonOf(response))
    if (!parsed.success)
      throw new Failure("The control plane's answer is not of the expected shape", {
        where: this.#where(method, path),
        errors: toFaults(parsed.error).slice(0, 5),
        fix: "Use the command line of the control plane's own version.",
        ...requestIdOf(response),
      })
    return { value: parsed.data, etag: response.headers.get("etag") }
  }

  /** A 2xx response, or a failure. */
  async #respond(method: Method, path: string, { body, before, idempotencyKey }: Send): Promise<Response> {
    const headers = new Headers({ authorization: `Bearer ${this.connection.token}`, accept: "application/json" })
    const isForm = body instanceof FormData
    if (body !== undefined && !isForm) headers.set("content-type", "application/json")
    if (before === null) headers.set("if-none-match", "*")
    if (before?.etag != null) headers.set("if-match", before.etag)
    if (idempotencyKey !== undefined) headers.set("idempotency-key", idempotencyKey)
    let response: Response
    try {
      response = await this.#fetch(this.connection.url + path, {
        method,
        headers,
        ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
        // A token must not follow a redirect elsewhere.
        redirect: "error",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
    } catch (thrown) {
      throw unreachable(this.connection.url, this.#where(method, path), thrown)
    }
    if (!response.ok) throw await failureOf(response, this.#where(method, path))
    return response
  }

  #where(method: Method, path: string): string {
    return `${method} ${this.connection.url}${path}`
  }
}

/** The failure for a server that does not answer at all, in `timeoutMs` milliseconds where there was a bound. */
export function unreachable(origin: string, where: string, thrown: unknown, timeoutMs = TIMEOUT_MS): Failure {
  const why = reasonOf(thrown, timeoutMs)
  const local = /^https?:\/\/(127\.|localhost|\[::1\])/.test(origin)
  return new Failure(`${origin} does not answer`, {
    where,
    why,
    fix:
      local && why.includes("ECONNREFUSED")
        ? "Nothing listens there. Start the platform with `npm start`, or correct the URL with `sallyport login <url>`."
        : "Check the URL and the network; `sallyport ping` tries again.",
  })
}

/** `fetch` hides the reason in `cause`, and several attempts in an AggregateError below it. */
function reasonOf(thrown: unknown, timeoutMs: number): string {
  if (!(thrown instanceof Error)) return String(thrown)
  if (thrown.name === "TimeoutError") return `no answer within ${timeoutMs / 1000} s`
  const { cause } = thrown
  if (cause instanceof AggregateError && cause.errors.length > 0) return reasonOf(cause.errors[0], timeoutMs)
  return cause instanceof Error ? reasonOf(cause, timeoutMs) : thrown.message
}

async function failureOf(response: Response, where: string): Promise<Failure> {
  const parsed = problemShape.safeParse(await jsonOf(response))
  if (!parsed.success)
    return new Failure(`The answer was ${response.status}, without a problem document`, {
      where,
      fix: "Check that the URL is a Sallyport control plane; something else may answer there.",
      ...requestIdOf(response),
    })
  const { title, detail, code, errors, requestId } = parsed.data
  const known = Object.hasOwn(PROBLEMS, code) ? PROBLEMS[code as keyof typeof PROBLEMS] : undefined
  return new Failure(title, {
    where,
    code,
    ...(detail === known?.fix ? {} : { why: detail }),
    ...(errors === undefined ? {} : { errors }),
    // Whoever takes it for not done does it again, and a rollback goes further back each time.
    ...(code === "config.not-published" ? { exitCode: 2 as const } : {}),
    fix: known?.fix ?? "Quote the request id to the operators.",
    requestId,
  })
}

function requestIdOf(response: Response): { requestId?: string } {
  const requestId = response.headers.get("x-request-id")
  return requestId === null ? {} : { requestId }
}

async function jsonOf(response: Response): Promise<unknown> {
  try {
    return await response.json()
  } catch {
    return undefined
  }
}

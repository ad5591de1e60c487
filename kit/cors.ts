/**
 * Cross-origin requests: which web origins may read a Worker's answers. It stands before everything that could refuse, `requirePassport` too, because a preflight
 * carries no credential. What a Worker behind it, or an origin behind that, says of CORS is taken away: one place decides.
 *
 * It decides for answers of the Worker alone. What the dispatcher refuses or answers in a Worker's place (401, 403, 413, 429, 503, 504 and every other problem of its own) is read by the origins
 * that the route names in `problemsReadableBy`. By a page of another it is not: that sees a network error, and neither the status nor the problem.
 * @see Fetch Standard §3.3 (CORS protocol), RFC 6454 §6.2 (serialized origin)
 */
import type { MiddlewareHandler } from "hono"

export interface CorsOptions {
  /**
   * Exact origins, `https://app.example.com`, compared as text: no wildcard inside, no trailing slash. A predicate gets the origin as the browser sent it, never `null`,
   * and allows it by returning exactly true. `"*"` is every origin, for what everybody may read anyway.
   */
  readonly origins: readonly string[] | ((origin: string) => boolean) | "*"
  /** Default GET, HEAD and POST. */
  readonly methods?: readonly string[]
  /** Request headers that scripts may set beside the safelisted ones; default none. */
  readonly headers?: readonly string[]
  /** Response headers that scripts may read beside the safelisted ones; default none. */
  readonly exposeHeaders?: readonly string[]
  /** Whether requests may carry cookies and other credentials of the browser's own; default false. A bearer token that a script sets needs only `headers`. */
  readonly credentials?: boolean
  /** Seconds that a browser may remember a preflight's answer, 0–86400; default 600. */
  readonly maxAgeS?: number
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** Methods that no script can send (Fetch §2.2.1). */
const FORBIDDEN_METHODS: readonly string[] = ["CONNECT", "TRACE", "TRACK"]
/** Response headers that no script can read. */
const UNREADABLE_HEADERS: readonly string[] = ["set-cookie", "set-cookie2"]
/** Longer than any hostname with scheme and port. */
const MAX_ORIGIN_LENGTH = 300
/** What a list as text gives when it is split. */
const EMPTY_ORIGIN =
  ". An empty one comes of a variable that is not set, or that has a blank at its end, and is split all the same: trim it first, and use cors() only where an origin is left"
const DECIDED_HERE = [
  "access-control-allow-origin",
  "access-control-allow-credentials",
  "access-control-expose-headers",
] as const

/**
 * Answers preflights with 204 before any later middleware runs, and adds to every other answer what its origin may do. An origin that is not allowed gets the same answer
 * without a CORS header, so that its browser keeps it to itself. On a route that requires a credential, `preflight: "worker"` lets preflights come here at all. Throws `TypeError` when made with options that can never be right.
 *
 * ```ts
 * app.use(cors({ origins: ["https://app.example.com"], methods: ["GET", "PUT"], headers: ["procore-company-id"], credentials: true }))
 * app.use(requirePassport({ script: "example" }))
 * ```
 */
export function cors(options: CorsOptions): MiddlewareHandler {
  const policy = policyOf(options)
  return async function cors(c, next) {
    const { method, headers } = c.req.raw
    const origin = headers.get("origin")
    const isAllowed = origin !== null && policy.allows(origin)
    // Also without an origin where all get the same: a cache gives that answer to the next, who has one.
    const said = isAllowed || !policy.variesByOrigin ? policy.answer(origin ?? "") : []
    if (method === "OPTIONS" && origin !== null && headers.has("access-control-request-method")) {
      return new Response(null, {
        status: 204,
        headers: isAllowed ? policy.preflight(origin) : policy.preflightRefused,
      })
    }
    await next()
    // A switch of protocols is no answer that a script reads, and cannot be copied.
    if (c.res.status !== 101) {
      const changed = withCorsHeaders(c.res, said, policy.variesByOrigin)
      if (changed !== c.res) {
        // Otherwise Hono writes the old headers over the new ones.
        c.res = undefined
        c.res = changed
      }
    }
    return undefined
  }
}

interface Policy {
  allows(origin: string): boolean
  answer(origin: string): readonly (readonly [string, string])[]
  preflight(origin: string): Record<string, string>
  readonly preflightRefused: Record<string, string>
  readonly variesByOrigin: boolean
}

function policyOf(options: CorsOptions): Policy {
  const { origins, methods = ["GET", "HEAD", "POST"], headers = [], exposeHeaders = [], maxAgeS = 600 } = options
  const credentials = options.credentials === true
  const isOpen = origins === "*"
  if (isOpen && credentials) throw new TypeError('cors: credentials need named origins, never "*"')
  assertMethods(methods)
  assertHeaderNames("headers", headers, credentials)
  assertHeaderNames("exposeHeaders", exposeHeaders, credentials)
  for (const name of exposeHeaders)
    if (UNREADABLE_HEADERS.includes(name.toLowerCase())) throw new TypeError(`cors: no script can read ${name}`)
  if (!Number.isInteger(maxAgeS) || maxAgeS < 0 || maxAgeS > 86_400)
    throw new TypeError("cors: maxAgeS is a whole number of seconds, 0–86400")

  const answer = (origin: string) => [
    ["access-control-allow-origin", isOpen ? "*" : origin] as const,
    ...(credentials ? [["access-control-allow-credentials", "true"] as const] : []),
    ...(exposeHeaders.length > 0 ? [["access-control-expose-headers", exposeHeaders.join(", ")] as const] : []),
  ]
  const asked = "Access-Control-Request-Method, Access-Control-Request-Headers"
  const preflightRefused = { vary: isOpen ? asked : `Origin, ${asked}` }
  const allowed = {
    ...preflightRefused,
    ...(credentials ? { "access-control-allow-credentials": "true" } : {}),
    "access-control-allow-methods": methods.join(", "),
    ...(headers.length > 0 ? { "access-control-allow-headers": headers.join(", ") } : {}),
    "access-control-max-age": String(maxAgeS),
  }
  return {
    allows: originTest(origins, credentials),
    answer,
    preflight: (origin) => ({ ...allowed, "access-control-allow-origin": isOpen ? "*" : origin }),
    preflightRefused,
    variesByOrigin: !isOpen,
  }
}

/** `null` stands for any opaque origin, a sandboxed frame of whoever it may be: it is never allowed by name. */
function originTest(origins: CorsOptions["origins"], credentials: boolean): (origin: string) => boolean {
  if (origins === "*") return () => true
  if (typeof origins === "function")
    return (origin) => origin !== "null" && isOneOrigin(origin) && origins(origin) === true
  if (origins.length === 0) throw new TypeError("cors: without an origin nothing is allowed; leave cors out instead")
  for (const origin of origins) assertOrigin(origin, credentials)
  const allowed = new Set(origins)
  return (origin) => allowed.has(origin)
}

function isOneOrigin(origin: string): boolean {
  return origin.length <= MAX_ORIGIN_LENGTH && /^[a-z][a-z0-9+.-]*:\/\/[^\s,/?#@\\]+$/.test(origin)
}

/** Written as browsers write it: what differs by a slash, a default port or a capital would silently never match. */
function assertOrigin(origin: string, credentials: boolean): void {
  const url = URL.canParse(origin) ? new URL(origin) : null
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:") || url.origin !== origin)
    throw new TypeError(
      `cors: ${JSON.stringify(origin)} is not an origin as browsers send it, such as "https://app.example.com": scheme and hostname in small letters, ` +
        `a port unless it is the default, no path, no slash at the end, no blank${origin.trim() === "" ? EMPTY_ORIGIN : ""}`,
    )
  if (/[*]/.test(origin))
    throw new TypeError(`cors: ${origin} holds a wildcard; give a predicate for a family of origins`)
  if (credentials && url.protocol === "http:" && !isLoopback(url.hostname))
    throw new TypeError(`cors: whoever is between could speak as ${origin}; credentials need https`)
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "127.0.0.1" || hostname === "[::1]"
}

function assertMethods(methods: readonly string[]): void {
  if (methods.length === 0) throw new TypeError("cors: methods is empty")
  for (const method of methods)
    if (!TOKEN.test(method) || method === "*" || method !== method.toUpperCase() || FORBIDDEN_METHODS.includes(method))
      throw new TypeError(`cors: ${JSON.stringify(method)} is not a method that a script can send`)
}

/** With credentials `*` is a header of that name and nothing else. */
function assertHeaderNames(option: string, names: readonly string[], credentials: boolean): void {
  for (const name of names)
    if (!TOKEN.test(name) || (name === "*" && credentials))
      throw new TypeError(`cors: ${JSON.stringify(name)} in ${option} is not a header name`)
}

/** The response itself where its headers can be changed, else one copy of it. */
function withCorsHeaders(
  response: Response,
  said: readonly (readonly [string, string])[],
  variesByOrigin: boolean,
): Response {
  try {
    write(response.headers)
    return response
  } catch {
    // What came from fetch() cannot be changed.
    const copy = new Response(response.body, response)
    write(copy.headers)
    return copy
  }

  function write(headers: Headers): void {
    for (const name of DECIDED_HERE) headers.delete(name)
    for (const [name, value] of said) headers.set(name, value)
    if (variesByOrigin && !variesBy(headers, "origin")) headers.append("vary", "Origin")
  }
}

function variesBy(headers: Headers, name: string): boolean {
  const names = (headers.get("vary") ?? "").split(",").map((each) => each.trim().toLowerCase())
  return names.includes("*") || names.includes(name)
}

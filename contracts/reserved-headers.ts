/**
 * Header names that belong to the gateway. The dispatcher removes them from every incoming request before any check
 * reads one, and from every response of a team's Worker. Names are compared after {@link normalizeHeaderName}.
 */

/** Carries the passport to a user Worker or a cell. */
export const PASSPORT_HEADER = "x-passport"
/** Request id: accepted from nobody outside, made by the dispatcher, echoed in every response. */
export const REQUEST_ID_HEADER = "x-request-id"
/** The config revision in force, decimal. Response: the one that was enforced. Request to a user Worker: the one that it was dispatched under, or its caller if that is newer, so that what it remembers of the config can be dropped in time. */
export const CONFIG_HEADER = "x-sallyport-config"
/** Response of the outbound Worker, and never of an origin: the code of the problem because of which the call did not get an answer. */
export const EGRESS_PROBLEM_HEADER = "x-sallyport-egress-problem"
/** Response: the release that answered, `<script>--v<version>`. */
export const RELEASE_HEADER = "x-sallyport-release"
/** Request: a signed release pin (see contracts/release-pin.ts); read once by the dispatcher, never forwarded. */
export const PIN_HEADER = "x-sallyport-pin"
/** Request on the PLATFORM binding only: which sibling script a dispatched request is for. */
export const SIBLING_HEADER = "x-sallyport-sibling"
/** Beside {@link SIBLING_HEADER}: the zone for the sibling's passport, when it differs. */
export const SIBLING_ZONE_HEADER = "x-sallyport-sibling-zone"
/** Request of a team's Worker on its way out: for which audience the call's passport is to be made, where an origin is of several. Taken off by the outbound Worker. */
export const AUDIENCE_HEADER = "x-sallyport-audience"
/** Everything the gateway serves itself on every hostname lies under this path prefix. */
export const RESERVED_PATH_PREFIX = "/.sallyport/"
export const JWKS_PATH = "/.well-known/jwks.json"

/** True for a canonical path that the gateway answers itself; no route may hold it. */
export function isGatewayOwned(path: string): boolean {
  return path.startsWith(RESERVED_PATH_PREFIX) || path === JWKS_PATH
}

/** Exact names, already normalised. `cf-connecting-ip` and `cf-ray` are read by the dispatcher first, then removed like the rest. */
const RESERVED_REQUEST_NAMES: ReadonlySet<string> = new Set([
  "x-passport",
  "txn-token",
  "x-request-id",
  "forwarded",
  "via",
  "x-forwarded",
  "forwarded-for",
  "client-ip",
  "remote-user",
  "remote-addr",
  "proxy",
  "x-real-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "true-client-ip",
  "x-true-client-ip",
  "x-remote-user",
  "x-authenticated-user",
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
  "x-host",
  "x-scheme",
  "x-url-scheme",
  "front-end-https",
  "cdn-loop",
])

/** `cloudflare-workers-version-*` would choose another tenant's version once the platform supports it for user Workers. */
const RESERVED_REQUEST_PREFIXES: readonly string[] = [
  "x-forwarded-",
  "x-original-",
  "x-rewrite-",
  "x-envoy-",
  "x-auth-request-",
  "x-sallyport-",
  "x-passport-",
  "cf-",
  "cloudflare-",
]

/**
 * What a team's Worker may not say: it would act beyond its own route (the whole origin, the whole site, other caches) or speak as the gateway or
 * as Cloudflare. `surrogate-control` and `*cdn-cache-control` would make a shared cache keep what `cache-control` calls private.
 */
const RESERVED_RESPONSE_NAMES: ReadonlySet<string> = new Set([
  "x-passport",
  "txn-token",
  "x-request-id",
  "strict-transport-security",
  "clear-site-data",
  "service-worker-allowed",
  "alt-svc",
  "server-timing",
  "nel",
  "report-to",
  "accept-ch",
  "critical-ch",
  "origin-agent-cluster",
  "public-key-pins",
  "surrogate-control",
  "cdn-cache-control",
  "via",
])
const RESERVED_RESPONSE_PREFIXES: readonly string[] = ["x-sallyport-", "cf-", "cloudflare-"]

/** Lower-case, underscores as dashes: many backends read `X_Passport` and `X-Passport` as one name. */
export function normalizeHeaderName(name: string): string {
  const lower = name.toLowerCase()
  return lower.includes("_") ? lower.replaceAll("_", "-") : lower
}

/** True when a client may not send this header; `name` in any spelling. */
export function isReservedRequestHeader(name: string): boolean {
  const normal = normalizeHeaderName(name)
  if (RESERVED_REQUEST_NAMES.has(normal)) return true
  const first = normal.charCodeAt(0)
  // Only c… and x… can match a prefix; most headers leave here.
  if (first !== 99 && first !== 120) return false
  return RESERVED_REQUEST_PREFIXES.some((prefix) => normal.startsWith(prefix))
}

/** True when a team's Worker may not set this response header; `name` in any spelling. */
export function isReservedResponseHeader(name: string): boolean {
  const normal = normalizeHeaderName(name)
  return RESERVED_RESPONSE_NAMES.has(normal) || RESERVED_RESPONSE_PREFIXES.some((prefix) => normal.startsWith(prefix))
}

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
/** Response: the release that answered or, beside a problem, the one that was chosen and did not; `<script>--v<version>`. */
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

/** Under which the control plane asks the dispatcher through its service binding: a name that no zone can have (RFC 6761 §6.4), so that no client's request comes under it. */
export const INTERNAL_HOSTNAME = "sallyport.invalid"

/** True for a canonical path that the gateway answers itself; no route may hold it. */
export function isGatewayOwned(path: string): boolean {
  return path.startsWith(RESERVED_PATH_PREFIX) || path === JWKS_PATH
}

/**
 * Exact names, already normalised. `cf-connecting-ip` and `cf-ray` are read by the dispatcher first, then removed like the rest.
 * With the prefixes below: whatever some proxy says of a connection or a caller, because a backend that once stood behind that proxy, or a framework that knows it, still believes it.
 * Not what clients themselves send by that name, such as `x-access-token`, nor what requests to stores are signed with (`x-amz-`, `x-goog-meta-`, `x-ms-blob-`).
 */
const RESERVED_REQUEST_NAMES: ReadonlySet<string> = new Set([
  "x-passport",
  "txn-token",
  "x-request-id",
  // Where it came from and by what way.
  "forwarded",
  "via",
  "x-forwarded",
  "forwarded-for",
  "client-ip",
  "remote-addr",
  "proxy",
  "x-real-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "true-client-ip",
  "x-true-client-ip",
  "x-originating-ip",
  "x-appengine-user-ip",
  "fly-client-ip",
  "incap-client-ip",
  "do-connecting-ip",
  "proxy-client-ip",
  "wl-proxy-client-ip",
  "x-nf-client-connection-ip",
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
  "x-host",
  "x-scheme",
  "x-url-scheme",
  "front-end-https",
  "cdn-loop",
  // Client certificates: RFC 9440 §2.4 has whoever ends TLS remove the first two; Azure App Service.
  "client-cert",
  "client-cert-chain",
  "x-arr-clientcert",
  // Who calls: APISIX openid-connect; SiteMinder; Oracle Access Manager; IBM WebSEAL.
  "x-userinfo",
  "x-id-token",
  "sm-user",
  "sm-userdn",
  "sm-universalid",
  "oam-remote-user",
  "iv-user",
  "iv-user-l",
  "iv-groups",
  "iv-creds",
])

const RESERVED_REQUEST_PREFIXES: readonly string[] = [
  "x-forwarded-",
  "x-original-",
  "x-rewrite-",
  "x-sallyport-",
  "x-passport-",
  "cf-",
  // `cloudflare-workers-version-*` would choose another tenant's version once the platform supports it for user Workers.
  "cloudflare-",
  // Of other proxies: Envoy; Fastly; Azure Front Door.
  "x-envoy-",
  "fastly-",
  "x-azure-",
  // Client certificates: nginx and its ingress; AWS ALB.
  "x-client-cert",
  "x-ssl-",
  "ssl-client-",
  "x-amzn-mtls-",
  // Who calls: oauth2-proxy; Grafana's and others' `X-WEBAUTH-USER`; Dex and Kubernetes' `X-Remote-User` and `-Group`; Authelia; Kong; authentik; Pomerium; Google IAP; AWS ALB; Azure EasyAuth; Tailscale.
  "x-auth-request-",
  "x-webauth-",
  "x-remote-",
  "remote-",
  "x-authenticated-",
  "x-consumer-",
  "x-authentik-",
  "x-pomerium-",
  "x-goog-iap-",
  "x-goog-authenticated-user-",
  "x-amzn-oidc-",
  "x-ms-client-principal",
  "x-ms-token-",
  "tailscale-user-",
]
const PREFIX_INITIALS: ReadonlySet<number> = new Set(RESERVED_REQUEST_PREFIXES.map((prefix) => prefix.charCodeAt(0)))

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
  // Most headers leave here.
  if (!PREFIX_INITIALS.has(normal.charCodeAt(0))) return false
  return RESERVED_REQUEST_PREFIXES.some((prefix) => normal.startsWith(prefix))
}

/** True when a team's Worker may not set this response header; `name` in any spelling. */
export function isReservedResponseHeader(name: string): boolean {
  const normal = normalizeHeaderName(name)
  return RESERVED_RESPONSE_NAMES.has(normal) || RESERVED_RESPONSE_PREFIXES.some((prefix) => normal.startsWith(prefix))
}

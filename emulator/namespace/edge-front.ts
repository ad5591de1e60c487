/**
 * What Cloudflare's front does to a request before a Worker sees it: says who connected, in `cf-connecting-ip` and `request.cf`, whatever the client claims.
 * On a laptop nobody measures the connection, so the facts are fixed, or those that the local-only header `x-local-cf` tells.
 */

/** JSON: any fields of `request.cf`, and `ip`. */
export const LOCAL_CF_HEADER = "x-local-cf"
const DEFAULT_IP = "127.0.0.1"
/** As if over the TLS that Cloudflare would have terminated: a TLS floor is about connections that do not exist here. */
const DEFAULT_CF = Object.freeze({ tlsVersion: "TLSv1.3" })

type IncomingRequest = Request<unknown, IncomingRequestCfProperties>

/**
 * A copy with the front's own facts; the client's are gone. A header that is not a JSON object counts as absent.
 * `cf` is the copy's own property and not the runtime's: it costs nothing, and it ends here, where production's ends for user Workers.
 */
export function asCloudflareWouldSend(request: IncomingRequest): IncomingRequest {
  const told = request.headers.get(LOCAL_CF_HEADER)
  const url = ofRealHostname(request.url)
  // A Host that is none: the dispatcher refuses it by itself, and a failure here would write the whole URL, signature and all, into the log.
  if (!URL.canParse(url)) return request
  const sent = new Request(url, request) as IncomingRequest
  let ip: unknown
  let cf: object = DEFAULT_CF
  if (told !== null) {
    sent.headers.delete(LOCAL_CF_HEADER)
    const { ip: toldIp, ...toldCf } = parse(told)
    ip = toldIp
    cf = { ...DEFAULT_CF, ...toldCf }
  }
  sent.headers.set("cf-connecting-ip", typeof ip === "string" ? ip : DEFAULT_IP)
  return Object.defineProperty(sent, "cf", { value: cf })
}

/**
 * The URL as it would be in production: `https`, as the TLS version beside it says, and without the local port. Browsers resolve `*.localhost` to this
 * machine and nothing else, so `app.procore.localhost` stands for `app.procore.com` here.
 */
export function ofRealHostname(url: string): string {
  return url.replace(AUTHORITY, (_whole, name: string, local: string | undefined) =>
    local === undefined ? `https://${name}` : `https://${name.slice(0, -local.length)}.com`,
  )
}

const AUTHORITY = /^https?:\/\/([^/:]*?(\.localhost)?)(?::\d+)?(?=\/|$)/

/** A redirect to a hostname of production, given to a browser that came by `*.localhost`, would leave the laptop: it leads back the same way. */
export function withLocalLocation(response: Response, url: string): Response {
  const location = response.headers.get("location")
  const asked = URL.parse(url)
  if (location === null || asked === null || !asked.hostname.endsWith(".localhost")) return response
  const target = URL.parse(location)
  if (target === null || !target.hostname.endsWith(".com")) return response
  const local = new Response(response.body, response)
  const hostname = `${target.hostname.slice(0, -".com".length)}.localhost`
  local.headers.set("location", `http://${hostname}:${asked.port}${target.pathname}${target.search}${target.hash}`)
  return local
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {}
  } catch {
    return {}
  }
}

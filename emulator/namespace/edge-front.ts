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
  const sent = new Request(ofRealHostname(request.url), request) as IncomingRequest
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

/** Browsers resolve `*.localhost` to this machine and nothing else, so `app.procore.localhost` stands for `app.procore.com` here. */
const LOCALHOST = /^(https?:\/\/[^/]+)\.localhost(?=[:/])/

function ofRealHostname(url: string): string {
  return url.replace(LOCALHOST, "$1.com")
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {}
  } catch {
    return {}
  }
}

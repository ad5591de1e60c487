/**
 * An HTTP request to the local edge as any hostname. Node's `fetch` does not let one set Host, and the edge tells hostnames apart by it.
 * Used by the starter, `sallyport/testing` and the benchmarks' checks; redirects are not followed.
 */
import http from "node:http"
import { Readable } from "node:stream"
import { IDLE_MS } from "./listen.ts"

export interface EdgeRequestInit {
  readonly method?: string
  /** Sent exactly as given; an array of pairs may repeat a name, and names keep their spelling. */
  readonly headers?: Readonly<Record<string, string>> | readonly (readonly [string, string])[]
  readonly body?: string | Uint8Array | Readable
  readonly signal?: AbortSignal
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 256, timeout: IDLE_MS })

/** `url` names the hostname and path meant; the bytes go to `edgeUrl`. The path is sent as written, not normalised. */
export async function edgeRequest(edgeUrl: string, url: string, init: EdgeRequestInit = {}): Promise<Response> {
  const { host, target } = splitUrl(url)
  const edge = new URL(edgeUrl)
  const method = init.method ?? "GET"
  const sent = http.request({
    agent,
    host: edge.hostname,
    port: edge.port,
    method,
    path: target,
    setHost: false,
    headers: flatten(host, init),
    ...(init.signal === undefined ? {} : { signal: init.signal }),
  })
  const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
    sent.once("response", resolve)
    sent.once("error", reject)
  })
  if (init.body instanceof Readable) init.body.pipe(sent)
  else sent.end(init.body)
  return toResponse(await answered, method)
}

/** Raw header list, so that repeated names stay apart on the wire. */
function flatten(host: string, init: EdgeRequestInit): string[] {
  const pairs = Array.isArray(init.headers) ? init.headers : Object.entries(init.headers ?? {})
  const list = ["Host", host, ...pairs.flat()]
  const names = pairs.map(([name]: readonly [string, string]) => name.toLowerCase())
  const { body } = init
  if (names.includes("content-length") || names.includes("transfer-encoding") || body === undefined) return list
  if (body instanceof Readable) return [...list, "Transfer-Encoding", "chunked"]
  return [...list, "Content-Length", String(Buffer.byteLength(body))]
}

/** By hand: `new URL` would resolve the dot segments and escapes that some tests are about. */
function splitUrl(url: string): { host: string; target: string } {
  const match = /^https?:\/\/([^/?#]+)([^#]*)/.exec(url)
  if (match?.[1] === undefined) throw new TypeError(`Not an absolute URL: ${url}`)
  const target = match[2] ?? ""
  return { host: match[1], target: target.startsWith("/") ? target : `/${target}` }
}

function toResponse(message: http.IncomingMessage, method: string): Response {
  const headers = new Headers()
  for (let index = 0; index < message.rawHeaders.length; index += 2)
    headers.append(message.rawHeaders[index] ?? "", message.rawHeaders[index + 1] ?? "")
  const status = message.statusCode ?? 0
  const empty = method === "HEAD" || status === 204 || status === 304
  if (empty) message.resume()
  const body = empty ? null : (Readable.toWeb(message) as ReadableStream<Uint8Array>)
  return new Response(body, { status, statusText: message.statusMessage ?? "", headers })
}

/**
 * The body of a request that is built anew to be passed on. The runtime gives a GET or HEAD from the network a body as soon as its headers
 * state one, be it `Content-Length: 0`, and makes no such request itself: the constructor throws. Used by the outbound Worker and the gateway.
 */

/** What to pass on as body. Null for GET and HEAD, whose content means nothing (RFC 9110 §9.3.1); its length is then taken off `headers`, the copy that goes on. */
export function forwardedBody(request: Pick<Request, "method" | "body">, headers: Headers): ReadableStream | null {
  if (request.method !== "GET" && request.method !== "HEAD") return request.body
  headers.delete("content-length")
  return null
}

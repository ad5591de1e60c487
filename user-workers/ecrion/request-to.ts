/** The request to one of the two services, as it goes out. */
import { AUDIENCE_HEADER } from "../../contracts/reserved-headers.ts"
import { forwardedBody } from "../../kit/forwarded-body.ts"
import { removeHopByHop } from "../../kit/hop-by-hop.ts"
import { COPY_HEADER, type SendOptions } from "../../kit/strangle.ts"

export interface ServiceAccess {
  readonly audience: string
  readonly origin: string
}

/**
 * The request for a service. The address is joined as text: resolving a path such as `//evil.example/` against the origin would change the host.
 * `host` is the hostname of the entrance, from the verified passport, which goes along: on its way out it becomes the service's. A copy has no body, so that it can be made again and again.
 */
export function requestTo(
  { audience, origin }: ServiceAccess,
  request: Request,
  host: string | undefined,
  { signal, isCopy }: SendOptions,
): Request {
  const { protocol, pathname, search } = new URL(request.url)
  const headers = new Headers(request.headers)
  removeHopByHop(headers)
  if (host === undefined) headers.delete("x-forwarded-host")
  else headers.set("x-forwarded-host", host)
  headers.set("x-forwarded-proto", protocol.slice(0, -1))
  // Both services may have one origin.
  headers.set(AUDIENCE_HEADER, audience)
  headers.delete(COPY_HEADER)
  const body = isCopy ? null : forwardedBody(request, headers)
  if (isCopy) {
    headers.delete("content-length")
    headers.set(COPY_HEADER, "1")
  }
  return new Request(origin + pathname + search, {
    method: request.method,
    headers,
    body,
    redirect: "manual",
    signal,
  })
}

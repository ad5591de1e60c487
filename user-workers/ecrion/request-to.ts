/** The request to one of the two services, as it goes out. */
import { PASSPORT_HEADER } from "../../contracts/reserved-headers.ts"
import type { AudienceAccess } from "../../kit/audience-passports.ts"
import { forwardedBody } from "../../kit/forwarded-body.ts"
import { removeHopByHop } from "../../kit/hop-by-hop.ts"
import { COPY_HEADER, type SendOptions } from "../../kit/strangle.ts"

/**
 * The request for a service. The address is joined as text: resolving a path such as `//evil.example/` against the origin would change the host.
 * `host` is the hostname of the entrance, from the verified passport. A copy has no body, so that it can be made again and again.
 */
export function requestTo(
  { origins: [origin], token }: AudienceAccess,
  request: Request,
  host: string | undefined,
  { signal, isCopy }: SendOptions,
): Request {
  const { protocol, pathname, search } = new URL(request.url)
  const headers = new Headers(request.headers)
  removeHopByHop(headers)
  headers.set(PASSPORT_HEADER, token)
  if (host === undefined) headers.delete("x-forwarded-host")
  else headers.set("x-forwarded-host", host)
  headers.set("x-forwarded-proto", protocol.slice(0, -1))
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

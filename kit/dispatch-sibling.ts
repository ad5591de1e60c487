/**
 * A request to another team script, through the platform binding. By `fetch`, not by the RPC method `dispatch`: RPC cannot carry
 * a WebSocket, and costs more. This is the only place that knows.
 */
import { SIBLING_HEADER, SIBLING_ZONE_HEADER } from "../contracts/reserved-headers.ts"

/** The `PLATFORM` binding as something to fetch from. */
export interface SiblingDoor {
  fetch(request: Request): Promise<Response>
}

/**
 * The sibling's response, or a problem response (`platform.*`, `dispatch.*`). `request` must carry the `x-passport` that the caller received;
 * its body streams through. `zone` replaces the zone in the sibling's passport. Needs the grant `dispatch:<script>`, and `zone:<zone>` for another zone than the caller's own.
 */
export function dispatchSibling(
  platform: SiblingDoor,
  script: string,
  request: Request,
  options: { readonly zone?: string } = {},
): Promise<Response> {
  const outgoing = new Request(request)
  outgoing.headers.set(SIBLING_HEADER, script)
  if (options.zone !== undefined) outgoing.headers.set(SIBLING_ZONE_HEADER, options.zone)
  return platform.fetch(outgoing)
}

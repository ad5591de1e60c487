/**
 * Removes what belongs to one connection and not to the message (RFC 9110 §7.6.1), before a proxy passes headers on.
 * Used by whoever forwards a request or a response: the outbound Worker and the gateway.
 */
import { isReservedRequestHeader, normalizeHeaderName } from "../contracts/reserved-headers.ts"

const HOP_BY_HOP: readonly string[] = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
]

/** Naming these in `Connection` would take the message's own meaning away (R4; Kong CVE-2026-6338 is the pattern): such a nomination is ignored. */
const END_TO_END: ReadonlySet<string> = new Set(["authorization", "content-length", "content-type", "cookie", "host"])

/**
 * Deletes hop-by-hop headers and those that `Connection` names, in place.
 * Headers of the gateway (`x-passport`, `x-request-id`, …) cannot be taken away by naming them. `Upgrade` stays only as `websocket`, which the runtime reads.
 */
export function removeHopByHop(headers: Headers): void {
  const nominated = headers.get("connection")
  for (const name of HOP_BY_HOP) headers.delete(name)
  if (nominated !== null) {
    for (const each of nominated.split(",")) {
      const name = each.trim()
      if (isToken(name) && name.toLowerCase() !== "upgrade" && !isEndToEnd(name)) headers.delete(name)
    }
  }
  const upgrade = headers.get("upgrade")
  if (upgrade !== null && upgrade.toLowerCase() !== "websocket") headers.delete("upgrade")
}

function isEndToEnd(name: string): boolean {
  return END_TO_END.has(normalizeHeaderName(name)) || isReservedRequestHeader(name)
}

/** RFC 9110 §5.6.2; `Headers.delete` throws for anything else. */
function isToken(text: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text)
}

/**
 * Removes what belongs to one connection and not to the message (RFC 9110 §7.6.1), before a proxy passes headers on.
 * Used by whoever forwards a request or a response: the outbound Worker and the gateway. The names are in contracts/hop-by-hop.ts.
 */
import { HOP_BY_HOP_HEADERS, mayBeNominated } from "../contracts/hop-by-hop.ts"

/**
 * Deletes hop-by-hop headers and those that `Connection` names, in place.
 * What the message means, and headers of the gateway (`x-passport`, `x-request-id`, …), cannot be taken away by naming them.
 * `Upgrade` stays only as `websocket`, which the runtime reads.
 */
export function removeHopByHop(headers: Headers): void {
  const nominated = headers.get("connection")
  for (const name of HOP_BY_HOP_HEADERS) headers.delete(name)
  if (nominated !== null) {
    for (const each of nominated.split(",")) {
      const name = each.trim()
      if (mayBeNominated(name)) headers.delete(name)
    }
  }
  const upgrade = headers.get("upgrade")
  if (upgrade !== null && upgrade.toLowerCase() !== "websocket") headers.delete("upgrade")
}

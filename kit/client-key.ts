/** Whom a limit counts as one client (R27). */
import { isIPv4, parseAddress } from "../contracts/cidr.ts"

/** An IPv4 address; an IPv6 /64, since a household or a machine owns that many; or all whose address is unknown or is none, together. One spelling for one client. */
export function clientKey(ip: string | null): string {
  const address = ip === null ? null : parseAddress(ip)
  if (address === null) return "unknown"
  const [first, second, , last] = address
  if (isIPv4(address)) return [24, 16, 8, 0].map((bits) => (last >>> bits) & 255).join(".")
  return `${first.toString(16)}:${second.toString(16)}/64`
}

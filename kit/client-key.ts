/** Whom a limit counts as one client. */
import { isIPv4, parseAddress } from "../contracts/cidr.ts"

const UNKNOWN = "unknown"
const [ZERO, NINE, DOT] = [48, 57, 46]
const IPV4_LENGTHS = { least: "0.0.0.0".length, most: "255.255.255.255".length } as const

/**
 * An IPv4 address; an IPv6 /64, since a household or a machine owns that many; or all whose address is unknown or is none, together. One spelling for one client.
 * IPv4 is taken as the platform writes it, which has one spelling for it, and not read: the brake asks this at every request.
 */
export function clientKey(ip: string | null): string {
  if (ip === null) return UNKNOWN
  if (isLikeIPv4(ip)) return ip
  const address = parseAddress(ip)
  if (address === null) return UNKNOWN
  const [first, second, , last] = address
  if (isIPv4(address)) return `${last >>> 24}.${(last >>> 16) & 255}.${(last >>> 8) & 255}.${last & 255}`
  return `${first.toString(16)}:${second.toString(16)}/64`
}

/** A digit, and a dot after one to three characters: no IPv6 address has both, whatever is mapped into it. */
function isLikeIPv4(text: string): boolean {
  const first = text.charCodeAt(0)
  if (first < ZERO || first > NINE || text.length < IPV4_LENGTHS.least || text.length > IPV4_LENGTHS.most) return false
  return text.charCodeAt(1) === DOT || text.charCodeAt(2) === DOT || text.charCodeAt(3) === DOT
}

/**
 * R2: the one name of the host a request is for, taken from the authority of its URL and never from a header.
 * Whether that URL was parsed before depends on what stands in front of the Worker, so nothing is taken as settled here: not even case.
 */
import { refuse } from "../../../kit/problem.ts"

/** What the dispatch config could hold: labels of letters, digits and inner dashes. Held against the text as it came, because lower-casing turns some letters outside ASCII into others within. */
const HOSTNAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i
/** A host whose last label is a number is an IPv4 address to the URL standard, or nothing. @see https://url.spec.whatwg.org/#ends-in-a-number-checker */
const ENDS_IN_A_NUMBER = /(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$/i
const PORT = /^[0-9]{0,5}$/
const LONGEST = 253

/** Names found good, so that the usual one costs a lookup; emptied when full, because clients choose what comes. */
const known = new Set<string>()
const KNOWN_AT_MOST = 1000

/** The hostname in `authority` (`host` or `host:port`), in lower case. Refuses `edge.hostname-invalid`: trailing dot, empty label, an address, credentials, anything else. */
export function canonicalHostname(authority: string): string {
  const colon = authority.indexOf(":")
  if (colon === -1) return checked(authority)
  if (!PORT.test(authority.slice(colon + 1))) throw refuse("edge.hostname-invalid")
  return checked(authority.slice(0, colon))
}

function checked(host: string): string {
  if (known.has(host)) return host
  const isGood = host.length <= LONGEST && HOSTNAME.test(host) && !ENDS_IN_A_NUMBER.test(host)
  if (!isGood) throw refuse("edge.hostname-invalid")
  const hostname = host.toLowerCase()
  if (known.size >= KNOWN_AT_MOST) known.clear()
  known.add(hostname)
  return hostname
}

/**
 * IP addresses and ranges as numbers: what the contract accepts in a deny list, and what the edge compares at every request.
 * Everything is 128 bits wide; an IPv4 address is its IPv4-mapped form (RFC 4291 §2.5.5.2), so that `10.0.0.1` and `::ffff:a00:1` are one address.
 */

/** Four unsigned 32-bit words, the most significant first. */
export type Address = readonly [number, number, number, number]

/** An inclusive range. */
export interface AddressRange {
  readonly first: Address
  readonly last: Address
}

/** Third word of every IPv4-mapped address. */
const MAPPED = 0xffff
/** Longest text of an address: IPv6 in full with an IPv4 tail. */
const LONGEST = 45

/** True for an IPv4 or IPv6 address, or a range of them in CIDR notation without bits set beyond its prefix (`10.0.0.0/8`, not `10.0.0.1/8`). */
export function isCidr(text: string): boolean {
  return parseCidr(text) !== null
}

/** The range that `text` stands for, a single address being a range of one; null when it is neither. @see RFC 4632 §3.1, RFC 4291 §2.3 */
export function parseCidr(text: string): AddressRange | null {
  const slash = text.indexOf("/")
  const first = parseAddress(slash === -1 ? text : text.slice(0, slash))
  if (first === null) return null
  if (slash === -1) return { first, last: first }
  const isIPv6 = text.includes(":")
  const digits = text.slice(slash + 1)
  if (!/^(0|[1-9][0-9]{0,2})$/.test(digits)) return null
  const prefix = Number(digits) + (isIPv6 ? 0 : 96)
  if (prefix > 128) return null
  const hostBits = [0, 1, 2, 3].map((word) => hostMask(prefix - 32 * word))
  const isAligned = first.every((word, index) => (word & (hostBits[index] ?? 0)) === 0)
  if (!isAligned) return null
  const [a, b, c, d] = first
  const [ha = 0, hb = 0, hc = 0, hd = 0] = hostBits
  return { first, last: [(a | ha) >>> 0, (b | hb) >>> 0, (c | hc) >>> 0, (d | hd) >>> 0] }
}

/**
 * The address that `text` spells, or null. IPv6 in any spelling of RFC 4291 §2.2, without zone. IPv4 as four decimal numbers without leading
 * zeros: what some parsers read as octal, hex or a short form is no address here.
 */
export function parseAddress(text: string): Address | null {
  if (text.length > LONGEST) return null
  if (text.includes(":")) return parseIPv6(text)
  const word = parseIPv4(text)
  return word === -1 ? null : [0, 0, MAPPED, word]
}

/** Negative, zero or positive, as for sorting. */
export function compareAddresses(left: Address, right: Address): number {
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2] || left[3] - right[3]
}

export function isIPv4(address: Address): boolean {
  return address[2] === MAPPED && address[0] === 0 && address[1] === 0
}

/** The bits of one word that lie beyond a prefix of which `bits` remain at this word. */
function hostMask(bits: number): number {
  if (bits >= 32) return 0
  return bits <= 0 ? 0xffffffff : 0xffffffff >>> bits
}

/** A dotted quad as one word; -1 when it is none. */
function parseIPv4(text: string): number {
  let word = 0
  let octet = -1
  let octets = 1
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === 46) {
      if (octet === -1 || octets === 4) return -1
      word = word * 256 + octet
      octet = -1
      octets++
      continue
    }
    const digit = code - 48
    // A second digit after a leading zero: octal to some, decimal to others.
    if (digit < 0 || digit > 9 || octet === 0) return -1
    octet = octet === -1 ? digit : octet * 10 + digit
    if (octet > 255) return -1
  }
  return octets === 4 && octet !== -1 ? word * 256 + octet : -1
}

function parseIPv6(text: string): Address | null {
  const gap = text.indexOf("::")
  if (gap === -1) return toAddress(parseGroups(text))
  // A second `::` leaves an empty group in the tail, which no group may be.
  const head = gap === 0 ? [] : parseGroups(text.slice(0, gap))
  const tail = gap + 2 === text.length ? [] : parseGroups(text.slice(gap + 2))
  if (head === null || tail === null || head.length + tail.length > 7) return null
  if (gap !== 0 && text.lastIndexOf(".", gap) !== -1) return null
  return toAddress([...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail])
}

/** 16-bit groups between colons; a dotted quad may stand last and gives two. Null when a part is neither. */
function parseGroups(text: string): number[] | null {
  const parts = text.split(":", 9)
  const groups: number[] = []
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16))
      continue
    }
    const word = index === parts.length - 1 ? parseIPv4(part) : -1
    if (word === -1) return null
    groups.push(Math.floor(word / 65_536), word % 65_536)
  }
  return groups
}

function toAddress(groups: readonly number[] | null): Address | null {
  if (groups?.length !== 8) return null
  const word = (index: number) => (groups[index] ?? 0) * 65_536 + (groups[index + 1] ?? 0)
  return [word(0), word(2), word(4), word(6)]
}

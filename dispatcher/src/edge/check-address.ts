/**
 * Client addresses against the denied ranges. Ranges become sorted, disjoint pairs of 128-bit numbers when the config is loaded,
 * so that a request costs one parse and a binary search, and nothing at all while no range is denied.
 */
import { type Address, type AddressRange, compareAddresses, parseAddress, parseCidr } from "../../../contracts/cidr.ts"
import { type Refusal, refuse } from "../../../kit/problem.ts"

export interface AddressRules {
  /** Disjoint, ascending. */
  readonly denied: readonly AddressRange[]
}

/** Throws a plain Error for what is no range: the config's parser refuses it first. */
export function compileAddresses(deny: readonly string[]): AddressRules {
  const ranges = deny.map((text) => {
    const range = parseCidr(text)
    if (range === null) throw new Error(`not an address range: ${text}`)
    return range
  })
  ranges.sort((left, right) => compareAddresses(left.first, right.first))
  const denied: AddressRange[] = []
  for (const range of ranges) {
    const previous = denied.at(-1)
    if (previous === undefined || compareAddresses(range.first, previous.last) > 0) denied.push(range)
    else if (compareAddresses(range.last, previous.last) > 0)
      denied[denied.length - 1] = { first: previous.first, last: range.last }
  }
  return { denied }
}

/** `ip` is null when the platform named no address; where some are denied, an unknown one is refused too. */
export function checkAddress(ip: string | null, rules: AddressRules): Refusal | null {
  if (rules.denied.length === 0) return null
  const address = ip === null ? null : parseAddress(ip)
  if (address !== null && !isWithin(address, rules.denied)) return null
  return refuse("edge.address-denied", { log: { ip } })
}

function isWithin(address: Address, ranges: readonly AddressRange[]): boolean {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const range = ranges[middle]
    if (range === undefined) return false
    if (compareAddresses(address, range.first) < 0) high = middle
    else if (compareAddresses(address, range.last) > 0) low = middle + 1
    else return true
  }
  return false
}

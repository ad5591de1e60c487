/** Countries and networks (ASNs) that are refused. Where the platform does not know, the client is from none of them. */
import { type Refusal, refuse } from "../../../kit/problem.ts"

export function checkCountry(country: string | null, deny: ReadonlySet<string>): Refusal | null {
  if (country === null || !deny.has(country)) return null
  return refuse("edge.country-denied", { log: { country } })
}

export function checkAsn(asn: number | null, deny: ReadonlySet<number>): Refusal | null {
  return asn === null || !deny.has(asn) ? null : refuse("edge.address-denied", { log: { asn } })
}

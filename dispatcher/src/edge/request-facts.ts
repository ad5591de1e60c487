/**
 * What the platform says about a request, in the shape that the passport carries. `request.cf` is absent in tests, on some plans and for
 * requests between Workers, and its fields come and go: whatever is not exactly as expected counts as not said.
 */
import { parseAddress } from "../../../contracts/cidr.ts"
import type { Facts } from "../../../contracts/passport.ts"

const COUNTRY = /^(?:[A-Z]{2}|T1)$/
const COLO = /^[A-Z0-9]{1,8}$/
const TLS = /^[A-Za-z0-9.]{1,16}$/

/** Never throws. `connectingIp` is the value of `cf-connecting-ip`; two joined values are no address. */
export function readFacts(cf: unknown, connectingIp: string | null): Facts {
  const ip = connectingIp !== null && parseAddress(connectingIp) !== null ? connectingIp : null
  if (typeof cf !== "object" || cf === null) return ip === null ? NOTHING : { ...NOTHING, ip }
  const { country, colo, asn, tlsVersion, botManagement } = cf as Record<string, unknown>
  return {
    ip,
    country: text(country, COUNTRY),
    colo: text(colo, COLO),
    asn: integer(asn, 1, 4_294_967_295),
    // The platform says "" for a request that came without TLS.
    tls: tlsVersion === "" ? "none" : text(tlsVersion, TLS),
    bot: typeof botManagement === "object" && botManagement !== null ? botScore(botManagement) : null,
  }
}

const NOTHING: Facts = Object.freeze({ ip: null, country: null, colo: null, asn: null, tls: null, bot: null })

function botScore(botManagement: { readonly score?: unknown }): number | null {
  return integer(botManagement.score, 1, 99)
}

function text(value: unknown, shape: RegExp): string | null {
  return typeof value === "string" && shape.test(value) ? value : null
}

function integer(value: unknown, least: number, most: number): number | null {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most ? (value as number) : null
}

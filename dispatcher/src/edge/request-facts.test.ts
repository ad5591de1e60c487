import fc from "fast-check"
import { expect, it } from "vitest"
import { readFacts } from "./request-facts.ts"

const nothing = { ip: null, country: null, colo: null, asn: null, tls: null, bot: null }

it("reads what the platform says", () => {
  const cf = {
    country: "GB",
    colo: "LHR",
    asn: 64500,
    tlsVersion: "TLSv1.3",
    botManagement: { score: 30 },
    city: "London",
  }
  expect(readFacts(cf, "203.0.113.7")).toEqual({
    ip: "203.0.113.7",
    country: "GB",
    colo: "LHR",
    asn: 64500,
    tls: "TLSv1.3",
    bot: 30,
  })
})

it("says nothing where the platform said nothing", () => {
  expect(readFacts(undefined, null)).toEqual(nothing)
  expect(readFacts({}, null)).toEqual(nothing)
  expect(readFacts(null, "203.0.113.7")).toEqual({ ...nothing, ip: "203.0.113.7" })
})

it("takes Tor for a country, and an empty TLS version for a connection without TLS", () => {
  expect(readFacts({ country: "T1", tlsVersion: "" }, null)).toEqual({ ...nothing, country: "T1", tls: "none" })
})

it.each(["203.0.113.7, 198.51.100.1", "203.0.113.7 ", "localhost", "0x7f.1", "fe80::1%eth0", "", "a".repeat(60_000)])(
  "takes %.40j for no address",
  (connectingIp) => {
    expect(readFacts({}, connectingIp).ip).toBeNull()
  },
)

it("counts a field of the wrong kind as not said, and never throws", () => {
  const wrong = fc.oneof(fc.anything(), fc.constantFrom("gb", "GBR", "", Number.NaN, -1, 1.5, 2 ** 32, {}, []))
  const cf = fc.record({ country: wrong, colo: wrong, asn: wrong, tlsVersion: wrong, botManagement: wrong })
  fc.assert(
    fc.property(fc.oneof(cf, fc.anything()), (hostile) => {
      const facts = readFacts(hostile, null)
      expect(facts.country ?? "GB").toMatch(/^([A-Z]{2}|T1)$/)
      expect(facts.colo ?? "LHR").toMatch(/^[A-Z0-9]{1,8}$/)
      expect(facts.tls ?? "TLSv1.3").toMatch(/^[A-Za-z0-9.]{1,16}$/)
      expect(Number.isInteger(facts.asn ?? 1) && Number.isInteger(facts.bot ?? 1)).toBe(true)
    }),
  )
})

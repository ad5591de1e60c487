import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { canonicalHostname } from "./canonical-hostname.ts"

const invalid = expect.objectContaining({ code: "edge.hostname-invalid" })

it.each([
  ["api.procore.com", "api.procore.com"],
  ["api.procore.com:8787", "api.procore.com"],
  ["api.procore.com:", "api.procore.com"],
  ["API.Procore.COM:80", "api.procore.com"],
  ["localhost:8787", "localhost"],
  ["xn--bcher-kva.example", "xn--bcher-kva.example"],
  ["1.example", "1.example"],
  ["1.2.3.4.example", "1.2.3.4.example"],
  ["0x7f.example", "0x7f.example"],
  ["3com.example", "3com.example"],
  [`${"a".repeat(63)}.example`, `${"a".repeat(63)}.example`],
])("reads %s as %s", (authority, hostname) => {
  expect(canonicalHostname(authority)).toBe(hostname)
  expect(canonicalHostname(authority)).toBe(hostname)
})

describe("refuses", () => {
  it.each([
    ["", "nothing"],
    ["\u212Aelvin.example", "a letter outside ASCII whose lower case is within"],
    ["api.procore.com.", "a trailing dot"],
    ["api.procore.com.:80", "a trailing dot before a port"],
    ["api..procore.com", "an empty label"],
    [".procore.com", "an empty first label"],
    ["127.0.0.1", "an IPv4 address"],
    ["127.0.0.1:8787", "an IPv4 address with a port"],
    ["127.1", "a short IPv4 address"],
    ["0x7f.1", "a hex IPv4 address"],
    ["2130706433", "an IPv4 address as a number"],
    ["0x7f000001", "an IPv4 address as a hex number"],
    ["example.0x", "a last label that is a number to the URL standard"],
    ["[::1]", "an IPv6 address"],
    ["[::1]:8787", "an IPv6 address with a port"],
    ["alice@api.procore.com", "a user"],
    ["api.procore.com:80@evil.example", "a user that looks like a host"],
    ["api.procore.com:http", "a port that is no number"],
    ["api.procore.com:800000", "a port too long"],
    ["api.procore.com:80:80", "two ports"],
    ["team_a.example", "an underscore"],
    ["-a.example", "a leading dash"],
    ["a-.example", "a trailing dash"],
    ["api.procore.com%00", "an escape"],
    ["api.procore.com,evil.example", "a list"],
    ["b\u00fccher.example", "a letter outside ASCII"],
    [`${"a".repeat(64)}.example`, "a label too long"],
    [`${"a.".repeat(126)}example`, "a name too long"],
  ])("%j: %s", (authority) => {
    expect(() => canonicalHostname(authority)).toThrow(invalid)
  })
})

it("throws nothing but a refusal, and never gives a name that the URL standard would change", () => {
  const unit = fc.constantFrom(..."aZ09.-_:@[]x%")
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit, maxLength: 20 }), fc.domain(), fc.ipV4(), fc.ipV4Extended()),
      (authority) => {
        try {
          const hostname = canonicalHostname(authority)
          expect(new URL(`https://${hostname}/`).hostname).toBe(hostname)
        } catch (thrown) {
          expect(thrown).toEqual(invalid)
        }
      },
    ),
    { numRuns: 3000 },
  )
})

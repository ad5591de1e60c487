import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { checkAddress, compileAddresses } from "./check-address.ts"

function isDenied(ip: string | null, ...deny: string[]): boolean {
  return checkAddress(ip, compileAddresses(deny)) !== null
}

describe("checkAddress", () => {
  it.each([
    ["10.255.255.255", "10.0.0.0/8"],
    ["::ffff:10.1.2.3", "10.0.0.0/8"],
    ["::FFFF:0a01:0203", "10.0.0.0/8"],
    ["10.1.2.3", "::ffff:10.0.0.0/104"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::/32"],
    ["192.0.2.1", "0.0.0.0/0"],
    ["2001:db8::1", "::/0"],
    ["192.0.2.1", "::/0"],
  ])("finds %s in %s", (ip, range) => {
    expect(isDenied(ip, range)).toBe(true)
  })

  it.each([
    ["11.0.0.0", "10.0.0.0/8"],
    ["9.255.255.255", "10.0.0.0/8"],
    ["::10.1.2.3", "10.0.0.0/8"],
    ["2001:db9::", "2001:db8::/32"],
    ["2001:db8::1", "0.0.0.0/0"],
  ])("does not find %s in %s", (ip, range) => {
    expect(isDenied(ip, range)).toBe(false)
  })

  it.each(["010.1.2.3", "0x0a.1.2.3", "10.1", "167837955", "", null])(
    "refuses %j, which is no address, where some are denied",
    (ip) => {
      expect(isDenied(ip, "192.0.2.0/24")).toBe(true)
      expect(isDenied(ip)).toBe(false)
    },
  )

  it("merges ranges that overlap, touch or contain each other", () => {
    expect(
      compileAddresses(["10.1.0.0/16", "10.0.0.0/8", "10.0.0.0/8", "192.0.2.7", "10.200.0.0/16"]).denied,
    ).toHaveLength(2)
    expect(isDenied("10.201.0.1", "10.0.0.0/8", "10.200.0.0/16")).toBe(true)
  })

  it("agrees with looking at every range in turn", () => {
    const range = fc.tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 7 })).map(([third, bits]) => ({
      first: (third >> bits) << bits,
      last: ((third >> bits) << bits) + (1 << bits) - 1,
      prefix: 24 - bits,
    }))
    fc.assert(
      fc.property(
        fc.array(range, { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 0, max: 255 }),
        (ranges, third) => {
          const deny = ranges.map(({ first, prefix }) => `198.18.${first}.0/${prefix}`)
          expect(isDenied(`198.18.${third}.9`, ...deny)).toBe(
            ranges.some(({ first, last }) => first <= third && third <= last),
          )
        },
      ),
    )
  })
})

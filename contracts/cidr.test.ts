import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { compareAddresses, isCidr, isIPv4, parseAddress, parseCidr } from "./cidr.ts"

describe("parseAddress", () => {
  it.each([
    ["0.0.0.0", [0, 0, 0xffff, 0]],
    ["255.255.255.255", [0, 0, 0xffff, 0xffffffff]],
    ["192.0.2.1", [0, 0, 0xffff, 0xc0000201]],
    ["::", [0, 0, 0, 0]],
    ["::1", [0, 0, 0, 1]],
    ["1::", [0x10000, 0, 0, 0]],
    ["2001:db8::8:800:200C:417A", [0x20010db8, 0, 0x00080800, 0x200c417a]],
    ["1:2:3:4:5:6:7:8", [0x00010002, 0x00030004, 0x00050006, 0x00070008]],
    ["1:2:3:4:5:6:7::", [0x00010002, 0x00030004, 0x00050006, 0x00070000]],
    ["64:ff9b::192.0.2.1", [0x0064ff9b, 0, 0, 0xc0000201]],
  ])("reads %s", (text, words) => {
    expect(parseAddress(text)).toEqual(words)
  })

  it("takes every spelling of one address for the same", () => {
    const spellings = [
      "192.0.2.1",
      "::ffff:192.0.2.1",
      "::FFFF:c000:201",
      "0:0:0:0:0:ffff:c000:0201",
      "0000::ffff:192.0.2.1",
    ]
    for (const text of spellings) expect(parseAddress(text)).toEqual([0, 0, 0xffff, 0xc0000201])
    expect(parseAddress("2001:DB8:0:0::1")).toEqual(parseAddress("2001:db8::0:0:1"))
  })

  it.each([
    ["", "nothing"],
    ["010.0.0.1", "an octal octet"],
    ["00.0.0.1", "a doubled zero"],
    ["0x7f.0.0.1", "a hex octet"],
    ["127.1", "a short form"],
    ["2130706433", "a bare number"],
    ["1.2.3.256", "an octet over 255"],
    ["1.2.3.4.5", "five octets"],
    ["1.2.3.", "an empty octet"],
    ["1.2..4", "an empty octet inside"],
    ["1.2.3.4, 5.6.7.8", "two addresses"],
    [" 1.2.3.4", "a space"],
    ["１.2.3.4", "a full-width digit"],
    [":", "a lone colon"],
    [":::", "three colons"],
    ["1::2::3", "two gaps"],
    ["1:2:3:4:5:6:7", "seven groups"],
    ["1:2:3:4:5:6:7:8:9", "nine groups"],
    ["1:2:3:4:5:6:7:8::", "a gap with nothing to fill"],
    [":1:2:3:4:5:6:7", "a leading colon"],
    ["1:2:3:4:5:6:7:", "a trailing colon"],
    ["12345::", "five digits"],
    ["g::", "a letter that is no digit"],
    ["fe80::1%eth0", "a zone"],
    ["1.2.3.4::", "IPv4 that is not last"],
    ["1.2.3.4:1:2:3:4:5:6", "IPv4 first"],
    ["::1.2.3.4:1", "IPv4 in the middle"],
    ["1:2:3:4:5:6:7:1.2.3.4", "nine groups by IPv4"],
    ["[::1]", "brackets"],
  ])("refuses %s: %s", (text) => {
    expect(parseAddress(text)).toBeNull()
  })

  it("reads what it is given back from the words, for any address", () => {
    const word = fc.integer({ min: 0, max: 0xffff })
    fc.assert(
      fc.property(fc.array(word, { minLength: 8, maxLength: 8 }), (groups) => {
        const address = parseAddress(groups.map((group) => group.toString(16)).join(":"))
        const words = [0, 2, 4, 6].map((index) => (groups[index] ?? 0) * 65_536 + (groups[index + 1] ?? 0))
        expect(address).toEqual(words)
      }),
    )
  })

  it("never throws, whatever the text", () => {
    fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => void parseCidr(text)))
    const alphabet = fc.constantFrom(..."0123456789abcdefx:./% ")
    fc.assert(fc.property(fc.string({ unit: alphabet, maxLength: 60 }), (text) => void parseCidr(text)))
  })
})

describe("parseCidr", () => {
  it.each([
    ["10.0.0.0/8", "10.0.0.0", "10.255.255.255"],
    ["0.0.0.0/0", "0.0.0.0", "255.255.255.255"],
    ["192.0.2.1", "192.0.2.1", "192.0.2.1"],
    ["192.0.2.1/32", "192.0.2.1", "192.0.2.1"],
    ["2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["2001:db8::/33", "2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"],
    ["::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["::1/128", "::1", "::1"],
    ["::ffff:10.0.0.0/104", "10.0.0.0", "10.255.255.255"],
  ])("takes %s for %s to %s", (text, first, last) => {
    expect(parseCidr(text)).toEqual({ first: parseAddress(first), last: parseAddress(last) })
  })

  it.each([
    "10.0.0.1/8",
    "2001:db8::1/64",
    "10.0.0.0/33",
    "::/129",
    "10.0.0.0/",
    "10.0.0.0/08",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "10.0.0.0/8 ",
    "10/8",
    "/8",
    "example.com",
  ])("refuses %s", (text) => {
    expect(isCidr(text)).toBe(false)
  })
})

it("orders addresses as numbers, and knows IPv4 by its mapped form", () => {
  const order = ["::1", "0.0.0.1", "128.0.0.0", "2001:db8::", "ffff::"]
    .map(parseAddress)
    .filter((each) => each !== null)
  expect(order).toHaveLength(5)
  expect([...order].reverse().sort(compareAddresses)).toEqual(order)
  expect(isIPv4([0, 0, 0xffff, 1])).toBe(true)
  expect(isIPv4([0, 0, 0, 1])).toBe(false)
})

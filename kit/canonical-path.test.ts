import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { canonicalPath } from "./canonical-path.ts"
import { growsFasterThan } from "./testing/growth.ts"

const ambiguous = expect.objectContaining({ code: "edge.path-ambiguous" })

describe("leaves alone what has one reading", () => {
  it.each(
    [
      "/",
      "/a",
      "/a/",
      "/rest/v1.0/projects/1234/files",
      "/a.b/c..d/e...",
      "/...",
      "/.../x",
      "/.well-known/jwks.json",
      "/.hidden/..almost",
      "/user:alice@example.com",
      "/a+b,c=d&e$f!g*h'i(j)k~l",
    ].filter((path) => path !== "/.hidden/..almost/.;"),
  )("%s", (path) => {
    expect(canonicalPath(path)).toBe(path)
  })
})

describe("writes what can be written in several ways in one", () => {
  it.each([
    ["/%61dmin", "/admin"],
    ["/a%2eb", "/a.b"],
    ["/a%2Eb/%7Ealice", "/a.b/~alice"],
    ["/%2e%2e%2e", "/..."],
    ["/alice%40example.com", "/alice@example.com"],
    ["/jobs%3Arun", "/jobs:run"],
    ["/%23fragment", "/%23fragment"],
    ["/what%3f", "/what%3F"],
    ["/site%20plan", "/site%20plan"],
    ["/caf%c3%a9", "/caf%C3%A9"],
    ["/%e5%9b%b3%E9%9D%A2", "/%E5%9B%B3%E9%9D%A2"],
    ["/100%25", "/100%25"],
    ["/100%25-off", "/100%25-off"],
    ["/50%25g0", "/50%25g0"],
    ["/a|b[c]", "/a%7Cb%5Bc%5D"],
    ["/a%7cb%5bc%5D", "/a%7Cb%5Bc%5D"],
    ["/%F0%9F%98%80", "/%F0%9F%98%80"],
    ["/\u00e9", "/%C3%A9"],
  ])("%s is %s", (path, canonical) => {
    expect(canonicalPath(path)).toBe(canonical)
  })
})

describe("refuses what two readers could read differently", () => {
  it.each([
    ["/a%2fb", "an encoded slash"],
    ["/a%2Fb", "an encoded slash"],
    ["/a%5cb", "an encoded backslash"],
    ["/a\\b", "a backslash"],
    ["/a%00", "an encoded NUL"],
    ["/a%0d%0ab", "an encoded line end"],
    ["/a%7f", "an encoded DEL"],
    ["/a\u0000b", "a control character"],
    ["/a%c2%85", "an encoded C1 control character"],
    ["//", "an empty segment"],
    ["//admin", "an empty segment at the start"],
    ["/a//b", "an empty segment inside"],
    ["/a//", "an empty segment at the end"],
    ["/.", "a dot segment"],
    ["/..", "a dot segment"],
    ["/a/./b", "a dot segment"],
    ["/a/../b", "a dot segment"],
    ["/a/.%2e/b", "a half-encoded dot segment"],
    ["/a/%2e%2E", "an encoded dot segment"],
    ["/a;b/c", "a parameter, cut off by some servers"],
    ["/a;/b", "an empty parameter"],
    ["/admin%3Bx/y", "an encoded parameter"],
    ["/a/..;/b", "a dot segment with a parameter"],
    ["/a/.;x/b", "a dot segment with a parameter"],
    ["/a/..;x=1", "a dot segment with a parameter at the end"],
    ["/a/..%3b/b", "a dot segment with an encoded parameter"],
    ["/a/%2e%2e;/b", "an encoded dot segment with a parameter"],
    ["/%252e%252e", "double encoding"],
    ["/%252f", "double encoding of a slash"],
    ["/%2541dmin", "double encoding of a letter"],
    ["/%25%32%65", "double encoding in parts"],
    ["/%25u002e", "double encoding of another style"],
    ["/%2", "a cut escape"],
    ["/%", "a lone percent sign"],
    ["/%zz", "an escape that is none"],
    ["/%u002e", "an escape of another style"],
    ["/%%32%65", "an escape within an escape"],
    ["/%c0%ae", "an overlong dot"],
    ["/%c0%af", "an overlong slash"],
    ["/%e0%80%af", "a longer overlong slash"],
    ["/%f0%80%80%af", "the longest overlong slash"],
    ["/%ff", "invalid UTF-8"],
    ["/%c3", "cut UTF-8"],
    ["/%ed%a0%80", "an encoded surrogate"],
    ["/%f4%90%80%80", "a code point too high"],
    ["/\ud800", "a lone surrogate"],
    ["/a#b", "a fragment"],
  ])("%j: %s", (path) => {
    expect(() => canonicalPath(path)).toThrow(ambiguous)
  })
})

const byte = fc.integer({ min: 0, max: 255 }).map((value) => `%${value.toString(16).padStart(2, "0")}`)
const piece = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom("/", ".", "..", ";", "%", "%25", "%2e", "%2F", "\\", "a", "1", "%41", "%c3%a9"),
  },
  { weight: 1, arbitrary: byte },
  { weight: 1, arbitrary: fc.string({ maxLength: 3 }) },
)
const anyPath = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join("")}`)

/** The canonical path, or null when it is refused; anything else thrown fails the test. */
function outcome(path: string): string | null {
  try {
    return canonicalPath(path)
  } catch (thrown) {
    expect(thrown).toEqual(ambiguous)
    return null
  }
}

describe("for any path", () => {
  it("throws nothing but a refusal, and what it gives is its own canonical form", () => {
    fc.assert(
      fc.property(anyPath, (path) => {
        const canonical = outcome(path)
        if (canonical !== null) expect(canonicalPath(canonical)).toBe(canonical)
      }),
      { numRuns: 3000 },
    )
  })

  it("gives the same text for two spellings exactly when they decode to the same", () => {
    fc.assert(
      fc.property(anyPath, anyPath, (left, right) => {
        const [one, other] = [outcome(left), outcome(right)]
        if (one === null || other === null) return
        expect(one === other).toBe(decodeURIComponent(left) === decodeURIComponent(right))
      }),
      { numRuns: 3000 },
    )
  })

  it("leaves nothing for a second decoding to find", () => {
    fc.assert(
      fc.property(anyPath, (path) => {
        const canonical = outcome(path)
        if (canonical === null) return
        const decoded = decodeURIComponent(canonical)
        expect(decoded.replace(/%[0-9a-f]{2}/gi, "!")).toBe(decoded)
        expect(decoded.split("/").length).toBe(canonical.split("/").length)
      }),
      { numRuns: 3000 },
    )
  })
})

it("takes time in proportion to the path, however hostile", () => {
  for (const unit of ["/.", ";", "%25", "%2e", "/a", ".", "%", "/..a", "%c3%a9"]) {
    const work = (size: number) => void outcome(`/${unit.repeat(size / unit.length)}`)
    expect(growsFasterThan(65_536, work), unit).toBe(false)
  }
})

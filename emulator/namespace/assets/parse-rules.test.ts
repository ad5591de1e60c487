import { describe, expect, it } from "vitest"
import { parseHeaderRules } from "./parse-header-rules.ts"
import { parseRedirectRules } from "./parse-redirect-rules.ts"

const redirects = (text: string, htmlHandling?: string) => parseRedirectRules(text, htmlHandling)

describe("parseRedirectRules", () => {
  it("reads from, to and status, 302 being the default, and skips comments", () => {
    expect(redirects("# note\n/a /b\n/c https://x.example/d?e#f 301 # note\n")).toEqual({
      version: 1,
      staticRules: {
        "/a": { status: 302, to: "/b", lineNumber: 2 },
        "/c": { status: 301, to: "https://x.example/d?e#f", lineNumber: 3 },
      },
      rules: {},
    })
  })

  it("keeps everything after the first pattern in order with it", () => {
    expect(Object.keys(redirects("/a /b\n/c/* /d/:splat\n/e /f\n")?.rules ?? {})).toEqual(["/c/*", "/e"])
  })

  it.each([
    ["too few words", "/a"],
    ["too many words", "/a /b 301 more"],
    ["an absolute source", "https://x.example/a /b"],
    ["a status that is no redirect", "/a /b 404"],
    ["a proxy to another host", "/a https://x.example/ 200"],
    ["a target that is no URL", "/a b"],
    ["a loop through /index", "/* /index.html 200"],
    ["a very long line", `/a /${"b".repeat(2000)}`],
  ])("skips %s", (_what, line) => {
    expect(redirects(line)).toBeUndefined()
  })

  it("takes the first of two rules for one path", () => {
    expect(redirects("/a /b\n/a /c")?.staticRules["/a"]?.to).toBe("/b")
  })

  it("allows a redirect of / to /index where HTML is served as it is", () => {
    expect(redirects("/ /index.html", "none")).toBeDefined()
    expect(redirects("/ /index.html")).toBeUndefined()
  })
})

describe("parseHeaderRules", () => {
  it("reads sections, joins repeated names and keeps removals", () => {
    const text = "/a\n  X-One: 1\n  x-one: 2\n  ! X-Two\nhttps://x.example/b\n  X-Three: a:b\n"
    expect(parseHeaderRules(text)).toEqual({
      version: 2,
      rules: {
        "/a": { set: { "x-one": "1, 2" }, unset: ["X-Two"] },
        "https://x.example/b": { set: { "x-three": "a:b" } },
      },
    })
  })

  it.each([
    ["headers before any path", "X-One: 1"],
    ["a path without headers", "/a\n/b"],
    ["two wildcards", "/*/a/*\n  X-One: 1"],
    ["a wildcard beside :splat", "/:splat/*\n  X-One: 1"],
    ["a port", "https://x.example:8443/\n  X-One: 1"],
    ["a name with a space", "/a\n  X One: 1"],
    ["no value", "/a\n  X-One:"],
  ])("skips %s", (_what, text) => {
    expect(parseHeaderRules(text)).toBeUndefined()
  })
})

import { describe, expect, it } from "vitest"
import { returnTo } from "./return-to.ts"

const ORIGIN = "https://app.procore.com"

describe("returnTo", () => {
  for (const [wanted, path] of [
    ["/", "/"],
    ["/webclients/projects/?a=b&c=%2F", "/webclients/projects/?a=b&c=%2F"],
    ["webclients/", "/webclients/"],
    ["https://app.procore.com/rest/v1.0", "/rest/v1.0"],
    ["HTTPS://APP.PROCORE.COM:443/x", "/x"],
    ["https://someone@app.procore.com/x", "/x"],
    ["/x#fragment", "/x"],
    ["/a/../b", "/b"],
    ["?a=//evil.example", "/?a=//evil.example"],
    ["/loginx", "/loginx"],
    // What looks like another host, and is a path of this one to the parser that browsers have.
    ["https:evil.example", "/evil.example"],
    ["https://app.procore.com\\@evil.example/", "/@evil.example/"],
    ["/caf%C3%A9", "/caf%C3%A9"],
  ])
    it(`takes ${wanted} to ${path}`, () => {
      expect(returnTo(wanted, ORIGIN, ["/login"])).toBe(path)
    })

  for (const wanted of [
    "//evil.example/",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    " //evil.example",
    "https://evil.example/",
    "http://app.procore.com/x",
    "https://app.procore.com:8443/x",
    "https://app.procore.com.evil.example/",
    "https://app.procore.com@evil.example/",
    "javascript:alert(1)",
    "data:text/html,x",
    "blob:https://app.procore.com/x",
    "/x//evil.example",
    "/%2f%2fevil.example",
    "/%5Cevil.example",
    "/a%00b",
    "/a;b",
    "/%252e%252e/",
    "/login",
    "/login/start?return_to=/login/start",
    "https://[",
    `/${"a".repeat(2_000)}`,
    "",
    null,
    undefined,
  ])
    it(`takes ${JSON.stringify(wanted)?.slice(0, 60)} to the start page`, () => {
      expect(returnTo(wanted, ORIGIN, ["/login"])).toBe("/")
    })

  it("gives what it takes itself, so that it may be asked twice", () => {
    for (const wanted of ["/a?b=c", "//evil.example", "/caf%C3%A9", "/x y"]) {
      const once = returnTo(wanted, ORIGIN)
      expect(returnTo(once, ORIGIN)).toBe(once)
    }
  })
})

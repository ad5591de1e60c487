import { describe, expect, it } from "vitest"
import { matchRoute } from "./match-route.ts"

const operation = () => new Response()
const routes = [
  { method: "GET", path: "/a/:one", operation },
  { method: "GET", path: "/a/:one/rest/*key", operation },
  { method: "*", path: "/any", operation },
]
const match = (method: string, path: string) => matchRoute(routes, method, `/client/v4${path}`)?.params ?? null

describe("matchRoute", () => {
  it("decodes parameters, of one segment or of the rest", () => {
    expect(match("GET", "/a/x%20y")).toEqual({ one: "x y" })
    expect(match("GET", "/a/b/rest/c/d%2Fe")).toEqual({ one: "b", key: "c/d/e" })
    expect(match("DELETE", "/any")).toEqual({})
  })

  it.each([
    ["POST", "/a/b"],
    ["GET", "/a"],
    ["GET", "/a/"],
    ["GET", "/a/b/c"],
    ["GET", "/a/b/rest"],
    ["GET", "/any/more"],
    ["GET", "/ab/b"],
  ])("does not match %s %s", (method, path) => {
    expect(match(method, path)).toBeNull()
  })

  it("matches nothing outside the prefix", () => {
    expect(matchRoute(routes, "GET", "/a/b")).toBeNull()
    expect(matchRoute(routes, "GET", "/client/v40/any")).toBeNull()
  })
})

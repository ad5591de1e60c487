import { describe, it } from "vitest"
import { announceDeprecation, parseDeprecations } from "./deprecation.ts"

const OLD = {
  path: "/rest/v1.0/old/*",
  since: "2023-06-30T23:59:59Z",
  sunset: "2024-06-30T23:59:59Z",
  link: "https://developers.example/migrate",
}

describe("announceDeprecation", () => {
  it("names the dates and the way out, in the form of RFC 9745 and RFC 8594", ({ expect }) => {
    const response = announce("/rest/v1.0/old/1", [OLD])
    // RFC 9745 §2.1 gives this very value for that instant.
    expect(response.headers.get("deprecation")).toBe("@1688169599")
    expect(response.headers.get("sunset")).toBe("Sun, 30 Jun 2024 23:59:59 GMT")
    expect(response.headers.get("link")).toBe('<https://developers.example/migrate>; rel="deprecation"')
  })

  it("says no more than it was given", ({ expect }) => {
    const { headers } = announce("/a", [{ path: "/a", since: OLD.since }])
    expect(headers.has("deprecation")).toBe(true)
    for (const name of ["sunset", "link"]) expect(headers.has(name)).toBe(false)
  })

  it("keeps status, body and the cell's own links", async ({ expect }) => {
    const answer = new Response("body", { status: 201, headers: { link: "</next>; rel=next" } })
    const response = announceDeprecation(answer, "/rest/v1.0/old", parseDeprecations(JSON.stringify([OLD])))
    expect(response.status).toBe(201)
    expect(await response.text()).toBe("body")
    expect(response.headers.get("link")).toMatch(/^<\/next>; rel=next, <https:/)
  })

  it("does not overrule a cell that says it itself", ({ expect }) => {
    const answer = new Response("body", { headers: { deprecation: "@1" } })
    expect(announceDeprecation(answer, "/rest/v1.0/old", parseDeprecations(JSON.stringify([OLD])))).toBe(answer)
  })

  for (const path of ["/rest/v1.0/older", "/rest/v1.0", "/rest/v1.0/", "/x/rest/v1.0/old"])
    it(`leaves ${path} alone`, ({ expect }) => {
      expect(announce(path, [OLD]).headers.has("deprecation")).toBe(false)
    })

  it("leaves what is below an exact path alone", ({ expect }) => {
    expect(announce("/a/b", [{ path: "/a", since: OLD.since }]).headers.has("deprecation")).toBe(false)
  })

  it("is said of everything by /*", ({ expect }) => {
    for (const path of ["/", "/a", "/a/b"])
      expect(announce(path, [{ path: "/*", since: OLD.since }]).headers.has("deprecation")).toBe(true)
  })

  it("leaves a WebSocket's response alone", ({ expect }) => {
    const { 0: client } = new WebSocketPair()
    const answer = new Response(null, { status: 101, webSocket: client })
    expect(announceDeprecation(answer, "/rest/v1.0/old", parseDeprecations(JSON.stringify([OLD])))).toBe(answer)
  })
})

describe("parseDeprecations", () => {
  const { path, since } = OLD
  const wrong: Record<string, unknown> = {
    "no list": {},
    "no object": ["/a"],
    "no path": [{ since }],
    "a path without a slash": [{ path: "a", since }],
    "a path with a star within": [{ path: "/a/*/b", since }],
    "no date": [{ path }],
    "a date without a time": [{ path, since: "2023-06-30" }],
    "a date that is none": [{ path, since: "2023-13-30T00:00:00Z" }],
    "a number for a date": [{ path, since: 1_688_169_599 }],
    "a sunset before the deprecation": [{ path, since, sunset: "2023-06-30T23:59:58Z" }],
    "a link that is no address": [{ path, since, link: "migrate" }],
    "a link that would run": [{ path, since, link: "javascript:alert(1)" }],
    "an unknown member": [{ path, since, sunSet: since }],
  }
  for (const [name, list] of Object.entries(wrong))
    it(`throws for ${name}`, ({ expect }) => {
      expect(() => parseDeprecations(JSON.stringify(list))).toThrow(TypeError)
    })

  it("takes a sunset at the very instant of the deprecation", ({ expect }) => {
    expect(parseDeprecations(JSON.stringify([{ path, since, sunset: since }]))).toHaveLength(1)
  })

  it("lets no address out of its brackets", ({ expect }) => {
    const [found] = parseDeprecations(JSON.stringify([{ path, since, link: "https://a.example/>; rel=next, <x" }]))
    expect(found?.link).toBe('<https://a.example/%3E;%20rel=next,%20%3Cx>; rel="deprecation"')
  })
})

function announce(path: string, list: readonly object[]): Response {
  return announceDeprecation(new Response("body"), path, parseDeprecations(JSON.stringify(list)))
}

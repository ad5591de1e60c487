import { describe, expect, it } from "vitest"
import { clearedSessionCookie, sessionCookie } from "../../../kit/session-cookie.ts"
import { finish } from "./finish.ts"

const PASSPORT = "header.payload.signature"
const RELEASE = { placedName: "files--v3", beginsSessions: false }
const INBOUND = { requestId: "r-1", hostname: "api.example.com" }

function finished(headers: HeadersInit, kind: "user" | "anonymous" = "user"): Headers {
  return finish(new Response("body", { headers }), INBOUND, RELEASE, 7, kind, PASSPORT).headers
}

describe("finish", () => {
  it("says which request, config revision and release it was", () => {
    const headers = finished({})
    expect(headers.get("x-request-id")).toBe("r-1")
    expect(headers.get("x-sallyport-config")).toBe("7")
    expect(headers.get("x-sallyport-release")).toBe("files--v3")
  })

  it.each([
    "X-Passport",
    "x_passport",
    "Strict-Transport-Security",
    "Clear-Site-Data",
    "Service-Worker-Allowed",
    "Alt-Svc",
    "Server-Timing",
    "X-Sallyport-Anything",
    "CDN-Cache-Control",
    "NEL",
    "CF-Ray",
  ])("takes %s from a team's response", (name) => {
    expect(finished({ [name]: "forged" }).get(name)).toBeNull()
  })

  it("overwrites a request id that the Worker made up", () => {
    expect(finished({ "x-request-id": "forged" }).get("x-request-id")).toBe("r-1")
  })

  it("takes away a cookie and a cache directive that hand the passport on, and no other cookie", () => {
    const headers = finished([
      ["set-cookie", `kept=${PASSPORT}; Path=/`],
      ["set-cookie", "own=1"],
      ["cache-control", `max-age=1, x="${PASSPORT}"`],
    ])
    expect(headers.getSetCookie()).toEqual(["own=1"])
    expect(headers.get("cache-control")).toBe("private")
  })

  it("takes away a header that hands the passport on", () => {
    expect(finished({ "x-debug": `got ${PASSPORT}` }).get("x-debug")).toBeNull()
    expect(finished({ "x-debug": "header.payload.signatur" }).get("x-debug")).not.toBeNull()
  })

  it("leaves every other header as it was", () => {
    const headers = finished({ "content-security-policy": "default-src 'self'", etag: '"1"', location: "/x" })
    expect(headers.get("content-security-policy")).toBe("default-src 'self'")
    expect(headers.get("etag")).toBe('"1"')
    expect(headers.get("location")).toBe("/x")
  })

  it("keeps status, body and own cookies, and drops cookies for wider domains or with gateway names", async () => {
    const response = new Response("body", { status: 418 })
    for (const cookie of [
      "theme=dark; Path=/",
      "list=1,2,x__Host-sallyport-session; Path=/",
      "own=1; Domain=api.example.com; Secure",
      "=__Host-sallyport-session=x",
      "wide=1; Domain=example.com",
      "wide2=1; domain=.EXAMPLE.com; Path=/",
      "twice=1; Domain=api.example.com; Domain=example.com",
      "__Host-sallyport-session=x; Path=/; Secure",
      "__host-SALLYPORT-session=x; Path=/",
      "\u00a0__Host-sallyport-session=x",
      "\u0085__Host-sallyport-session=x",
      "a=1,__Host-sallyport-session=x",
      "a=1,, __host-sallyport-session; Path=/",
    ]) {
      response.headers.append("set-cookie", cookie)
    }
    const result = finish(response, INBOUND, RELEASE, 7, "user", PASSPORT)
    expect(result.status).toBe(418)
    expect(await result.text()).toBe("body")
    expect(result.headers.getSetCookie()).toEqual([
      "theme=dark; Path=/",
      "list=1,2,x__Host-sallyport-session; Path=/",
      "own=1; Secure",
    ])
  })

  describe("of a script that begins sessions", () => {
    const login = { placedName: "login--v1", beginsSessions: true }
    const kept = (cookie: string, release = login) => {
      const response = new Response(null, { headers: { "set-cookie": cookie } })
      return finish(response, INBOUND, release, 7, "anonymous", PASSPORT).headers.getSetCookie()
    }
    const SESSION = "__Host-sallyport-session=id.seal.mac; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60"
    const LOGIN = "__Host-sallyport-login=x; Path=/; Secure; HttpOnly; SameSite=None"

    it.each([
      sessionCookie("id.seal.mac", 60),
      clearedSessionCookie(),
      SESSION.replace("Lax", "strict"),
      SESSION.toLowerCase().replace("__host-", "__Host-"),
      LOGIN,
      LOGIN.replace("login=", "login-pin="),
      LOGIN.replaceAll("; ", ";"),
    ])("keeps %j, and takes it from every other script", (cookie) => {
      expect(kept(cookie)).toEqual([cookie])
      expect(kept(cookie, RELEASE)).toEqual([])
    })

    it.each([
      ["without Secure", SESSION.replace(" Secure;", "")],
      ["without HttpOnly", SESSION.replace(" HttpOnly;", "")],
      ["without Path", SESSION.replace(" Path=/;", "")],
      ["with a path below", SESSION.replace("Path=/", "Path=/login")],
      ["with two paths", `${SESSION}; Path=/`],
      ["with a Domain", `${SESSION}; Domain=api.example.com`],
      ["with an empty Domain", `${SESSION}; Domain`],
      ["that goes along with other sites' requests", SESSION.replace("Lax", "None")],
      ["that does not say with whose requests it goes along", SESSION.replace("; SameSite=Lax", "")],
      ["in another case", SESSION.replace("__Host", "__host")],
      ["with a weaker prefix", SESSION.replace("__Host", "__Secure")],
      ["with a longer name", SESSION.replace("session=", "sessions=")],
      ["behind a no-break space", `\u00a0${SESSION}`],
      ["without a name", `=${SESSION}`],
      ["with a space behind its name", SESSION.replace("session=", "session =")],
    ])("drops the session's cookie %s", (_what, cookie) => {
      expect(kept(cookie)).toEqual([])
    })

    it.each([
      ["without Secure", LOGIN.replace(" Secure;", "")],
      ["without HttpOnly", LOGIN.replace(" HttpOnly;", "")],
      ["with a Domain", `${LOGIN}; Domain=example.com`],
      ["in another case", LOGIN.replace("-login", "-Login")],
      ["of another name of the gateway's", LOGIN.replace("-login", "-other")],
    ])("drops a login's cookie %s", (_what, cookie) => {
      expect(kept(cookie)).toEqual([])
    })

    it("treats its other cookies as anybody's", () => {
      expect(kept("a=1; Domain=api.example.com; Path=/")).toEqual(["a=1; Path=/"])
      expect(kept("a=1; Domain=example.com; Path=/")).toEqual([])
    })
  })

  it.each([
    [null, "private"],
    ["max-age=60", "private, max-age=60"],
    ["public, max-age=60, s-maxage=600", "private, max-age=60"],
    ["private, max-age=60", "private, max-age=60"],
    ["no-store", "no-store"],
  ])("makes an authenticated answer private: %j becomes %j", (sent, expected) => {
    expect(finished(sent === null ? {} : { "cache-control": sent }).get("cache-control")).toBe(expected)
  })

  it("leaves the caching of an anonymous answer to the Worker", () => {
    expect(finished({ "cache-control": "public, max-age=60" }, "anonymous").get("cache-control")).toBe(
      "public, max-age=60",
    )
    expect(finished({}, "anonymous").get("cache-control")).toBeNull()
  })
})

import { describe, expect, it } from "vitest"
import { finish } from "./finish.ts"

const PASSPORT = "header.payload.signature"
const INBOUND = { requestId: "r-1", hostname: "api.example.com" }

function finished(headers: HeadersInit, kind: "user" | "anonymous" = "user"): Headers {
  return finish(new Response("body", { headers }), INBOUND, "files--v3", 7, kind, PASSPORT).headers
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
      "own=1; Domain=api.example.com; Secure",
      "=__Host-sallyport-session=x",
      "wide=1; Domain=example.com",
      "wide2=1; domain=.EXAMPLE.com; Path=/",
      "twice=1; Domain=api.example.com; Domain=example.com",
      "__Host-sallyport-session=x; Path=/; Secure",
      "__host-SALLYPORT-session=x; Path=/",
      "\u00a0__Host-sallyport-session=x",
    ]) {
      response.headers.append("set-cookie", cookie)
    }
    const result = finish(response, INBOUND, "files--v3", 7, "user", PASSPORT)
    expect(result.status).toBe(418)
    expect(await result.text()).toBe("body")
    expect(result.headers.getSetCookie()).toEqual(["theme=dark; Path=/", "own=1; Secure"])
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

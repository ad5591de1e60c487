import { describe, expect, it } from "vitest"
import { asCloudflareWouldSend, withLocalLocation } from "./edge-front.ts"

type Incoming = Parameters<typeof asCloudflareWouldSend>[0]
const sent = (headers: Record<string, string>) =>
  asCloudflareWouldSend(new Request("http://api.procore.com/", { headers }) as Incoming)

describe("asCloudflareWouldSend", () => {
  it("says who connected, and never what the client claims", () => {
    const request = sent({ "cf-connecting-ip": "203.0.113.9" })
    expect(request.headers.get("cf-connecting-ip")).toBe("127.0.0.1")
    expect(request.cf).toEqual({ tlsVersion: "TLSv1.3" })
  })

  it("takes the facts that x-local-cf tells, and the header away", () => {
    const request = sent({ "x-local-cf": `{"country":"GB","asn":64500,"tlsVersion":"TLSv1.1","ip":"203.0.113.7"}` })
    expect(request.cf).toEqual({ country: "GB", asn: 64500, tlsVersion: "TLSv1.1" })
    expect(request.headers.get("cf-connecting-ip")).toBe("203.0.113.7")
    expect(request.headers.has("x-local-cf")).toBe(false)
  })

  it.each(["", "null", "[1]", "{", `"text"`])("takes %j for no facts", (told) => {
    expect(sent({ "x-local-cf": told }).cf).toEqual({ tlsVersion: "TLSv1.3" })
  })

  it.each([
    ["http://app.procore.localhost:8787/webclients/?a", "https://app.procore.com/webclients/?a"],
    ["http://app.uk01.procore.localhost/", "https://app.uk01.procore.com/"],
    ["http://localhost:8787/", "https://localhost/"],
    ["http://app.procore.com/x.localhost:1/", "https://app.procore.com/x.localhost:1/"],
    ["http://a.localhost.example.com:1/", "https://a.localhost.example.com/"],
  ])("reads %s as %s, as production would", (url, expected) => {
    expect(asCloudflareWouldSend(new Request(url) as Incoming).url).toBe(expected)
  })

  it("hands on as it came what has no hostname, for the dispatcher to refuse", () => {
    const odd = { url: "http://a b:1/x?sig=s", headers: new Headers() } as Incoming
    expect(asCloudflareWouldSend(odd)).toBe(odd)
  })

  it("keeps method, body and other headers", async () => {
    const request = new Request("http://api.procore.com/a?b", {
      method: "POST",
      body: "text",
      headers: { "x-a": "1" },
    }) as Incoming
    const copy = asCloudflareWouldSend(request)
    expect([copy.method, copy.url, copy.headers.get("x-a"), await copy.text()]).toEqual([
      "POST",
      "https://api.procore.com/a?b",
      "1",
      "text",
    ])
  })
})

describe("withLocalLocation", () => {
  const redirect = (location: string) => new Response(null, { status: 302, headers: { location } })
  const led = (location: string, url: string) => withLocalLocation(redirect(location), url).headers.get("location")

  it("leads a browser that came by localhost back to localhost", () => {
    const url = "http://app.procore.localhost:8787/a"
    expect(led("https://app.procore.com/b?c#d", url)).toBe("http://app.procore.localhost:8787/b?c#d")
    expect(led("https://us02.procore.com/", url)).toBe("http://us02.procore.localhost:8787/")
  })

  it("leaves every other redirect alone", () => {
    expect(led("/b", "http://app.procore.localhost:8787/a")).toBe("/b")
    expect(led("https://idp.example/x", "http://app.procore.localhost:8787/a")).toBe("https://idp.example/x")
    expect(led("https://app.procore.com/b", "http://app.procore.com:8787/a")).toBe("https://app.procore.com/b")
  })
})

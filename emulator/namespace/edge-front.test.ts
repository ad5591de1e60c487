import { describe, expect, it } from "vitest"
import { asCloudflareWouldSend } from "./edge-front.ts"

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
    ["http://app.procore.localhost:8787/webclients/?a", "http://app.procore.com:8787/webclients/?a"],
    ["http://app.uk01.procore.localhost/", "http://app.uk01.procore.com/"],
    ["http://localhost:8787/", "http://localhost:8787/"],
    ["http://app.procore.com/x.localhost/", "http://app.procore.com/x.localhost/"],
    ["http://a.localhost.example.com/", "http://a.localhost.example.com/"],
  ])("reads %s as %s, for browsers", (url, expected) => {
    expect(asCloudflareWouldSend(new Request(url) as Incoming).url).toBe(expected)
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
      "http://api.procore.com/a?b",
      "1",
      "text",
    ])
  })
})

import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Refusal } from "../../../kit/problem.ts"
import { onwardFrom } from "../test-onward.ts"
import { readInbound } from "./read-inbound.ts"

/** As readInbound sees a request; unlike a real one it can hold a URL that no URL parser has seen. */
function requestOf(url: string, headers: Record<string, string> | [string, string][] = {}, cf?: unknown): Request {
  return { url, method: "GET", headers: new Headers(headers), body: null, cf } as unknown as Request
}

function read(headers: Record<string, string> | [string, string][], url = "https://api.procore.com/a") {
  return readInbound(requestOf(url, headers), "id")
}

const framing = expect.objectContaining({ code: "edge.framing-ambiguous" })

describe("readInbound", () => {
  it("reads a request", () => {
    const headers = { authorization: "Bearer t", "content-length": "12", "cf-connecting-ip": "203.0.113.7" }
    const url = "https://api.procore.com:8787/rest/v1.0/%61?b=/../c//d%2f?e"
    const request = new Request(url, { method: "POST", headers, body: "Hello, Ally!", cf: { country: "GB" } })
    expect(readInbound(request, "id")).toMatchObject({
      request,
      requestId: "id",
      method: "POST",
      hostname: "api.procore.com",
      path: "/rest/v1.0/a",
      query: "?b=/../c//d%2f?e",
      urlBytes: url.length,
      authorization: "Bearer t",
      pin: null,
      contentLength: 12,
      upgrade: false,
      hasGatewayCookie: false,
      sessionCookie: null,
      fetchSite: null,
      fetchMode: null,
      accept: null,
      isOwnOrigin: false,
      facts: { ip: "203.0.113.7" },
    })
  })

  it.each([
    ["https://api.procore.com/", "/", ""],
    ["https://api.procore.com/?", "/", "?"],
    ["https://api.procore.com/a?b", "/a", "?b"],
    ["https://api.procore.com/a?b=%23", "/a", "?b=%23"],
  ])("splits %s", (url, path, query) => {
    expect(read({}, url)).toMatchObject({ path, query })
  })

  it.each([
    ["https://api.procore.com", "edge.hostname-invalid"],
    ["api.procore.com/a", "edge.hostname-invalid"],
    ["ftp://api.procore.com/a", "edge.hostname-invalid"],
    ["blob:https://api.procore.com/a", "edge.hostname-invalid"],
    ["https://api.procore.com?/a", "edge.hostname-invalid"],
    ["https://alice:secret@api.procore.com/a", "edge.hostname-invalid"],
    ["https://api.procore.com./a", "edge.hostname-invalid"],
    ["https://api.procore.com/a#b", "edge.path-ambiguous"],
    ["https://api.procore.com/a?b#c", "edge.path-ambiguous"],
    ["https://api.procore.com//evil.example/", "edge.path-ambiguous"],
  ])("refuses %s with %s", (url, code) => {
    expect(() => read({}, url)).toThrow(expect.objectContaining({ code }))
  })

  it("leaves the request as it is", () => {
    const request = new Request("https://api.procore.com/a", {
      headers: { "x-passport": "p", authorization: "Bearer t" },
    })
    readInbound(request, "id")
    expect(Object.fromEntries(request.headers)).toEqual({ "x-passport": "p", authorization: "Bearer t" })
  })

  it("shows both values of a credential that came twice, so that it is no credential", () => {
    const inbound = read([
      ["authorization", "Bearer a"],
      ["authorization", "Bearer b"],
      ["x-sallyport-pin", "p"],
      ["x-sallyport-pin", "q"],
    ])
    expect(inbound).toMatchObject({ authorization: "Bearer a, Bearer b", pin: "p, q" })
  })

  it("counts names, values and their four bytes of punctuation", () => {
    expect(read({ accept: "text/html", a: "" }).headerBytes).toBe("accept: text/html\r\na: \r\n".length)
  })

  it.each<[string, string, boolean]>([
    ["https://a.procore.com/x", "https://a.procore.com", true],
    ["https://a.procore.com:8443/x", "https://a.procore.com:8443", true],
    ["http://a.procore.com/x", "http://a.procore.com", true],
    ["http://a.procore.com/x", "https://a.procore.com", true],
    ["https://a.procore.com/x", "http://a.procore.com", false],
    ["https://a.procore.com/x", "https://a.procore.com:8443", false],
    ["https://a.procore.com:8443/x", "https://a.procore.com", false],
    ["https://a.procore.com/x", "https://b.procore.com", false],
    ["https://a.procore.com/x", "https://procore.com", false],
    ["https://a.procore.com/x", "https://a.procore.com.evil.example", false],
    ["https://a.procore.com/x", "https://a.procore.com/x", false],
    ["https://a.procore.com/x", "https://a.procore.com, https://a.procore.com", false],
    ["https://a.procore.com/x", "null", false],
    ["https://a.procore.com/x", "", false],
  ])("at %s takes the origin %s for its own: %s", (url, origin, isOwn) => {
    expect(read({ origin }, url).isOwnOrigin).toBe(isOwn)
  })

  it("throws nothing but a refusal, whatever the request", () => {
    const name = fc.oneof(
      fc.constantFrom(
        "connection",
        "content-length",
        "transfer-encoding",
        "cookie",
        "upgrade",
        "x_passport",
        "cf-connecting-ip",
      ),
      fc.string({ unit: fc.constantFrom(..."abcx-_~!1"), minLength: 1, maxLength: 12 }),
    )
    const value = fc.oneof(
      fc.string({ maxLength: 30 }),
      fc.constantFrom("chunked", "5", "5, 6", "close, x-passport", ",,;"),
    )
    const url = fc.oneof(
      fc.webUrl({ withQueryParameters: true, withFragments: true }),
      fc.string(),
      fc.string().map((end) => `https://a.example/${end}`),
    )
    fc.assert(
      fc.property(url, fc.array(fc.tuple(name, value), { maxLength: 12 }), fc.anything(), (url, headers, cf) => {
        const sent = headers.filter(([, text]) => /^[\x20-\x7e]*$/.test(text))
        try {
          const inbound = readInbound(requestOf(url, sent, cf), "id")
          onwardFrom(inbound)
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(Refusal)
        }
      }),
      { numRuns: 3000 },
    )
  })
})

describe("framing", () => {
  it.each(["GET", "HEAD"])("refuses a %s with a body", (method) => {
    const request = { ...requestOf("https://api.procore.com/a"), method, body: new ReadableStream() }
    expect(() => readInbound(request as unknown as Request, "id")).toThrow(
      expect.objectContaining({ code: "edge.body-unexpected" }),
    )
  })

  it("passes a GET that says it has no body, and a DELETE that has one", () => {
    const empty = { ...requestOf("https://api.procore.com/a", { "content-length": "0" }), body: new ReadableStream() }
    expect(readInbound(empty as unknown as Request, "id").contentLength).toBe(0)
    const request = new Request("https://api.procore.com/a", { method: "DELETE", body: "x" })
    expect(readInbound(request, "id").method).toBe("DELETE")
  })

  it.each([
    [{ "content-length": "0" }, 0],
    [{ "content-length": "007" }, 7],
    [{ "transfer-encoding": "chunked" }, null],
    [{ "transfer-encoding": "Chunked" }, null],
    [{}, null],
  ])("takes %j", (headers, contentLength) => {
    expect(read(headers as Record<string, string>).contentLength).toBe(contentLength)
  })

  it.each([
    [{ "content-length": "5", "transfer-encoding": "chunked" }],
    [{ "content-length": "5, 6" }],
    [{ "content-length": "5, 5" }],
    [{ "content-length": "" }],
    [{ "content-length": "+5" }],
    [{ "content-length": "5;" }],
    [{ "content-length": "0x5" }],
    [{ "content-length": "5e1" }],
    [{ "content-length": "9".repeat(16) }],
    [{ "transfer-encoding": "identity" }],
    [{ "transfer-encoding": "gzip, chunked" }],
    [{ "transfer-encoding": "chunked, chunked" }],
    [{ "transfer-encoding": "xchunked" }],
    [{ "transfer-encoding": "chunked;a=b" }],
    [{ "transfer-encoding": "" }],
  ])("refuses %j", (headers) => {
    expect(() => read(headers as unknown as Record<string, string>)).toThrow(framing)
  })

  it("does not believe a length that is spelled with an underscore, and does not pass it on", () => {
    const headers = { content_length: "5", "content-length": "7", transfer_encoding: "chunked" }
    expect(read(headers).contentLength).toBe(7)
    expect(onwardFrom(read(headers))).toEqual({ "content-length": "7" })
  })
})

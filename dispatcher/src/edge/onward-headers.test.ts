import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Refusal } from "../../../kit/problem.ts"
import { growsFasterThan } from "../../../kit/testing/growth.ts"
import { onwardFrom, STATEMENT, type StatementInTest } from "../test-onward.ts"
import { onwardHeaders } from "./onward-headers.ts"
import { readInbound } from "./read-inbound.ts"

type Sent = Record<string, string> | [string, string][]

function read(sent: Sent) {
  const request = { url: "https://api.procore.com/a", method: "GET", headers: new Headers(sent), body: null }
  return readInbound(request as unknown as Request, "id")
}

/** What goes on of `sent`, before what the gateway says. */
function onward(sent: Sent, statement: StatementInTest = {}): Record<string, string> {
  return onwardFrom(read(sent), statement)
}

const framing = expect.objectContaining({ code: "edge.framing-ambiguous" })

describe("onwardHeaders", () => {
  const reserved =
    "X-Passport x_passport X-Forwarded-For x_forwarded_host Forwarded Via X-Real-IP X-Original-URL X-Rewrite-URL " +
    "X-HTTP-Method-Override CF-Connecting-IP cf_connecting_ip CF-Access-Jwt-Assertion CDN-Loop X-Request-Id x_request_id " +
    "X-Sallyport-Pin x-sallyport_pin Cloudflare-Workers-Version-Key Authorization Proxy-Authorization " +
    "Connection Keep-Alive Proxy-Connection TE Transfer-Encoding HTTP2-Settings"
  it.each(reserved.split(" "))("removes %s", (name) => {
    expect(onward({ [name]: name === "Transfer-Encoding" ? "chunked" : "v", accept: "*/*" })).toEqual({ accept: "*/*" })
  })

  const others =
    "Host Accept X-Passports X-Forwardedish CFX Content-Type Content-Length Cookie X_Custom_Name Origin Procore-Company-Id"
  it.each(others.split(" "))("keeps %s", (name) => {
    expect(onward({ [name]: "5" })).toEqual({ [name.toLowerCase()]: "5" })
  })

  it.each(["Tracestate", "Baggage", "TRACESTATE"])(
    "keeps %s only while the trace that it came with goes on",
    (name) => {
      expect(onward({ [name]: "a=b", accept: "*/*" })).toEqual({ accept: "*/*" })
      expect(onward({ [name]: "a=b" }, { isContinued: true })).toEqual({ [name.toLowerCase()]: "a=b" })
    },
  )

  it("removes every value of a header that came several times", () => {
    const headers: [string, string][] = [
      ["x-passport", "a"],
      ["X-Passport", "b"],
      ["x_passport", "c"],
    ]
    expect(onward(headers)).toEqual({})
  })

  it("removes what Connection names, and leaves the passport that is set afterwards alone", () => {
    const headers = {
      connection: "close, X-Custom, x-passport",
      "x-custom": "1",
      "x-passport": "forged",
      accept: "*/*",
    }
    expect(onward(headers)).toEqual({ accept: "*/*" })
  })

  it.each(["content-length", "content-type", "content-encoding", "host"])(
    "keeps %s though Connection names it",
    (name) => {
      expect(onward({ connection: name, [name]: "5" })).toEqual({ [name]: "5" })
    },
  )

  it("refuses a Connection header that names more than any client has reason to", () => {
    const many = (count: number) => ({
      connection: Array.from({ length: count }, (_, index) => `x-${index}`).join(","),
    })
    expect(() => read(many(33))).toThrow(framing)
    expect(onward(many(32))).toEqual({})
  })

  it("ignores what in Connection is no header name", () => {
    expect(onward({ connection: "a b, (), , accept\u00e9", accept: "*/*" })).toEqual({ accept: "*/*" })
  })

  it("lets a WebSocket upgrade through, and no other", () => {
    const websocket = {
      connection: "Upgrade",
      upgrade: "WebSocket",
      "sec-websocket-key": "k",
      "sec-websocket-version": "13",
    }
    expect(read(websocket).upgrade).toBe(true)
    expect(onward(websocket)).toEqual({ upgrade: "WebSocket", "sec-websocket-key": "k", "sec-websocket-version": "13" })
    const h2c = { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMAAABkAAQ" }
    expect(read(h2c).upgrade).toBe(false)
    expect(onward(h2c)).toEqual({})
  })

  it("reads the session, and hands no script its cookie", () => {
    const headers = { cookie: "a=1; __Host-sallyport-session=i.s.m; __Host-sallyport-login=l" }
    expect(read(headers).sessionCookie).toBe("i.s.m")
    expect(onward(headers)).toEqual({ cookie: "a=1" })
    expect(onward(headers, { beginsSessions: true })).toEqual({ cookie: "a=1; __Host-sallyport-login=l" })
  })

  it("reads no session where two Cookie headers came, and hands on neither", () => {
    const twice: [string, string][] = [
      ["cookie", "a=1; __Host-sallyport-session=i.s.m"],
      ["cookie", "__Host-sallyport-session=x.y.z"],
    ]
    expect(read(twice).sessionCookie).toBeNull()
    expect(onward(twice)).toEqual({ cookie: "a=1" })
  })

  it("reads what the browser says of who asks, and passes it on", () => {
    const said = {
      accept: "text/html",
      origin: "https://a.example",
      "sec-fetch-mode": "navigate",
      "sec-fetch-site": "none",
    }
    expect(read(said)).toMatchObject({ fetchSite: "none", fetchMode: "navigate", accept: "text/html" })
    expect(onward(said)).toEqual(said)
    expect(onward({ sec_fetch_site: "same-origin" })).toEqual({})
    expect(read({ sec_fetch_site: "same-origin" }).fetchSite).toBeNull()
    expect(
      read([
        ["sec-fetch-site", "same-origin"],
        ["sec-fetch-site", "cross-site"],
      ]).fetchSite,
    ).toBe("same-origin, cross-site")
  })

  it("takes the gateway's cookies out and leaves the others byte for byte", () => {
    expect(onward({ cookie: 'a=1;b = "2"; __Host-sallyport-session=s; c' })).toEqual({ cookie: 'a=1;b = "2"; c' })
    expect(onward({ cookie: "__Host-sallyport-session=s" })).toEqual({})
    expect(onward({ cookie: " a=1 ;; b" })).toEqual({ cookie: "a=1 ;; b" })
  })

  it("hands on a header of any name that is one, as that name", () => {
    const names = ["__proto__", "constructor", "tostring", "0", "!#$%&'*+.^_`|~"]
    const headers = names.map((name): [string, string] => [name, `value of ${name}`])
    expect(onward(headers)).toEqual(Object.fromEntries(headers))
  })

  it("copies where text would not say the same: bytes beyond ASCII, and lines that cannot be joined", () => {
    expect(read({ "x-name": "J\u00f8rgen" }).isSayableAsText).toBe(false)
    expect(read({ "x-name": "a\tb" }).isSayableAsText).toBe(true)
    // What does not go on anyway does not count.
    expect(read({ "x-passport": "\u00e9", accept: "*/*" }).isSayableAsText).toBe(true)
    // Two lines of cookies, which a comma would make one of.
    expect(read({ cookie: "a=1, b=2" }).isSayableAsText).toBe(false)
    expect(read({ cookie: "a=1; b=2", accept: "a, b" }).isSayableAsText).toBe(true)
    const lines: [string, string][] = [
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
    ]
    expect(read(lines).isSayableAsText).toBe(false)
    const headers = new Headers(onwardHeaders(read(lines), STATEMENT))
    expect(headers.getSetCookie()).toEqual(["a=1", "b=2"])
  })

  const nominating = Array.from({ length: 32 }, (_, at) => `x-a${at}`).join(",")
  it.each<[string, Sent]>([
    ["as text", {}],
    ["as a copy", { "x-name": "\u00f8" }],
    ["with as many nominated as may be", { connection: nominating }],
  ])("takes time by the number of headers, however many go on and however many do not: %s", (_way, more) => {
    const make = (count: number) => {
      const headers = Array.from({ length: count }, (_, at): [string, string][] => [
        [`x-a${at}`, ""],
        [`cf-${at}`, ""],
      ])
      return onwardHeaders(read([...headers.flat(), ...Object.entries(more)]), STATEMENT)
    }
    expect(growsFasterThan(8_000, make)).toBe(false)
  })

  it("removes the underscore spelling of what it knows, Set-Cookie too", () => {
    expect(onward({ set_cookie: "a=1", sec_fetch_mode: "navigate", x_mine: "1" })).toEqual({ x_mine: "1" })
  })

  it("says the same as a copy that is stripped, whatever came", () => {
    const name = fc.oneof(
      fc.constantFrom(
        ..."accept connection cookie te tracestate baggage traceparent upgrade x-passport x_passport authorization x-a x-b host".split(
          " ",
        ),
      ),
      fc.string({ unit: fc.constantFrom(..."abcx-_~!1"), minLength: 1, maxLength: 12 }),
    )
    const value = fc.oneof(
      fc.string({ maxLength: 30 }),
      fc.string({ unit: fc.constantFrom(..."a\t =;,\u00e9\u00ff"), maxLength: 12 }),
      fc.constantFrom("websocket", "x-a, x-b, te", "a=1; __Host-sallyport-session=s; b", "__host-sallyport-login=l"),
    )
    fc.assert(
      fc.property(
        fc.array(fc.tuple(name, value), { maxLength: 12 }),
        fc.boolean(),
        fc.boolean(),
        (headers, isContinued, beginsSessions) => {
          const sent = headers.filter(([, text]) => /^[\t\x20-\x7e\xa0-\xff]*$/.test(text))
          const came = orRefusal(() => read(sent))
          if (came !== null) onwardFrom(came, { isContinued, beginsSessions })
        },
      ),
      { numRuns: 3000 },
    )
  })
})

/** Null where the request is refused. */
function orRefusal<T>(make: () => T): T | null {
  try {
    return make()
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(Refusal)
    return null
  }
}

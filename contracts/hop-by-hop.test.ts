import { describe, it } from "vitest"
import { HOP_BY_HOP_HEADERS, mayBeNominated } from "./hop-by-hop.ts"

describe("HOP_BY_HOP_HEADERS", () => {
  it("names what belongs to one connection, in lower case, and leaves Upgrade to whoever knows WebSockets", ({
    expect,
  }) => {
    expect([...HOP_BY_HOP_HEADERS].sort()).toEqual([
      "connection",
      "http2-settings",
      "keep-alive",
      "proxy-authenticate",
      "proxy-authorization",
      "proxy-connection",
      "te",
      "trailer",
      "transfer-encoding",
    ])
  })
})

describe("mayBeNominated", () => {
  for (const name of [
    "Cookie",
    "set-cookie",
    "AUTHORIZATION",
    "host",
    "Origin",
    "Content-Length",
    "content_length",
    "content-type",
    "content-encoding",
    "content-range",
    "cache-control",
    "upgrade",
    "Procore-Company-Id",
    "x-passport",
    "X_Passport",
    "x-request-id",
    "x-forwarded-for",
    "x-sallyport-sibling",
    "x-sallyport-pin",
    "cf-connecting-ip",
    "via",
  ])
    it(`keeps ${name}, whoever names it in Connection`, ({ expect }) => {
      expect(mayBeNominated(name)).toBe(false)
    })

  for (const name of ["x-mine", "X-Mine", "te", "keep-alive", "close", "x-cookie", "cookie2", "hosts", "contents", "x"])
    it(`lets Connection name ${name}`, ({ expect }) => {
      expect(mayBeNominated(name)).toBe(true)
    })

  for (const text of ["", " ", "a b", "ü", "(x)", "x,y", "x:", "x\n"])
    it(`takes ${JSON.stringify(text)} for no header at all`, ({ expect }) => {
      expect(mayBeNominated(text)).toBe(false)
    })
})

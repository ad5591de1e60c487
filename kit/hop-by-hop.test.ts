import { describe, it } from "vitest"
import { removeHopByHop } from "./hop-by-hop.ts"

describe("removeHopByHop", () => {
  it("removes the connection's own headers and those that Connection names", ({ expect }) => {
    expect(
      left({
        connection: "close, X-Mine",
        "x-mine": "1",
        "keep-alive": "timeout=5",
        te: "trailers",
        trailer: "x",
        "transfer-encoding": "chunked",
        "proxy-authorization": "Basic x",
        "proxy-connection": "close",
        "http2-settings": "AAMAAABkAAQAAP__",
        "x-kept": "1",
      }),
    ).toEqual({ "x-kept": "1" })
  })

  it("takes nothing away that belongs to the message or the gateway, even when Connection names it", ({ expect }) => {
    const kept = {
      "x-passport": "p",
      x_passport: "p",
      "x-request-id": "r",
      "x-forwarded-host": "h",
      cookie: "c",
      authorization: "a",
      "content-length": "1",
      "content-type": "t",
      "content-encoding": "gzip",
      "cache-control": "no-store",
      "procore-company-id": "100",
    }
    expect(left({ connection: Object.keys(kept).join(","), ...kept })).toEqual(kept)
  })

  it("leaves an origin's cookies to the client, even when Connection names them", ({ expect }) => {
    const headers = new Headers({ connection: "set-cookie" })
    headers.append("set-cookie", "a=1")
    headers.append("set-cookie", "b=2")
    removeHopByHop(headers)
    expect(headers.getSetCookie()).toEqual(["a=1", "b=2"])
  })

  it("keeps an upgrade to WebSocket and no other", ({ expect }) => {
    expect(left({ connection: "Upgrade", upgrade: "WebSocket" })).toEqual({ upgrade: "WebSocket" })
    expect(left({ connection: "Upgrade", upgrade: "h2c" })).toEqual({})
  })

  it("survives a Connection header of rubbish", ({ expect }) => {
    expect(left({ connection: ", ,a b,ü,(),x-mine", "x-mine": "1" })).toEqual({})
  })
})

function left(given: Record<string, string>): Record<string, string> {
  const headers = new Headers(given)
  removeHopByHop(headers)
  return Object.fromEntries(headers)
}

import { createServer, type IncomingMessage } from "node:http"
import { Readable } from "node:stream"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { edgeRequest } from "./edge-request.ts"
import { listen, type RunningServer } from "./listen.ts"

let server: RunningServer
let last: IncomingMessage | undefined
beforeAll(async () => {
  server = await listen(
    createServer((request, response) => {
      last = request
      response.setHeader("set-cookie", ["a=1", "b=2"])
      if (request.url === "/empty") response.writeHead(204).end()
      else request.pipe(response)
    }),
    0,
  )
})
afterAll(() => server.stop())

describe("edgeRequest", () => {
  it("sends the hostname that is meant to the edge that is given", async () => {
    await edgeRequest(server.url, "https://api.procore.com:8443/a?b=c#d")
    expect(last?.headers.host).toBe("api.procore.com:8443")
    expect(last?.url).toBe("/a?b=c")
  })

  it("sends paths as written, not resolved", async () => {
    await edgeRequest(server.url, "https://api.procore.com/a/../b/%2e%2e/./c")
    expect(last?.url).toBe("/a/../b/%2e%2e/./c")
  })

  it("sends a header as often and as spelled as it is given", async () => {
    const headers = [
      ["X-Twice", "1"],
      ["x-twice", "2"],
    ] as const
    await edgeRequest(server.url, "https://api.procore.com/", { headers })
    expect(last?.rawHeaders.filter((_, index) => index >= 2).slice(0, 4)).toEqual(["X-Twice", "1", "x-twice", "2"])
  })

  it.each([
    ["text", "tëxt", "5"],
    ["bytes", new Uint8Array([1, 2, 3]), "3"],
    ["a stream", Readable.from([Buffer.from("ab"), Buffer.from("c")]), undefined],
  ])("sends %s as a body", async (_, body, length) => {
    const response = await edgeRequest(server.url, "https://api.procore.com/", { method: "POST", body })
    expect((await response.arrayBuffer()).byteLength).toBe(Number(length ?? 3))
    expect(last?.headers["content-length"]).toBe(length)
  })

  it("keeps cookies apart and takes an empty answer", async () => {
    const response = await edgeRequest(server.url, "https://api.procore.com/empty")
    expect(response.status).toBe(204)
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"])
  })
})

import { afterEach, beforeEach, describe, it, vi } from "vitest"
import { endWhenIdle } from "./end-when-idle.ts"

const never = () => {
  throw new Error("aborted")
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] })
})
afterEach(() => {
  vi.useRealTimers()
})

describe("endWhenIdle", () => {
  it("hands on every byte, status, cookies and a declared length", async ({ expect }) => {
    const sent = crypto.getRandomValues(new Uint8Array(65_536))
    const whole = new Uint8Array(65_536 * 9 + 7).map((_, index) => sent[index % sent.length] ?? 0)
    const headers = new Headers({ "content-length": String(whole.byteLength) })
    headers.append("set-cookie", "a=1")
    headers.append("set-cookie", "b=2")
    const response = endWhenIdle(new Response(whole, { status: 206, headers }), 10_000, never)
    expect(response.status).toBe(206)
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"])
    expect(response.headers.get("content-length")).toBe(String(whole.byteLength))
    const arrived = new Uint8Array(await response.arrayBuffer())
    expect(arrived.byteLength).toBe(whole.byteLength)
    expect(await digest(arrived)).toBe(await digest(whole))
  })

  it("breaks off and ends the call when the origin stops in the middle", async ({ expect }) => {
    const origin = new IdentityTransformStream()
    const writer = origin.writable.getWriter()
    let endings = 0
    const response = endWhenIdle(new Response(origin.readable), 20_000, () => {
      endings += 1
      void writer.abort(new Error("ended")).catch(() => undefined)
    })
    const reader = response.body?.getReader()
    const first = reader?.read()
    await writer.write(new TextEncoder().encode("first"))
    expect(new TextDecoder().decode((await first)?.value)).toBe("first")
    const second = reader?.read().then(
      () => "a clean end",
      () => "broken off",
    )
    await vi.advanceTimersByTimeAsync(19_999)
    expect(endings).toBe(0)
    await vi.advanceTimersByTimeAsync(20_001)
    expect(await second).toBe("broken off")
    expect(endings).toBe(1)
  })

  it("does not take a slow reader for an idle origin", async ({ expect }) => {
    const origin = new IdentityTransformStream()
    const writer = origin.writable.getWriter()
    const response = endWhenIdle(new Response(origin.readable), 20_000, never)
    const writing = writer.write(new TextEncoder().encode("first")).then(() => writer.close())
    // Nobody reads while several idle times pass.
    await vi.advanceTimersByTimeAsync(100_000)
    expect(await response.text()).toBe("first")
    await writing
  })

  it("ends the origin's stream when the reader goes away", async ({ expect }) => {
    const origin = new IdentityTransformStream()
    const writer = origin.writable.getWriter()
    const response = endWhenIdle(new Response(origin.readable), 10_000, never)
    const reader = response.body?.getReader()
    const first = reader?.read()
    await writer.write(new TextEncoder().encode("first"))
    await first
    await reader?.cancel("gone")
    await expect(
      (async () => {
        for (;;) await writer.write(new TextEncoder().encode("more"))
      })(),
    ).rejects.toBeDefined()
  })

  it("leaves alone what it must not touch: no limit, no body, an encoded body, a WebSocket", ({ expect }) => {
    const { 0: client } = new WebSocketPair()
    const encoded = new Response("gzip", { headers: { "content-encoding": "gzip" }, encodeBody: "manual" })
    const socket = new Response(null, { status: 101, webSocket: client })
    for (const response of [new Response(null, { status: 204 }), encoded, socket])
      expect(endWhenIdle(response, 10, never)).toBe(response)
    const plain = new Response("plain")
    expect(endWhenIdle(plain, 0, never)).toBe(plain)
  })
})

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).join()
}

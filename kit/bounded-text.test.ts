import { describe, it } from "vitest"
import { boundedText } from "./bounded-text.ts"

const request = (body: BodyInit, headers: Record<string, string> = {}) =>
  new Request("https://example.com/", { method: "POST", body, headers })

/** A body that declares no length, and how much of it was asked for. */
function chunked(chunks: number, bytes: Uint8Array<ArrayBuffer>) {
  const given = { chunks: 0 }
  const stream = new ReadableStream({
    pull(controller) {
      given.chunks++
      controller.enqueue(bytes)
      if (given.chunks === chunks) controller.close()
    },
  })
  return { body: request(stream), given }
}

describe("bounded text", () => {
  it("is the body up to the last byte that it may have, and null with one more", async ({ expect }) => {
    expect(await boundedText(request("12345"), 5)).toBe("12345")
    expect(await boundedText(request("123456"), 5)).toBeNull()
    expect(await boundedText(request("éé"), 4)).toBe("éé")
    expect(await boundedText(request("éé"), 3)).toBeNull()
    expect(await boundedText(request(""), 0)).toBe("")
  })

  it("reads no further than that where no length is declared", async ({ expect }) => {
    const { body, given } = chunked(1000, new Uint8Array(100))
    expect(await boundedText(body, 250)).toBeNull()
    expect(given.chunks).toBeLessThan(10)
  })

  it("is null for what declares that it is longer, however long it is", async ({ expect }) => {
    const said = new Response("12345", { headers: { "content-length": "6" } })
    expect(await boundedText(said, 5)).toBeNull()
    expect(await boundedText(new Response("12345", { headers: { "content-length": "5" } }), 5)).toBe("12345")
  })

  it("joins a character that two chunks share, and is null for what is no UTF-8", async ({ expect }) => {
    const halves = new ReadableStream({
      start(controller) {
        for (const byte of new TextEncoder().encode("é")) controller.enqueue(new Uint8Array([byte]))
        controller.close()
      },
    })
    expect(await boundedText(request(halves), 10)).toBe("é")
    expect(await boundedText(request(new Uint8Array([0xc3])), 10)).toBeNull()
    expect(await boundedText(request(new Uint8Array([0xff, 0x41])), 10)).toBeNull()
  })

  it("is a response's too, without the mark that some put before UTF-8", async ({ expect }) => {
    expect(await boundedText(new Response("12345"), 5)).toBe("12345")
    expect(await boundedText(new Response("123456"), 5)).toBeNull()
    expect(await boundedText(new Response("\uFEFF{}"), 5)).toBe("{}")
    expect(await boundedText(new Response(null), 0)).toBe("")
  })

  it("lets go of what is too long, so that its connection is free again, however long it says that it is", async ({
    expect,
  }) => {
    for (const headers of [{}, { "content-length": "1000" }]) {
      let isCancelled = false
      const endless = new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array(10)),
        cancel: () => {
          isCancelled = true
        },
      })
      expect(await boundedText(new Response(endless, { headers }), 25)).toBeNull()
      expect(isCancelled).toBe(true)
    }
  })

  it("throws what kept it from being read, which says nothing of the text", async ({ expect }) => {
    const broken = new ReadableStream({ pull: (controller) => controller.error(new TypeError("gone")) })
    await expect(boundedText(new Response(broken), 10)).rejects.toThrow("gone")
  })
})

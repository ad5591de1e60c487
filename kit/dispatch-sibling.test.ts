import { describe, it } from "vitest"
import { dispatchSibling } from "./dispatch-sibling.ts"

describe("dispatchSibling", () => {
  it("names sibling and zone, and passes on method, body, passport and the way of redirects", async ({ expect }) => {
    const request = new Request("https://api.procore.com/a?b=c", {
      method: "PUT",
      headers: { "x-passport": "p", "x-mine": "1" },
      body: "body",
      redirect: "manual",
    })
    const sent: Request[] = []
    const answer = new Response("hello")
    const platform = {
      fetch: async (outgoing: Request) => {
        sent.push(outgoing)
        return answer
      },
    }
    expect(await dispatchSibling(platform, "gateway", request, { zone: "us02" })).toBe(answer)
    expect(sent[0]).toMatchObject({ method: "PUT", url: "https://api.procore.com/a?b=c", redirect: "manual" })
    expect(Object.fromEntries(sent[0]?.headers ?? [])).toMatchObject({
      "x-passport": "p",
      "x-mine": "1",
      "x-sallyport-sibling": "gateway",
      "x-sallyport-sibling-zone": "us02",
    })
    expect(await sent[0]?.text()).toBe("body")
  })

  it("names no zone when none is given", async ({ expect }) => {
    const platform = {
      fetch: async (outgoing: Request) => new Response(outgoing.headers.get("x-sallyport-sibling-zone")),
    }
    const response = await dispatchSibling(platform, "gateway", new Request("https://api.procore.com/"))
    expect(await response.text()).toBe("")
  })
})

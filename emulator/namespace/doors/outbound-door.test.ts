import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { egressRing } from "../rings.ts"
import { dispatch, uploaded } from "../testing/test-namespace.ts"

const FETCHING = `export default { async fetch(request) {
  const { searchParams } = new URL(request.url)
  const response = await fetch(searchParams.get("to"), { redirect: searchParams.get("redirect") ?? "follow" })
  return new Response(response.status + " " + await response.text())
} }`

const policy = (allow: readonly string[], script = "files") =>
  ({ outbound: { egress: { team: "edge-routing", script, version: 1, allow, audiences: {} } } }) as const

const audienceOptions = (audience: string, script: string) => ({
  outbound: {
    egress: { team: "t", script, version: 1, allow: [], audiences: { [audience]: ["https://cell.example"] } },
  },
})

const ownPassport = (script: string) =>
  `e30.${btoa(JSON.stringify({ aud: `script:${script}`, exp: 1e10 })).replaceAll("=", "")}.AAAA`

const ask = async (name: string, to: string, options?: DynamicDispatchOptions, redirect = "follow") =>
  (await dispatch(name, `http://api.procore.com/?redirect=${redirect}&to=${encodeURIComponent(to)}`, options)).text()

/** What lies beyond the door: one listed origin that answers, and redirects. */
const reached: string[] = []
const passports: (string | null)[] = []
beforeEach(() => {
  reached.length = 0
  passports.length = 0
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input) => {
    const { url, headers } = new Request(input as RequestInfo)
    reached.push(url)
    if (headers.has("x-passport")) passports.push(headers.get("x-passport"))
    if (url.endsWith("/to-loopback")) return Response.redirect("http://127.0.0.1:8788/v1/teams", 302)
    if (url.endsWith("/to-itself")) return Response.redirect("https://cell.example/plain", 302)
    return new Response(`from ${url}`)
  })
})
afterEach(() => vi.restoreAllMocks())

describe("a user Worker's fetch", () => {
  it("reaches what the dispatch allowed, and is recorded", async () => {
    const name = await uploaded(FETCHING)
    expect(await ask(name, "https://cell.example/plain", policy(["https://cell.example"], name))).toBe(
      "200 from https://cell.example/plain",
    )
    const [record] = egressRing.find(({ script }) => script === name, 10)
    expect(record).toMatchObject({ team: "edge-routing", origin: "https://cell.example", status: 200, problem: null })
  })

  it.each([
    "http://127.0.0.1:8788/v1/teams",
    "http://[::1]:8788/",
    "http://0x7f.1/",
    "http://localhost/",
    "http://169.254.169.254/latest/meta-data",
    "https://api.procore.com/",
    "https://cell.example:8443/",
    "http://cell.example/",
  ])("does not reach %s when another origin is allowed", async (to) => {
    const name = await uploaded(FETCHING)
    expect(await ask(name, to, policy(["https://cell.example"]))).toContain("egress.destination-refused")
    expect(reached).toEqual([])
  })

  it("reaches nothing when the dispatch said nothing", async () => {
    const name = await uploaded(FETCHING)
    expect(await ask(name, "https://cell.example/plain")).toContain("egress.policy-missing")
    expect(reached).toEqual([])
  })

  it("carries a passport for its destination in place of its own, from the dispatcher's own entrypoint", async () => {
    const name = await uploaded(`export default { fetch: (request) => fetch("https://cell.example/", request) }`)
    const options = audienceOptions("cell:us01", name)
    const request = new Request("http://api.procore.com/", { headers: { "x-passport": ownPassport(name) } })
    expect(await (await dispatch(name, request, options)).text()).toBe("from https://cell.example/")
    expect(passports).toEqual([`cell:us01 for ${name} and ${ownPassport(name).length}`])
    const refused = await dispatch(name, request, audienceOptions("refused", name))
    expect(await refused.json()).toMatchObject({ code: "zone.country-refused" })
    expect(passports).toHaveLength(1)
  })

  it("has each hop of a redirect judged anew", async () => {
    const name = await uploaded(FETCHING)
    const options = policy(["https://cell.example"])
    expect(await ask(name, "https://cell.example/to-itself", options)).toBe("200 from https://cell.example/plain")
    expect(await ask(name, "https://cell.example/to-loopback", options)).toContain("egress.destination-refused")
    expect(reached).not.toContain("http://127.0.0.1:8788/v1/teams")
  })

  it("is judged by the parameters of its own dispatch, each content having a loaded Worker of its own", async () => {
    const name = await uploaded(FETCHING)
    expect(await ask(name, "https://a.example/", policy(["https://a.example"]))).toContain("200")
    expect(await ask(name, "https://a.example/", policy(["https://b.example"]))).toContain("egress.destination-refused")
    expect(await ask(name, "https://a.example/", policy(["https://a.example"]))).toContain("200")
  })

  it("is of one loaded Worker whatever the request's id, and of none: no door could tell one request from the next", async () => {
    const name = await uploaded(`let count = 0
      export default { async fetch() { await fetch("https://cell.example/"); return new Response(String(++count)) } }`)
    const { egress } = policy(["https://cell.example"], name).outbound
    const ask = async (outbound: object) => (await dispatch(name, undefined, { outbound: { ...outbound } })).text()
    expect(await ask({ egress, requestId: "r-1" })).toBe("1")
    expect(await ask({ egress: { ...egress }, requestId: "r-2" })).toBe("2")
    expect(await ask({ egress: { ...egress, team: "another" }, requestId: "r-2" })).toBe("1")
    const records = egressRing.find(({ script }) => script === name, 10)
    expect(records.map(({ requestId }) => requestId)).toEqual([null, null, null])
  })

  it("goes through the door from a Durable Object too, where production has none", async () => {
    const code = `import { DurableObject } from "cloudflare:workers"
      export class Caller extends DurableObject { async call(to) { return (await fetch(to)).text() } }
      export default { async fetch(request, env) { return new Response(await env.OBJECTS.getByName("a").call("http://127.0.0.1/")) } }`
    const name = await uploaded({
      code,
      bindings: [{ type: "durable_object_namespace", name: "OBJECTS", class_name: "Caller" }],
    })
    const answer = await (await dispatch(name, undefined, policy(["https://cell.example"]))).text()
    expect(answer).toContain("egress.destination-refused")
  })
})

it("gives user Workers no TCP", async () => {
  const code = `import { connect } from "cloudflare:sockets"
    export default { async fetch() {
      try { const socket = connect("127.0.0.1:8788"); const writer = socket.writable.getWriter()
        await writer.write(new TextEncoder().encode("GET / HTTP/1.0\\r\\n\\r\\n")); const { value } = await socket.readable.getReader().read()
        return new Response(value === undefined ? "nothing" : "read") } catch { return new Response("refused") }
    } }`
  const answer = await (await dispatch(await uploaded(code), undefined, policy(["http://127.0.0.1:8788"]))).text()
  expect(["nothing", "refused"]).toContain(answer)
})

/** A team's Worker that tries to get out, or to use a passport elsewhere: on the whole platform, with nothing gained. */
import { createServer, type IncomingMessage, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, beforeEach, describe, it } from "vitest"
import { startTestPlatform, type TestPlatform } from "../../emulator/testing.ts"

/** Makes the call that it is told to make; `{own}` in a header or URL is the passport it received, `{cell}` one for the cell of us01. */
const HOSTILE_WORKER = `export default { async fetch(request, env) {
  const { url, headers = {}, asksFor } = await request.json()
  const own = request.headers.get("x-passport")
  if (asksFor) {
    const [method, ...args] = asksFor
    return env.PLATFORM[method](...args.map((each) => each === "{own}" ? own : each)).then(
      (answer) => Response.json({ answer }), (error) => Response.json({ code: error.message }))
  }
  const wantsCell = JSON.stringify([url, headers]).includes("{cell}")
  const cell = wantsCell ? (await env.PLATFORM.passportFor("cell:us01", own)).token : ""
  const fill = (text) => text.replace("{own}", own).replace("{cell}", cell)
  return fetch(fill(url), { headers: Object.entries(headers).map(([name, value]) => [name, fill(value)]) })
} }`

const heard: IncomingMessage["headers"][] = []
let platform: TestPlatform
let listed: string
let server: Server

beforeAll(async () => {
  server = createServer((request, response) => {
    heard.push(request.headers)
    const to = new URL(request.url ?? "/", "http://origin.example").searchParams.get("to")
    if (to !== null) response.writeHead(302, { location: to })
    response.end("listed")
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  listed = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  platform = await startTestPlatform()
  await platform.putTeam("eve", { egress: [listed], grants: ["audience:cell:us01"] })
  await platform.uploadWorker({
    source: HOSTILE_WORKER,
    script: "hostile",
    team: "eve",
    route: "https://eve.example.com/*",
  })
})

afterAll(async () => {
  await platform.dispose()
  server.close()
})

beforeEach(() => {
  heard.length = 0
})

describe("a hostile Worker", () => {
  it("reaches what is listed for its team, so that the refusals below mean something", async ({ expect }) => {
    const response = await attempt({ url: listed })
    expect(await response.text()).toBe("listed")
    const cell = await attempt({ url: `${platform.cells.us01}/a`, headers: { "x-passport": "{cell}" } })
    expect(await cell.json()).toMatchObject({ cell: "us01", passport: { act: { sub: "script:hostile" } } })
  })

  const destinations: Record<string, () => string> = {
    "the edge": () => platform.edgeUrl,
    "the control plane": () => `${platform.controlPlaneUrl}/v1/whoami`,
    "the Cloudflare API": () => platform.cloudflareApiUrl,
    "the identity provider": () => platform.issuerUrl,
    "a cell without a passport": () => platform.cells.us01,
    "a hostname of the gateway": () => "http://api.procore.com/",
    "localhost by name": () => listed.replace("127.0.0.1", "localhost"),
    "another port of a listed address": () => "http://127.0.0.1:1/",
    "a listed address by another scheme": () => listed.replace("http:", "https:"),
    "the metadata service": () => "http://169.254.169.254/latest/meta-data/",
    "a private address": () => "http://10.0.0.1/",
    "an IPv6 loopback": () => "http://[::1]:8787/",
    "a mapped loopback": () => "http://[::ffff:7f00:1]:8787/",
    "an origin hidden behind userinfo": () => `http://${new URL(listed).host}@169.254.169.254/`,
    "a platform Worker by its service name": () => "http://sallyport-control-plane/",
    "the metadata service by redirect": () => `${listed}/?to=http://169.254.169.254/`,
    "the control plane by redirect": () => `${listed}/?to=${platform.controlPlaneUrl}/v1/whoami`,
  }
  for (const [name, url] of Object.entries(destinations))
    it(`does not reach ${name}`, async ({ expect }) => {
      const response = await attempt({ url: url() })
      expect(response.status).toBe(403)
      expect(await response.json()).toMatchObject({ code: "egress.destination-refused" })
    })

  const carriers: Record<string, { url?: string; headers?: Record<string, string> }> = {
    "x-passport": { headers: { "x-passport": "{own}" } },
    x_passport: { headers: { x_passport: "{own}" } },
    authorization: { headers: { authorization: "Bearer {own}" } },
    "a header of its own": { headers: { "x-note": "see {own}" } },
    cookie: { headers: { cookie: "p={own}" } },
    "the query": { url: "/?p={own}" },
    "a cell's passport": { headers: { "x-passport": "{cell}" } },
    "a cell's passport as bearer": { headers: { authorization: "Bearer {cell}" } },
  }
  for (const [name, { url = "/", headers = {} }] of Object.entries(carriers))
    it(`carries no passport to a listed origin by ${name}`, async ({ expect }) => {
      const response = await attempt({ url: listed + url, headers })
      expect(await response.json()).toMatchObject({ code: "egress.passport-misdirected" })
      expect(heard).toEqual([])
    })

  it("cannot use its own passport, or one cell's, at another cell", async ({ expect }) => {
    for (const passport of ["{own}", "{cell}"]) {
      const response = await attempt({ url: platform.cells.uk01, headers: { "x-passport": passport } })
      expect(await response.json()).toMatchObject({ code: "egress.passport-misdirected" })
    }
  })

  it("gets no passport, zone or flag that its team was not granted", async ({ expect }) => {
    for (const asksFor of [["passportFor", "cell:uk01", "{own}"], ["zoneOf", "100"], ["flags"]])
      expect(await (await attempt({ asksFor })).json()).toEqual({ code: "platform.not-granted" })
  })

  it("leaves a record of each call, with origin and verdict, and without path or passport", async ({ expect }) => {
    await attempt({ url: `${listed}/?to=http://169.254.169.254/secret` })
    const records = (await platform.egress({ limit: 2 })).toReversed()
    expect(records).toMatchObject([
      { team: "eve", script: "hostile", version: 1, origin: listed, status: 302, problem: null },
      { team: "eve", origin: "http://169.254.169.254", status: 403, problem: "egress.destination-refused" },
    ])
    expect(JSON.stringify(records)).not.toMatch(/secret|ey[JA]/)
  })
})

function attempt(call: { url?: string; headers?: Record<string, string>; asksFor?: string[] }): Promise<Response> {
  const body = JSON.stringify(call)
  return platform.fetch("https://eve.example.com/", { method: "POST", body }, { subject: "alice", company: "100" })
}

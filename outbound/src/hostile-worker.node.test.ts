/** A team's Worker that tries to get out, or to use a passport elsewhere: on the whole platform, with nothing gained. */
import { createServer, type IncomingMessage } from "node:http"
import { afterAll, beforeAll, beforeEach, describe, it } from "vitest"
import { policyFor } from "../../emulator/example-layout.ts"
import { listen, type RunningServer } from "../../emulator/listen.ts"
import { startTestPlatform, type TestPlatform } from "../../emulator/testing.ts"

/**
 * Makes the call that it is told to make; `{own}` in a header or URL is the passport it received, `{cell}` one for the cell of us01, as a cell might give it away
 * in an answer: the platform gives it to nobody.
 */
const HOSTILE_WORKER = `export default { async fetch(request, env) {
  const { url, headers = {}, asksFor, cell = "" } = await request.json()
  const own = request.headers.get("x-passport")
  if (asksFor) {
    const [method, ...args] = asksFor
    return env.PLATFORM[method](...args.map((each) => each === "{own}" ? own : each)).then(
      (answer) => Response.json({ answer }), (error) => Response.json({ code: error.message }))
  }
  const fill = (text) => text.replace("{own}", own).replace("{cell}", cell)
  return fetch(fill(url), { headers: Object.entries(headers).map(([name, value]) => [name, fill(value)]) })
} }`

const heard: IncomingMessage["headers"][] = []
let platform: TestPlatform
let listed: string
let server: RunningServer
/** An origin of the cell us01 that keeps what it was shown, and gives it to the Worker. */
let leaking: RunningServer
let cellPassport = ""

beforeAll(async () => {
  const redirecting = createServer((request, response) => {
    heard.push(request.headers)
    const to = new URL(request.url ?? "/", "http://origin.example").searchParams.get("to")
    if (to !== null) response.writeHead(302, { location: to })
    response.end("listed")
  })
  server = await listen(redirecting, 0)
  listed = server.url
  const repeating = createServer((request, response) => {
    cellPassport = String(request.headers["x-passport"])
    response.setHeader("x-passport", cellPassport).end()
  })
  leaking = await listen(repeating, 0)
  platform = await startTestPlatform()
  const { audiences } = policyFor(platform) as { audiences: Record<string, unknown> }
  const withLeak = { ...audiences, "cell:us01": { origins: [platform.cells.us01, leaking.url] } }
  await platform.api.put("/v1/policy/audiences", withLeak)
  await platform.putTeam("eve", { egress: [listed], grants: ["audience:cell:us01"] })
  await platform.uploadWorker({
    source: HOSTILE_WORKER,
    script: "hostile",
    team: "eve",
    route: "https://eve.example.com/*",
  })
  const answer = await attempt({ url: leaking.url, headers: { "x-passport": "{own}" } })
  if (answer.headers.has("x-passport")) throw new Error("The passport came back")
})

afterAll(async () => {
  await platform.dispose()
  await server.stop()
  await leaking.stop()
})

beforeEach(() => {
  heard.length = 0
})

describe("a hostile Worker", () => {
  it("reaches what is listed for its team, so that the refusals below mean something", async ({ expect }) => {
    const response = await attempt({ url: listed })
    expect(await response.text()).toBe("listed")
    const cell = await attempt({ url: `${platform.cells.us01}/a`, headers: { "x-passport": "{own}" } })
    expect(await cell.json()).toMatchObject({
      cell: "us01",
      passport: { aud: "cell:us01", sub: "alice", act: { sub: "script:hostile" } },
    })
    expect(await platform.passportOf(cellPassport, "cell:us01")).toMatchObject({ sub: "alice" })
  })

  it("cannot show a cell the passport that was made for it, wherever it has it from", async ({ expect }) => {
    const response = await attempt({ url: platform.cells.us01, headers: { "x-passport": "{cell}" } })
    expect(await response.json()).toMatchObject({ code: "egress.passport-misdirected" })
  })

  it("has no passport made by naming an audience that its team was not granted", async ({ expect }) => {
    const headers = { "x-passport": "{own}", "x-sallyport-audience": "cell:uk01" }
    for (const url of [platform.cells.uk01, platform.cells.us01]) {
      const response = await attempt({ url, headers })
      expect(await response.json()).toMatchObject({ code: "egress.passport-misdirected" })
    }
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

  it("gets no origin, zone or flag that its team was not granted, and revokes nothing", async ({ expect }) => {
    const everything = [{ target: { kind: "everything" }, beforeMs: 1, reason: "mischief" }]
    for (const asksFor of [
      ["originsOf", "cell:uk01"],
      ["originsOf", "no-such"],
      ["zoneOf", "100"],
      ["flags"],
      ["revoke", everything],
    ])
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

function attempt(call: { url?: string; headers?: Record<string, string>; asksFor?: unknown[] }): Promise<Response> {
  const body = JSON.stringify({ ...call, cell: cellPassport })
  return platform.fetch("https://eve.example.com/", { method: "POST", body }, { subject: "alice", company: "100" })
}

/** The example Workers as they are deployed: uploaded by wrangler, called through the dispatcher, in front of real cells. */
import { createHash, randomBytes } from "node:crypto"
import http from "node:http"
import { Readable } from "node:stream"
import { afterAll, beforeAll, describe, it } from "vitest"
import { WebSocket } from "ws"
import { startTestPlatform, type TestPlatform } from "../emulator/testing.ts"

/** Bound to no company: may name any. */
const alice = { subject: "alice" }
let platform: TestPlatform

/** Asks its sibling in another host's name, by RPC or by fetch. */
const FORGING_SIBLING = `export default { fetch(request, env) {
  const forged = new Request("https://app.procore.com/forged", request)
  for (const name of ["host", "x-forwarded-host", "x_forwarded_host", "forwarded", "x-original-host"])
    forged.headers.set(name, name === "forwarded" ? "host=app.procore.com" : "app.procore.com")
  if (new URL(request.url).pathname === "/dispatch") return env.PLATFORM.dispatch("gateway", forged)
  forged.headers.set("x-sallyport-sibling", "gateway")
  return env.PLATFORM.fetch(forged)
} }`

beforeAll(async () => {
  platform = await startTestPlatform()
  const cells = ["us01", "us02", "uk01"].flatMap((zone) => [`audience:cell:${zone}`, `zone:${zone}`])
  await platform.putTeam("edge-routing", { grants: ["dispatch:gateway", "zones:read", ...cells] })
  await platform.uploadWorker({ directory: "user-workers/gateway", team: "edge-routing" })
  await platform.uploadWorker({ directory: "user-workers/router", team: "edge-routing" })
  await platform.uploadWorker({ directory: "user-workers/pages", team: "web" })
  const gateway = { path: "/*", script: "gateway", team: "edge-routing", auth: "required" } as const
  await platform.putRoute("api", { ...gateway, hostname: "api.procore.com", script: "router" })
  await platform.putRoute("app", { ...gateway, hostname: "app.procore.com", zone: "us01" })
  await platform.putRoute("uk", { ...gateway, hostname: "app.uk01.procore.com", zone: "uk01" })
  await platform.putRoute("lost", { ...gateway, hostname: "lost.procore.com" })
  const webclients = { hostname: "web.procore.com", path: "/webclients/*", script: "pages", team: "web" } as const
  await platform.putRoute("web", { ...webclients, auth: "none" })
})

afterAll(() => platform.dispose())

describe("router and gateway", () => {
  for (const [company, zone] of Object.entries({
    "100": "us01",
    "200": "us02",
    "300": "uk01",
    "9007199254740993": "us02",
  }))
    it(`reach the cell of company ${company} in ${zone}, with a passport that the cell verifies`, async ({
      expect,
    }) => {
      const headers = { "procore-company-id": company }
      const response = await platform.fetch("https://api.procore.com/rest/v1.0/projects?page=2", { headers }, alice)
      expect(response.status).toBe(200)
      expect(await response.json()).toMatchObject({
        cell: zone,
        path: "/rest/v1.0/projects",
        query: "?page=2",
        passport: { aud: `cell:${zone}`, sub: "alice", zone, act: { sub: "script:gateway" }, hops: 1 },
        headers: { "x-forwarded-host": "api.procore.com", "x-request-id": response.headers.get("x-request-id") },
      })
    })

  it("hand no credential and no header of the gateway's own on to the cell", async ({ expect }) => {
    const headers = { "procore-company-id": "100", "x-forwarded-host": "evil.example", x_passport: "forged" }
    const response = await platform.fetch("https://api.procore.com/rest/v1.0/projects", { headers }, alice)
    const { headers: arrived } = (await response.json()) as { headers: Record<string, string> }
    expect(arrived["x-forwarded-host"]).toBe("api.procore.com")
    expect(Object.keys(arrived).filter((name) => /authorization|passport|sallyport|^cf-(?!worker)/.test(name))).toEqual(
      [],
    )
  })

  it("tell the cell the hostname of the entrance, whatever URL and headers a sibling wrote", async ({ expect }) => {
    await platform.uploadWorker({ source: FORGING_SIBLING, script: "forger", team: "edge-routing" })
    const route = { hostname: "forger.procore.com", path: "/*", script: "forger", team: "edge-routing" } as const
    await platform.putRoute("forger", { ...route, auth: "required", zone: "us01" })
    for (const by of ["fetch", "dispatch"]) {
      const response = await platform.fetch(`https://forger.procore.com/${by}`, {}, alice)
      expect(await response.json()).toMatchObject({
        path: "/forged",
        passport: { act: { sub: "script:gateway" }, hops: 1 },
        headers: { "x-forwarded-host": "forger.procore.com" },
      })
    }
  })

  it("go to the route's zone where the hostname implies one", async ({ expect }) => {
    const response = await platform.fetch("https://app.uk01.procore.com/home", {}, { subject: "alice", company: "300" })
    expect(await response.json()).toMatchObject({ cell: "uk01", passport: { aud: "cell:uk01", hops: 0 } })
  })

  it("answer company_base_url without asking a cell", async ({ expect }) => {
    const response = await platform.fetch("https://api.procore.com/company_base_url?company_id=300", {}, alice)
    expect(await response.json()).toEqual({ web_base_url: "https://app.uk01.procore.com", zone: "uk01" })
    expect(await egressOf(response)).toEqual([])
  })

  it("answer a problem when company or zone is missing", async ({ expect }) => {
    const noCompany = await platform.fetch("https://api.procore.com/rest/v1.0/projects", {}, alice)
    expect(noCompany.status).toBe(400)
    expect(await noCompany.json()).toMatchObject({
      code: "company.required",
      message: "Missing Procore-Company-Id header!",
    })
    const noZone = await platform.fetch("https://lost.procore.com/", {}, alice)
    expect(await noZone.json()).toMatchObject({ code: "zone.missing" })
  })

  it("leave one egress record, which names the cell and no path", async ({ expect }) => {
    const response = await platform.fetch("https://app.procore.com/secret/path?token=t", {}, alice)
    await response.arrayBuffer()
    expect(await egressOf(response)).toMatchObject([
      { team: "edge-routing", script: "gateway", origin: platform.cells.us01, status: 200, problem: null },
    ])
    expect(JSON.stringify(await egressOf(response))).not.toMatch(/secret|token/)
  })
})

describe("gateway: what streams", () => {
  it("carries a large body to the cell byte for byte, through router and gateway", async ({ expect }) => {
    const body = randomBytes(8 * 1024 * 1024)
    const init = { method: "PUT", headers: { "procore-company-id": "200" }, body: Readable.from(chunks(body)) }
    const response = await platform.fetch("https://api.procore.com/rest/v1.0/files", init, alice)
    expect(await response.json()).toMatchObject({
      cell: "us02",
      method: "PUT",
      body: { sizeBytes: body.length, sha256: createHash("sha256").update(body).digest("hex") },
    })
  })

  for (const hostname of ["app.procore.com", "api.procore.com"])
    for (const method of ["GET", "HEAD"]) {
      it(`carries ${method} with Content-Length: 0 to the cell by ${hostname}, and no body`, async ({ expect }) => {
        const headers = { "procore-company-id": "100", "content-length": "0" }
        const response = await platform.fetch(`https://${hostname}/rest/v1.0/projects`, { method, headers }, alice)
        expect(response.status).toBe(200)
        expect(response.headers.get("x-cell")).toBe("us01")
        if (method === "HEAD") return
        const arrived = (await response.json()) as { headers: object; body: object }
        expect(arrived.body).toMatchObject({ sizeBytes: 0 })
        expect(Object.keys(arrived.headers)).toEqual(
          expect.not.arrayContaining(["content-length", "transfer-encoding"]),
        )
      })

      for (const [name, framing, body] of [
        ["a body", { "content-length": "5" }, "hello"],
        ["a chunked body", {}, Readable.from(["hello"])],
      ] as const)
        it(`lets no ${method} with ${name} past the edge of ${hostname}`, async ({ expect }) => {
          const headers = { "procore-company-id": "100", ...framing }
          const response = await platform.fetch(
            `https://${hostname}/rest/v1.0/projects`,
            { method, headers, body },
            alice,
          )
          expect(response.status).toBe(400)
          if (method === "GET") expect(await response.json()).toMatchObject({ code: "edge.body-unexpected" })
        })
    }

  it("keeps a declared length", async ({ expect }) => {
    const init = { method: "POST", body: "x".repeat(100_000) }
    const response = await platform.fetch("https://app.procore.com/files", init, alice)
    expect(await response.json()).toMatchObject({ headers: { "content-length": "100000" } })
  })

  it("shows the first server-sent event long before the last", async ({ expect }) => {
    const response = await platform.fetch("https://app.procore.com/cell/events", {}, alice)
    const arrivals: number[] = []
    for await (const chunk of response.body ?? []) {
      if (arrivals.length === 0) expect(new TextDecoder().decode(chunk)).toContain('"count":1}')
      arrivals.push(performance.now())
    }
    // The cell takes 1.5 s from its first event to its last; whoever buffers gives them all at once.
    expect((arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0)).toBeGreaterThan(500)
  })

  for (const [name, hostname] of [
    ["the gateway", "app.procore.com"],
    ["router and gateway", "api.procore.com"],
  ] as const)
    it(`carries a WebSocket through ${name}, both ways`, async ({ expect }) => {
      const messages = await exchange(hostname, "hello from the client")
      expect(JSON.parse(messages[0] ?? "")).toEqual({ cell: "us01", subject: "alice" })
      expect(messages[1]).toBe("hello from the client")
    })

  it("refuses a WebSocket of a caller without a credential", async ({ expect }) => {
    await expect(exchange("app.procore.com", "hello", null)).rejects.toThrow(/401/)
  })
})

describe("gateway under another script's name", () => {
  it("refuses every request, since no passport is made for it", async ({ expect }) => {
    await platform.uploadWorker({ directory: "user-workers/gateway", script: "gateway-copy", team: "edge-routing" })
    const copy = { hostname: "copy.procore.com", path: "/*", script: "gateway-copy", team: "edge-routing" } as const
    await platform.putRoute("copy", { ...copy, zone: "us01" })
    const response = await platform.fetch("https://copy.procore.com/", {}, alice)
    expect(await response.json()).toMatchObject({ code: "platform.passport-required" })
  })
})

describe("pages", () => {
  it("serves the application without a credential, under a strict policy", async ({ expect }) => {
    const response = await platform.fetch("https://web.procore.com/webclients/request")
    expect(response.status).toBe(200)
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'")
    expect(await response.text()).toContain("/webclients/app.js")
    const script = await platform.fetch("https://web.procore.com/webclients/app.js")
    expect(script.headers.get("content-type")).toMatch(/javascript/)
  })

  it("tells the browser what the edge knows of its request", async ({ expect }) => {
    const facts = { country: "GB", colo: "LHR", asn: 64500, tlsVersion: "TLSv1.3", ip: "203.0.113.7" }
    const response = await platform.fetch("https://web.procore.com/webclients/request.json", {}, { facts })
    expect(await response.json()).toEqual({
      route: "web",
      kind: "anonymous",
      hops: 0,
      ip: "203.0.113.7",
      country: "GB",
      colo: "LHR",
      asn: 64500,
      tls: "TLSv1.3",
      bot: null,
    })
  })

  it("answers 404 for a file that is not there", async ({ expect }) => {
    const response = await platform.fetch("https://web.procore.com/webclients/missing.js")
    expect(response.status).toBe(404)
  })
})

async function egressOf(response: Response) {
  await platform.tripOf(response)
  return platform.egress({ requestId: response.headers.get("x-request-id") ?? "" })
}

function* chunks(body: Buffer): Generator<Buffer> {
  for (let start = 0; start < body.length; start += 65_536) yield body.subarray(start, start + 65_536)
}

/** Says `text` once connected; resolves to the first two messages. */
function exchange(hostname: string, text: string, caller: typeof alice | null = alice): Promise<string[]> {
  const authorization = caller === null ? {} : { authorization: `Bearer ${platform.issueToken(caller)}` }
  const headers = { host: hostname, "procore-company-id": "100", ...authorization }
  const socket = new WebSocket(platform.edgeUrl.replace("http", "ws"), { headers, agent: new http.Agent() })
  const messages: string[] = []
  return new Promise((resolve, reject) => {
    socket.on("open", () => socket.send(text))
    socket.on("error", reject)
    socket.on("message", (data) => {
      messages.push(String(data))
      if (messages.length < 2) return
      socket.close()
      resolve(messages)
    })
  })
}

/** The example company on a running platform: what `npm start` brings up answers on every hostname, and identity holds end to end. */
import { afterAll, expect, it } from "vitest"
import { WebSocket } from "ws"
import type { CellEcho } from "../../emulator/cells/cell.ts"
import { type ExampleTeam, SCRIPTS } from "../../emulator/example-layout.ts"
import { type ExampleOrigins, type StartedOrigins, startExampleOrigins } from "../../emulator/example-origins.ts"
import { loadSecrets } from "../../emulator/secrets.ts"
import { seedPolicy, seedRoutes } from "../../emulator/seed.ts"
import { uploadExamples } from "../../emulator/upload.ts"
import { verifyHostnames } from "../../emulator/verify-hostnames.ts"
import { anyPorts, expectProblem, usePlatform } from "../harness.ts"

const uploaded: string[] = []
let started: StartedOrigins
let origins: ExampleOrigins
const platform = usePlatform({}, async (running) => {
  started = await startExampleOrigins(await anyPorts())
  origins = await started.join(running, await loadSecrets(running.stateDir))
  const seeded = await seedPolicy(running, origins)
  uploaded.push(...(await uploadExamples(running, seeded, origins, () => {})))
  await seedRoutes(running)
  await running.waitForConfig()
})
afterAll(() => started?.stop())
const ALICE = { subject: "alice", company: "100" }
/** Bound to no company: may name any. */
const BOB = { subject: "bob" }

async function echoOf(response: Response): Promise<CellEcho> {
  const text = await response.text()
  expect(response.status, text).toBe(200)
  return JSON.parse(text) as CellEcho
}

it("uploads the example Workers with real wrangler and answers on every hostname, with passports that the cells accept", async () => {
  expect(uploaded.toSorted()).toEqual(Object.keys(SCRIPTS).toSorted())
  const rows = await verifyHostnames(platform())
  expect(rows.filter((row) => row.fault !== null)).toEqual([])
  expect(rows.map(({ hostname, path, script, zone }) => `${hostname}${path} ${script} ${zone}`)).toEqual([
    "api.procore.com/rest/v1.0/projects router us01",
    "app.procore.com/projects gateway us01",
    "app.procore.com/webclients/ pages ",
    "storage.procore.com/rest/v2.1/uploads/health files ",
    "us02.procore.com/projects gateway us02",
    "app.uk01.procore.com/projects gateway uk01",
  ])
})

it("seeds and uploads nothing a second time, and publishes no config", async () => {
  const before = await platform().api.get<{ revision: number }>("/v1/config")
  const seeded = await seedPolicy(platform(), origins)
  const again = await uploadExamples(platform(), seeded, origins, (_script: string, _team: ExampleTeam) => {})
  await seedRoutes(platform())
  expect(again).toEqual([])
  expect(await platform().api.get("/v1/config")).toEqual(before)
})

it("sends a company's request to its own zone, also when its id does not fit a number", async () => {
  for (const [company, zone] of [
    ["200", "us02"],
    ["300", "uk01"],
    ["9007199254740993", "us02"],
  ] as const) {
    const headers = { "procore-company-id": company }
    const response = await platform().fetch("https://api.procore.com/rest/v1.0/projects", { headers }, BOB)
    const echo = await echoOf(response)
    expect(echo.cell).toBe(zone)
    expect(echo.passport).toMatchObject({ aud: `cell:${zone}`, sub: "bob", zone, act: { sub: "script:gateway" } })
  }
})

it("answers company_base_url at the edge", async () => {
  const headers = { "procore-company-id": "300" }
  const response = await platform().fetch("https://api.procore.com/company_base_url", { headers }, BOB)
  expect(await response.json()).toMatchObject({ web_base_url: "https://app.uk01.procore.com", zone: "uk01" })
})

it("serves the single-page app from static assets with a content security policy, to anybody", async () => {
  const response = await platform().fetch("https://app.procore.com/webclients/projects/17")
  expect(response.status).toBe(200)
  expect(response.headers.get("content-type")).toContain("text/html")
  expect(response.headers.get("content-security-policy")).toContain("default-src 'none'")
})

it("refuses a request without a credential before any Worker sees it", async () => {
  const response = await platform().fetch("https://app.procore.com/projects")
  const trip = await platform().tripOf(response)
  await expectProblem(response, 401, "auth.credential-required")
  expect(trip.msPerStage).not.toHaveProperty("forward")
})

it("refuses a wrong credential even where none is needed elsewhere on the hostname", async () => {
  const headers = { authorization: "Bearer abc.def.ghi" }
  const response = await platform().fetch("https://app.procore.com/projects", { headers })
  await expectProblem(response, 401, "auth.credential-invalid")
})

it.each([
  ["x-passport", [["X-Passport", "forged"]]],
  ["x_passport", [["x_passport", "forged"]]],
  [
    "X_PASSPORT and a duplicate",
    [
      ["X_PASSPORT", "forged"],
      ["x-passport", "forged"],
      ["X-Passport", "forged"],
    ],
  ],
  [
    "identity headers of other systems",
    [
      ["X-Forwarded-User", "forged"],
      ["X-Remote-User", "forged"],
    ],
  ],
] as [string, [string, string][]][])("lets no client's own %s through to the cell", async (_, headers) => {
  const echo = await echoOf(await platform().fetch("https://app.procore.com/projects", { headers }, ALICE))
  expect(echo.passport.sub).toBe("alice")
  expect(JSON.stringify(echo)).not.toContain("forged")
})

it("lets no passport of the gateway's own making be used by a client", async () => {
  const first = await platform().fetch("https://app.procore.com/projects", {}, ALICE)
  expect(JSON.stringify([...first.headers])).not.toContain("eyJ")
  const response = await fetch(`${platform().cells.us01}/projects`, { headers: { "x-passport": "eyJ.eyJ.abc" } })
  expect(response.status).toBe(401)
})

it("carries the facts of the connection in the passport, and none that the client claims", async () => {
  const headers = { "cf-connecting-ip": "198.51.100.1", "cf-ipcountry": "XX" }
  const facts = { ip: "203.0.113.7", country: "GB", colo: "LHR", asn: 64500, tlsVersion: "TLSv1.3" }
  const response = await platform().fetch("https://app.procore.com/projects", { headers }, { ...ALICE, facts })
  const { passport } = await echoOf(response)
  expect(passport.facts).toMatchObject({ ip: "203.0.113.7", country: "GB", colo: "LHR", asn: 64500, tls: "TLSv1.3" })
})

it("refuses a connection below TLS 1.2", async () => {
  const response = await platform().fetch(
    "https://app.procore.com/projects",
    {},
    { ...ALICE, facts: { tlsVersion: "TLSv1.1" } },
  )
  await expectProblem(response, 403, "edge.tls-too-old")
})

it("carries a body whole", async () => {
  const body = new Uint8Array(3 * 1024 * 1024).fill(7)
  const response = await platform().fetch("https://app.procore.com/upload", { method: "PUT", body }, ALICE)
  const digest = Buffer.from(await crypto.subtle.digest("SHA-256", body)).toString("hex")
  expect((await echoOf(response)).body).toEqual({ sizeBytes: body.length, sha256: digest })
})

it("lets server-sent events through as they come", async () => {
  const response = await platform().fetch("https://app.procore.com/cell/events", {}, ALICE)
  const arrivals: number[] = []
  const decoder = new TextDecoder()
  let text = ""
  for await (const chunk of response.body ?? []) {
    arrivals.push(performance.now())
    text += decoder.decode(chunk, { stream: true })
  }
  expect(text.match(/^id: /gm)).toHaveLength(4)
  // The cell leaves half a second between events; whoever buffers gives them all at once.
  expect((arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0)).toBeGreaterThan(1_000)
})

it("carries a WebSocket through dispatcher, Worker and cell", async () => {
  const authorization = `Bearer ${platform().issueToken(ALICE)}`
  const socket = new WebSocket(`${platform().edgeUrl.replace("http", "ws")}/socket`, {
    headers: { host: "app.procore.com", authorization },
  })
  const messages: string[] = []
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject)
    socket.on("message", (data) => {
      messages.push(String(data))
      if (messages.length === 1) socket.send("there and back")
      else resolve()
    })
  })
  socket.close()
  expect(JSON.parse(messages[0] ?? "")).toEqual({ cell: "us01", subject: "alice" })
  expect(messages[1]).toBe("there and back")
})

it("says in every response which config revision and release answered", async () => {
  const response = await platform().fetch("https://app.procore.com/projects", {}, ALICE)
  const { revision } = await platform().api.get<{ revision: number }>("/v1/config")
  expect(response.headers.get("x-sallyport-config")).toBe(String(revision))
  expect(response.headers.get("x-sallyport-release")).toBe("gateway--v1")
})

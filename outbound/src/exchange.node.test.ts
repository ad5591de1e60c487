/** The exchange of passports on the whole platform, for requests that are under way while something is taken away: the entrance let them in, the exit does not let them go on. */
import { once } from "node:events"
import { createServer, type Server } from "node:http"
import { afterAll, beforeAll, beforeEach, describe, it } from "vitest"
import { EXAMPLE_ISSUER_ID } from "../../emulator/cells/issuer.ts"
import { listen, type RunningServer } from "../../emulator/listen.ts"
import { startTestPlatform, type TestPlatform } from "../../emulator/testing.ts"

/** Waits until it is let go, then asks the cell; or revokes a subject; or only says that it was reached. */
const WORKER = `export default { async fetch(request, env) {
  const { revoke, hold, cell } = await request.json()
  if (revoke) return env.PLATFORM.revoke(revoke).then((done) => Response.json(done), ({ message }) => Response.json({ code: message }))
  if (!hold) return new Response("reached")
  await fetch(hold)
  return fetch(cell, { headers: { "x-passport": request.headers.get("x-passport") } })
} }`
const GRANTS = ["audience:cell:us01", "revoke:subject"]
const WITHIN_MS = 10_000

let platform: TestPlatform
let server: Server
let listed: string
let running: RunningServer | undefined

beforeAll(async () => {
  server = createServer((_request, response) => void server.emit("held", () => response.end()))
  running = await listen(server, 0)
  listed = running.url
  platform = await startTestPlatform()
  await platform.putTeam("web", { grants: GRANTS, egress: [listed] })
  await platform.uploadWorker({ source: WORKER, script: "waiting", team: "web", route: "https://web.example.com/*" })
})

afterAll(async () => {
  await platform?.dispose()
  await running?.stop()
})

beforeEach(async () => {
  await platform.putTeam("web", { grants: GRANTS, egress: [listed] })
  await platform.waitForConfig()
})

describe("a request under way", () => {
  it("reaches the cell when nothing was taken away, so that the refusals below mean something", async ({ expect }) => {
    const { letGo, answer } = await heldRequest("alice")
    letGo()
    expect(await (await answer).json()).toMatchObject({ cell: "us01", passport: { aud: "cell:us01", sub: "alice" } })
  })

  it("gets no passport for a cell after its subject was revoked, and others do", async ({ expect }) => {
    const [carol, dave] = [await heldRequest("carol"), await heldRequest("dave")]
    const target = { kind: "subject", idp: EXAMPLE_ISSUER_ID, subject: "carol" }
    const revoke = [{ target, beforeMs: Date.now() + 2_000, reason: "a laptop was stolen" }]
    expect(await (await ask("alice", { revoke })).json()).toMatchObject({ seq: expect.any(Number), boundMs: 5_000 })
    await untilRefused("carol")
    for (const each of [carol, dave]) each.letGo()
    const [revoked, other] = [await carol.answer, await dave.answer]
    expect(await revoked.json()).toMatchObject({ status: 401, code: "auth.revoked" })
    expect(await other.json()).toMatchObject({ cell: "us01", passport: { sub: "dave" } })
  })

  it("gets no passport for a cell after its team lost the grant", async ({ expect }) => {
    const { letGo, answer } = await heldRequest("alice", "8")
    await platform.putTeam("web", { egress: [listed] })
    await platform.waitForConfig()
    letGo()
    expect(await (await answer).json()).toMatchObject({ status: 403, code: "platform.not-granted" })
  })
})

/** `company` makes it another passport than the last request's. */
async function heldRequest(subject: string, company?: string) {
  const held = once(server, "held") as Promise<[() => void]>
  const answer = ask(subject, { hold: listed, cell: platform.cells.us01 }, company)
  const [letGo] = await held
  return { letGo, answer }
}

function ask(subject: string, body: object, company?: string): Promise<Response> {
  const caller = { subject, ...(company === undefined ? {} : { company }) }
  return platform.fetch("https://web.example.com/", { method: "POST", body: JSON.stringify(body) }, caller)
}

/** By the entrance: then the isolate knows. */
async function untilRefused(subject: string): Promise<void> {
  const until = performance.now() + WITHIN_MS
  while ((await ask(subject, {})).status !== 401) {
    if (performance.now() > until) throw new Error(`${subject} is still let in`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

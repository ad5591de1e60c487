import { describe, expect, it } from "vitest"
import { type DispatchConfig, route } from "../../contracts/dispatch-config.ts"
import type { ExplainRequest } from "../../contracts/platform.ts"
import { exampleConfig } from "./example-config.ts"
import { explainRequest } from "./explain.ts"
import { NOW_S, type TestBed, testBed } from "./test-dependencies.ts"

const FILES = "https://api.example.com/files/1"

function routed(auth: object): Partial<DispatchConfig> {
  const fields = { id: "files", path: "/files/*", script: "files", team: "storage" }
  const required = { mode: "required", issuers: ["example-idp"], ...auth }
  return { hostnames: { "api.example.com": { team: null, routes: [route.parse({ ...fields, auth: required })] } } }
}

async function explain(bed: TestBed, headers: Record<string, string>, changes: Partial<ExplainRequest> = {}) {
  const asked = { url: FILES, method: "GET", headers, facts: {}, ...changes } as ExplainRequest
  const { steps, outcome } = await explainRequest(asked, bed.deps, () => undefined)
  const step = (stage: string) => steps.find((each) => each.stage === stage)
  return { outcome, screen: step("screen"), authenticate: step("authenticate"), authorize: step("authorize") }
}

describe("an explanation", () => {
  it("names the session's subject, level and directory, and what came and what was looked at", async () => {
    const subjects = { "example-idp/alice": { scopes: ["admin"], companies: ["42"] } }
    const bed = await testBed({ ...routed({ accept: ["session"] }), subjects })
    const { cookie } = await bed.login({ level: 2 })
    const { outcome, authenticate } = await explain(bed, { cookie, authorization: "Bearer ignored" })
    expect(outcome).toMatchObject({ kind: "dispatch", placedName: "files--v1" })
    expect(authenticate?.says).toBe("The credential is alice's, of example-idp.")
    expect(authenticate?.facts).toMatchObject({
      accept: ["session"],
      shown: ["authorization", "session cookie"],
      level: 2,
      scopes: ["admin"],
      companies: ["42"],
      findings: [],
    })
  })

  it.each<[string, object, (bed: TestBed) => Promise<Record<string, string>>, string, string]>([
    ["no credential", {}, async () => ({}), "auth.credential-required", "Refused: auth.credential-required."],
    [
      "two at once",
      { accept: ["session", "bearer"] },
      async (bed) => ({ cookie: (await bed.login()).cookie, authorization: "Bearer a.b.c" }),
      "auth.credential-invalid",
      "several",
    ],
    [
      "the wrong kind of key",
      {},
      async () => ({ authorization: `Bearer spsa_robot_${"A".repeat(43)}` }),
      "auth.credential-invalid",
      "kind-not-accepted",
    ],
    [
      "a service account that there is not",
      { accept: ["service-key"] },
      async () => ({ authorization: `Bearer spsa_robot_${"A".repeat(43)}` }),
      "auth.credential-invalid",
      "account-unknown",
    ],
    [
      "a session that is over",
      { accept: ["session"] },
      async (bed) => {
        const { cookie, handle } = await bed.login({ createdAtMs: (NOW_S - 600) * 1000 })
        bed.sessions.texts.delete(`session/${handle}`)
        return { cookie }
      },
      "auth.session-expired",
      "ended",
    ],
    [
      "a token for elsewhere",
      { audiences: ["https://files.example"] },
      async (bed) => ({ authorization: `Bearer ${await bed.token()}` }),
      "auth.credential-invalid",
      "audience",
    ],
  ])("says why %s is refused", async (_what, auth, headersOf, code, why) => {
    const bed = await testBed(routed(auth))
    const { outcome, authenticate } = await explain(bed, await headersOf(bed))
    expect(outcome).toMatchObject({ kind: "problem", code })
    expect(JSON.stringify(authenticate)).toContain(why)
  })

  it("asks what the script asks besides its route, and names the stricter of both", async () => {
    const { files } = exampleConfig().scripts
    if (files === undefined) throw new Error("unreachable: the example has the script")
    const access = { scopes: [], minLevel: 2, maxAuthAgeS: 600, sensitive: true }
    const scripts = { files: { ...files, access } }
    const bed = await testBed({ ...routed({ accept: ["session"], minLevel: 1, maxAuthAgeS: 300 }), scripts })
    const { cookie } = await bed.login({ level: 2 })
    const { authorize } = await explain(bed, { cookie })
    expect(authorize?.facts).toMatchObject({ minLevel: 2, maxAuthAgeS: 300 })
    const below = await explain(bed, { cookie: (await bed.login({ level: 1 })).cookie })
    expect(below.outcome).toMatchObject({ code: "auth.step-up-required" })
    const unheard = await testBed({ ...routed({ accept: ["session"] }), scripts })
    unheard.relay.since = () => Promise.reject(new Error("the relay is down"))
    const unknown = await explain(unheard, { cookie: (await unheard.login({ level: 2 })).cookie })
    expect(unknown.outcome).toMatchObject({ code: "auth.revocation-unknown" })
  })

  it("says that a browser would be sent to the login, and where", async () => {
    const bed = await testBed(routed({ accept: ["session"], login: "/login/start", minLevel: 2 }))
    const { outcome, authenticate } = await explain(bed, { "sec-fetch-mode": "navigate" })
    expect(outcome).toEqual({ kind: "problem", code: "auth.login-required", status: 302 })
    expect(authenticate?.says).toBe(
      "Refused: auth.credential-required. A browser goes to /login/start?return_to=%2Ffiles%2F1 instead.",
    )
    const { cookie } = await bed.login()
    const stepUp = await explain(bed, { cookie, "sec-fetch-mode": "navigate" })
    expect(stepUp.authorize?.says).toContain("auth.step-up-required. A browser goes to /login/start?return_to=")
    expect((await explain(bed, { cookie })).outcome).toMatchObject({ code: "auth.step-up-required" })
  })

  it("says where a browser goes only when it goes somewhere: a form with a session that is over does not", async () => {
    const bed = await testBed(routed({ mode: "optional", accept: ["session"] }))
    const { cookie, handle } = await bed.login({ createdAtMs: (NOW_S - 600) * 1000 })
    bed.sessions.texts.delete(`session/${handle}`)
    const navigation = { cookie, "sec-fetch-mode": "navigate", "sec-fetch-site": "same-origin" }
    const form = await explain(bed, navigation, { method: "POST" })
    expect(form.outcome).toMatchObject({ code: "auth.session-expired" })
    expect(form.authenticate?.says).toBe("Refused: auth.session-expired.")
    const link = await explain(bed, navigation)
    expect(link.authenticate?.says).toBe("Refused: auth.session-expired. A browser goes to /files/1 instead.")
  })

  it("says that the credential was revoked", async () => {
    const bed = await testBed(routed({ accept: ["session"] }))
    const { cookie, handle } = await bed.login()
    await bed.relay.revoke({ kind: "session", session: handle })
    await explain(bed, { cookie })
    const { outcome, authenticate } = await explain(bed, { cookie })
    expect(outcome).toMatchObject({ code: "auth.revoked" })
    expect(authenticate?.says).toBe("Refused: auth.revoked.")
  })

  it("notes no use of a session that nobody used, and shows no credential", async () => {
    const bed = await testBed(routed({ accept: ["session", "bearer"] }))
    const { cookie } = await bed.login()
    bed.time.nowMs += 20 * 60_000
    const asked = { url: FILES, method: "GET", headers: { cookie }, facts: {} } as unknown as ExplainRequest
    const text = JSON.stringify(await explainRequest(asked, bed.deps, () => undefined))
    expect(bed.sessions.calls.filter((call) => call.startsWith("put "))).toEqual([])
    expect(text).not.toContain(cookie.slice(40, 80))
  })

  const OPEN = "https://api.example.com/open/1"
  const screened = (changes: Partial<DispatchConfig["screen"]>) => ({
    screen: { ...exampleConfig().screen, ...changes },
  })
  const denying = { addresses: { mode: "enforce" as const, deny: ["203.0.113.0/24"] } }

  it("refuses nobody for an address that nobody assumed, and says that none was", async () => {
    const bed = await testBed(screened(denying))
    const { outcome, screen } = await explain(bed, {}, { url: OPEN })
    expect(outcome).toMatchObject({ kind: "dispatch" })
    expect(screen?.says).toBe("No check objects. No client address was assumed, so that none could be a denied one.")
    const assumed = await explain(bed, {}, { url: OPEN, facts: { ip: "198.51.100.1" } })
    expect([assumed.outcome.kind, assumed.screen?.says]).toEqual(["dispatch", "No check objects."])
  })

  it("says nothing of addresses where none is denied", async () => {
    const { screen } = await explain(await testBed(), {}, { url: OPEN })
    expect(screen?.says).toBe("No check objects.")
  })

  it.each<[string, Partial<DispatchConfig["screen"]>, Partial<ExplainRequest>, string]>([
    ["addresses", denying, { facts: { ip: "203.0.113.7" } }, "edge.address-denied"],
    [
      "asns",
      { ...denying, asns: { mode: "enforce", deny: [64500] } },
      { facts: { asn: 64500 } },
      "edge.address-denied",
    ],
    [
      "countries",
      { countries: { mode: "enforce", deny: ["KP"] } },
      { facts: { country: "KP" } },
      "edge.country-denied",
    ],
    ["tls", {}, { facts: { tls: "TLSv1.1" } }, "edge.tls-too-old"],
    ["methods", { methods: { mode: "enforce", allow: ["GET"] } }, { method: "POST" }, "edge.method-not-allowed"],
    ["size", {}, { url: `${OPEN}?${"x".repeat(16_384)}` }, "edge.url-too-long"],
  ])("names the check of the screen that refuses: %s", async (check, changes, asked, code) => {
    const { outcome, screen } = await explain(await testBed(screened(changes)), {}, { url: OPEN, ...asked })
    expect(outcome).toMatchObject({ kind: "problem", code })
    expect(screen?.says).toContain(`Refused by ${check}: ${code}.`)
    expect(screen?.facts).toMatchObject({ check })
  })
})

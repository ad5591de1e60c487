/**
 * One team's Worker calls another's through its PLATFORM binding, on the running platform: policy runs again, and circles end.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import {
  COMPANIES,
  HOSTNAMES,
  LOGIN_IDP,
  loginIssuer,
  policyFor,
  ROUTES,
  TEAMS,
} from "../../emulator/example-layout.ts"
import { ECHO_WORKER, startTestPlatform, type TestPlatform } from "../../emulator/testing.ts"

/** Sends on what it receives to the sibling that the query names. */
const RELAY = `export default {
  async fetch(request, env) {
    const onward = new Request(request)
    onward.headers.set("x-sallyport-sibling", new URL(request.url).searchParams.get("to"))
    return env.PLATFORM.fetch(onward)
  },
}
`
const TO_ECHO = "https://app.example.com/relay?to=echo"
const alice = { subject: "alice", scope: "read" }

let platform: TestPlatform

beforeAll(async () => {
  platform = await startTestPlatform()
  await platform.uploadWorker({ source: ECHO_WORKER, script: "echo", team: "echo-team" })
  const route = "https://app.example.com/relay"
  await platform.uploadWorker({ source: RELAY, script: "relay", team: "relay-team", route })
})
afterAll(() => platform?.dispose())

async function grant(...grants: string[]): Promise<void> {
  await platform.putTeam("relay-team", { grants })
  await platform.waitForConfig()
}

async function setEcho(settings: object): Promise<void> {
  await platform.api.put("/v1/scripts/echo", settings)
  await platform.waitForConfig()
}

async function codeOf(response: Response): Promise<string> {
  expect(response.headers.get("content-type")).toBe("application/problem+json")
  return ((await response.json()) as { code: string }).code
}

const reached = async () =>
  (await platform.trips({})).filter(({ script, version }) => script === "echo" && version !== null).length

describe("a sibling dispatch", () => {
  it("reaches nothing without the grant, nor with one for a script of nearly that name", async () => {
    for (const grants of [[], ["dispatch:echoes"], ["audience:echo"]]) {
      await grant(...grants)
      const response = await platform.fetch(TO_ECHO, {}, alice)
      expect(response.status).toBe(403)
      expect(await codeOf(response)).toBe("platform.not-granted")
    }
    expect(await reached()).toBe(0)
  })

  it("reaches the sibling with a passport made for it, once the grant is there, and no longer when it is taken away", async () => {
    await grant("dispatch:echo")
    const response = await platform.fetch(TO_ECHO, {}, alice)
    const echoed = (await response.json()) as { headers: Record<string, string> }
    const passport = await platform.passportOf(echoed.headers["x-passport"] ?? "", "script:echo")
    expect(passport).toMatchObject({ sub: "alice", act: { sub: "script:relay" }, hops: 1 })
    await grant()
    expect(await codeOf(await platform.fetch(TO_ECHO, {}, alice))).toBe("platform.not-granted")
  })

  it("is held to what the sibling asks of its callers, though no route of its own asks it", async () => {
    await grant("dispatch:echo")
    await setEcho({ access: { scopes: ["write"] } })
    expect(await codeOf(await platform.fetch(TO_ECHO, {}, alice))).toBe("auth.not-allowed")
    expect((await platform.fetch(TO_ECHO, {}, { ...alice, scope: "read write" })).status).toBe(200)
    await setEcho({ access: null })
    expect((await platform.fetch(TO_ECHO, {}, alice)).status).toBe(200)
  })

  it("is held to the sibling's level too, which no token has", async () => {
    await grant("dispatch:echo")
    await setEcho({ access: { minLevel: 1 } })
    const response = await platform.fetch(TO_ECHO, {}, alice)
    expect(response.status).toBe(401)
    expect(response.headers.get("www-authenticate")).toContain('acr_values="1"')
    expect(await codeOf(response)).toBe("auth.step-up-required")
    await setEcho({ access: { sensitive: true } })
    expect((await platform.fetch(TO_ECHO, {}, alice)).status).toBe(200)
    await setEcho({ access: null })
  })

  it("ends at the sibling's kill switch", async () => {
    await setEcho({ kill: { mode: "enforce", reason: "leak", retryAfterS: 7 } })
    const response = await platform.fetch(TO_ECHO, {}, alice)
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "7"])
    expect(await codeOf(response)).toBe("dispatch.script-killed")
    await setEcho({ kill: null })
    expect((await platform.fetch(TO_ECHO, {}, alice)).status).toBe(200)
  })

  it("ends a circle after eight dispatches, each on record under one request id", async () => {
    await grant("dispatch:relay")
    const response = await platform.fetch("https://app.example.com/relay?to=relay", {}, alice)
    expect(await codeOf(response)).toBe("platform.too-many-hops")
    const requestId = response.headers.get("x-request-id") ?? ""
    const dispatched = (await platform.trips({ requestId })).filter(({ version }) => version !== null)
    expect(dispatched).toHaveLength(9)
  })
})

/** The example's own routes to its cells: directly, and by the router through a sibling dispatch. */
describe("the example's payments", () => {
  const toCells = Object.entries(ROUTES).filter(([, { script }]) => script === "gateway" || script === "router")
  const hostnames = [...new Set(toCells.map(([, { hostname }]) => hostname))]
  /** The gateway of a zone answers for the companies that live there. */
  const companyAt = (hostname: string) => {
    const zones = toCells.flatMap(([, route]) => ("zone" in route && route.hostname === hostname ? [route.zone] : []))
    return Object.entries(COMPANIES).find(([, zone]) => zone === (zones[0] ?? "us01"))?.[0] ?? ""
  }
  const ask = (hostname: string, path: string) =>
    platform.fetch(`https://${hostname}${path}`, { headers: { "procore-company-id": companyAt(hostname) } }, alice)

  beforeAll(async () => {
    const identityProvider = { issuer: "https://idp.example", jwks: platform.issuerJwks } as never
    const issuers = { ...(policyFor(platform).issuers as object), [LOGIN_IDP]: loginIssuer(identityProvider) }
    await platform.api.put("/v1/policy/issuers", issuers)
    const team = "edge-routing"
    await platform.putTeam(team, { grants: TEAMS[team] })
    for (const script of ["gateway", "router"])
      await platform.uploadWorker({ directory: `user-workers/${script}`, team })
    for (const hostname of hostnames) await platform.api.put(`/v1/hostnames/${hostname}`, HOSTNAMES[hostname])
    for (const [id, route] of toCells) await platform.api.put(`/v1/routes/${id}`, route)
    await platform.waitForConfig()
  })

  it.each(hostnames)("are out of a token's reach on %s, and their neighbours are not", async (hostname) => {
    for (const path of ["/rest/v1.0/payments/1", "/rest/v1.0/payments", "/rest/v1.0/%70ayments/1"]) {
      const response = await ask(hostname, path)
      expect([path, response.status]).toEqual([path, 401])
      expect(await codeOf(response)).toBe("auth.credential-required")
    }
    for (const path of ["/rest/v1.0/payments-due/1", "/rest/v1.0/projects"])
      expect([path, (await ask(hostname, path)).status]).toEqual([path, 200])
  })
})

/** The API's front door on the running platform: which company goes where, while companies move and ops change the directory. */
import { afterAll, afterEach, beforeAll, describe, it } from "vitest"
import { COMPANIES, policyFor } from "../../emulator/example-layout.ts"
import { startTestPlatform, type TestPlatform } from "../../emulator/testing.ts"
import { type RecordingOrigin, startRecordingOrigin } from "./recording-origin.ts"

const ZONES = ["us01", "us02", "uk01"] as const
type Zone = (typeof ZONES)[number]
const URL_OF_PROJECTS = "https://api.procore.com/rest/v1.0/projects"
/** Bound to no company: may name any. */
const alice = { subject: "alice" }
const CLIENTS = 8

let platform: TestPlatform
let origins: Record<Zone, RecordingOrigin>

beforeAll(async () => {
  platform = await startTestPlatform()
  const [us01, us02, uk01] = await Promise.all(ZONES.map(startRecordingOrigin))
  if (!us01 || !us02 || !uk01) throw new Error("unreachable: three zones, three origins")
  origins = { us01, us02, uk01 }
  const audiences = Object.fromEntries(ZONES.map((zone) => [`cell:${zone}`, { origins: [origins[zone].url] }]))
  await platform.api.put("/v1/policy/audiences", audiences)
  const cells = ZONES.flatMap((zone) => [`audience:cell:${zone}`, `zone:${zone}`])
  await platform.putTeam("edge-routing", { grants: ["dispatch:gateway", "zones:read", ...cells] })
  await platform.uploadWorker({ directory: "user-workers/gateway", team: "edge-routing" })
  await platform.uploadWorker({ directory: "user-workers/router", team: "edge-routing" })
  const route = { path: "/*", team: "edge-routing", auth: "required" } as const
  await platform.putRoute("api", { ...route, hostname: "api.procore.com", script: "router" })
  await platform.putRoute("app", { ...route, hostname: "app.procore.com", script: "gateway", zone: "us01" })
})

afterAll(async () => {
  await platform.dispose()
  await Promise.all(Object.values(origins ?? {}).map((origin) => origin.stop()))
})

afterEach(() => putDirectory({}))

describe("router: a company that moves between zones", () => {
  it("reaches its old cell with nothing that was sent after the switch was acknowledged", async ({ expect }) => {
    const load = startLoad("100")
    await load.served(50)
    await putDirectory({ companies: { "100": "us02" } })
    const switchedAt = performance.now()
    await load.served(200)
    const answered = await load.stop()
    const late = answered.filter(({ sentAt }) => sentAt > switchedAt)
    expect(late.length).toBeGreaterThanOrEqual(150)
    expect(new Set(late.map(({ cell }) => cell))).toEqual(new Set(["us02"]))
    // On the way a request may be asked to come again; none fails otherwise.
    const others = answered.filter(({ status }) => status !== 200).map(({ code }) => code)
    expect(new Set([...others, "company.moving"])).toEqual(new Set(["company.moving"]))
  })

  it("has nothing arrive at its old cell after the switch, not even what was under way, when it was closed before", async ({
    expect,
  }) => {
    const old = countOf("us01")
    const load = startLoad("100")
    await load.served(50)
    await putDirectory({ moving: { "100": { mode: "closed", retryAfterS: 5 } } })
    // Each client's next answer but one belongs to a request that it sent after this: nothing admitted before is left.
    await load.roundsOfAll(2)
    const atDrain = old()
    const refused = await load.roundsOfAll(3)
    expect(new Set(refused.map(({ status, code }) => `${status} ${code}`))).toEqual(new Set(["503 company.moving"]))
    expect(new Set(refused.map(({ retryAfter }) => retryAfter))).toEqual(new Set(["5"]))
    const switchingAt = performance.now()
    await putDirectory({ companies: { "100": "us02" } })
    const after = await load.roundsOfAll(20)
    await load.stop()
    expect(new Set(after.slice(-CLIENTS).map(({ cell }) => cell))).toEqual(new Set(["us02"]))
    expect(old()).toBe(atDrain)
    const early = arrivalsOf("us02", "100").filter(({ atMs }) => atMs > load.startedAt && atMs < switchingAt)
    expect(early).toHaveLength(0)
  })

  it("is read at its old cell and written nowhere while it is read-only", async ({ expect }) => {
    await putDirectory({ moving: { "100": { mode: "read-only", retryAfterS: 5 } } })
    expect((await api("100")).headers.get("x-origin")).toBe("us01")
    const written = await api("100", { method: "POST", body: "{}" })
    expect(written.status).toBe(503)
    expect(await written.json()).toMatchObject({ code: "company.moving" })
    expect((await api("200", { method: "POST", body: "{}" })).headers.get("x-origin")).toBe("us02")
  })

  it("is told its new base URL by the first request after the switch", async ({ expect }) => {
    const ask = async () =>
      (await platform.fetch("https://api.procore.com/company_base_url?company_id=100", {}, alice)).json()
    expect(await ask()).toEqual({ web_base_url: "https://app.procore.com", zone: "us01" })
    await putDirectory({ companies: { "100": "us02" } })
    expect(await ask()).toEqual({ web_base_url: "https://us02.procore.com", zone: "us02" })
  })

  it("is not served by its old zone's own hostname either", async ({ expect }) => {
    const home = () => platform.fetch("https://app.procore.com/companies/100/home", {}, alice)
    expect((await home()).headers.get("x-origin")).toBe("us01")
    await putDirectory({ companies: { "100": "us02" } })
    const before = countOf("us01")()
    const response = await home()
    expect(response.status).toBe(421)
    expect(await response.json()).toMatchObject({ code: "company.elsewhere", detail: "Use https://us02.procore.com." })
    expect(countOf("us01")()).toBe(before)
    // What names no company is the zone's to answer.
    expect((await platform.fetch("https://app.procore.com/home", {}, alice)).headers.get("x-origin")).toBe("us01")
  })
})

describe("router: the directory", () => {
  it("goes by an override before the companies' own zones, and back when it is taken away", async ({ expect }) => {
    await putDirectory({ overrides: { "100": "uk01" } })
    expect((await api("100")).headers.get("x-origin")).toBe("uk01")
    await putDirectory({})
    expect((await api("100")).headers.get("x-origin")).toBe("us01")
  })

  it("tells ids apart that are the same number, and knows nothing of the neighbour's", async ({ expect }) => {
    expect((await api("9007199254740993")).headers.get("x-origin")).toBe("us02")
    expect(await (await api("9007199254740992")).json()).toMatchObject({ code: "company.unknown" })
  })

  it("publishes no directory that sends a company to a zone that is not there", async ({ expect }) => {
    await expect(putDirectory({ overrides: { "100": "moon" } })).rejects.toThrow(/config.invalid|422/)
    expect((await api("100")).headers.get("x-origin")).toBe("us01")
  })

  it("answers for a credential's own company, and for another as if there were none", async ({ expect }) => {
    const bound = { subject: "bob", company: "100" }
    expect((await api("100", {}, bound)).status).toBe(200)
    const other = await api("200", {}, bound)
    expect(other.status).toBe(404)
    expect(await other.json()).toMatchObject({ code: "company.unknown" })
  })
})

describe("router and gateway: a zone for some countries only", () => {
  const federal = () => putDirectory({ zones: { us01: { countries: ["US"] } } })
  const from = (country: string | null) => ({
    ...alice,
    facts: country === null ? { tlsVersion: "TLSv1.3" } : { country },
  })

  for (const url of [URL_OF_PROJECTS, "https://app.procore.com/home"]) {
    it(`serves ${new URL(url).hostname} to a client there`, async ({ expect }) => {
      await federal()
      const headers = { "procore-company-id": "100" }
      expect((await platform.fetch(url, { headers }, from("US"))).headers.get("x-origin")).toBe("us01")
    })

    for (const country of ["GB", "T1", null])
      it(`refuses ${new URL(url).hostname} to a client in ${country ?? "a place unknown"}, and sends the cell nothing`, async ({
        expect,
      }) => {
        await federal()
        const before = countOf("us01")()
        // Without a company too: the hostname alone leads to the zone.
        for (const headers of [{ "procore-company-id": "100" }, ...(url === URL_OF_PROJECTS ? [] : [{}])]) {
          const response = await platform.fetch(url, { headers }, from(country))
          expect(response.status).toBe(403)
          expect(await response.json()).toMatchObject({ code: "zone.country-refused" })
        }
        expect(countOf("us01")()).toBe(before)
      })
  }

  it("stops serving a client that it served a moment ago once the zone is closed to it", async ({ expect }) => {
    await putDirectory({})
    const home = () => platform.fetch("https://app.procore.com/home", {}, from("FR"))
    expect((await home()).headers.get("x-origin")).toBe("us01")
    await federal()
    const refused = await home()
    expect([refused.status, await refused.json()]).toMatchObject([403, { code: "zone.country-refused" }])
  })

  it("leaves the other zones open to everybody", async ({ expect }) => {
    await federal()
    const headers = { "procore-company-id": "200" }
    expect((await platform.fetch(URL_OF_PROJECTS, { headers }, from("GB"))).headers.get("x-origin")).toBe("us02")
  })
})

interface DirectoryChanges {
  readonly zones?: Record<string, object>
  readonly companies?: Record<string, string>
  readonly overrides?: Record<string, string>
  readonly moving?: Record<string, object>
}

/** The example directory with these changes; resolves when the edge enforces it. */
async function putDirectory({ zones, companies, ...rest }: DirectoryChanges): Promise<void> {
  const example = policyFor(platform).directory as { zones: Record<string, object> }
  const changed = Object.entries(example.zones).map(([name, zone]) => [name, { ...zone, ...zones?.[name] }])
  const directory = { zones: Object.fromEntries(changed), companies: { ...COMPANIES, ...companies }, ...rest }
  await platform.api.put("/v1/policy/directory", directory)
  await platform.waitForConfig()
}

function api(
  company: string,
  init: { method?: string; body?: string } = {},
  caller: object = alice,
): Promise<Response> {
  return platform.fetch(URL_OF_PROJECTS, { ...init, headers: { "procore-company-id": company } }, caller)
}

function arrivalsOf(zone: Zone, company: string) {
  return origins[zone].arrivals.filter(({ headers }) => headers["procore-company-id"] === company)
}

function countOf(zone: Zone): () => number {
  return () => origins[zone].arrivals.length
}

interface Answered {
  readonly client: number
  readonly sentAt: number
  readonly status: number
  readonly cell: string | null
  readonly code: string | null
  readonly retryAfter: string | null
}

/** Clients that ask for one company again and again, each as soon as it has its answer. */
function startLoad(company: string) {
  const startedAt = performance.now()
  const answered: Answered[] = []
  let isOver = false
  let wake = () => {}
  const ask = async (client: number) => {
    while (!isOver) {
      const sentAt = performance.now()
      const response = await api(company)
      const text = await response.text()
      const code = response.ok ? null : (JSON.parse(text) as { code: string }).code
      const { status, headers } = response
      answered.push({
        client,
        sentAt,
        status,
        cell: headers.get("x-origin"),
        code,
        retryAfter: headers.get("retry-after"),
      })
      wake()
    }
  }
  const clients = Array.from({ length: CLIENTS }, (_, client) => ask(client))
  const failed = Promise.all(clients)
  const until = async (isReached: () => boolean) => {
    while (!isReached()) await Promise.race([failed, new Promise<void>((resolve) => (wake = resolve))])
  }
  return {
    startedAt,
    served: (count: number) => {
      const target = answered.length + count
      return until(() => answered.length >= target)
    },
    /** Waits until every client has had so many more answers; gives those after each client's first, which may belong to a request sent before. */
    async roundsOfAll(rounds: number): Promise<readonly Answered[]> {
      const from = answered.length
      const counts = () =>
        Array.from({ length: CLIENTS }, (_, each) => answered.slice(from).filter(({ client }) => client === each))
      await until(() => counts().every((list) => list.length >= rounds))
      return counts().flatMap((list) => list.slice(1))
    },
    async stop(): Promise<readonly Answered[]> {
      isOver = true
      await failed
      return answered
    },
  }
}

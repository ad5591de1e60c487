import { afterEach, describe, it, vi } from "vitest"
import type { PlatformApi, ZoneOfCompany } from "../../contracts/platform.ts"
import { makeTestPassports } from "../../kit/sign-test-passport.ts"
import gateway from "./index.ts"

const passports = await makeTestPassports()
const context = { waitUntil() {} } as unknown as ExecutionContext

afterEach(() => {
  vi.unstubAllGlobals()
})

describe("gateway: towards the cell", () => {
  it("goes to the origin of the zone in its passport, which it hands on to be exchanged for that cell's", async ({
    expect,
  }) => {
    const { sent, asked, own } = await call("/rest/v1.0/projects?a=b", {}, { zone: "uk01" })
    expect(asked).toEqual(["cell:uk01"])
    expect(sent[0]?.url).toBe("https://uk01.cell.example/rest/v1.0/projects?a=b")
    expect(sent[0]?.headers.get("x-passport")).toBe(own)
    expect(sent[0]?.headers.get("x-sallyport-audience")).toBe("cell:uk01")
  })

  it("says which cell is meant whatever its caller wrote there", async ({ expect }) => {
    const { sent } = await call("/", { headers: { "x-sallyport-audience": "cell:us02" } }, { zone: "uk01" })
    expect(sent[0]?.headers.get("x-sallyport-audience")).toBe("cell:uk01")
  })

  it("keeps an odd path on the cell's origin", async ({ expect }) => {
    const { sent } = await call("//evil.example/a/..%2fb?c=//d", {}, { zone: "us01" })
    expect(sent[0]?.url).toBe("https://us01.cell.example//evil.example/a/..%2fb?c=//d")
  })

  it("passes on cookies, request id, method and body; drops hop-by-hop headers", async ({ expect }) => {
    const headers = { cookie: "a=1; b=2", "x-request-id": "r-1", connection: "x-mine", "x-mine": "1", te: "trailers" }
    const { sent } = await call("/", { method: "PUT", body: "body", headers }, { zone: "us01" })
    const arrived = Object.fromEntries(sent[0]?.headers ?? [])
    expect(arrived).toMatchObject({
      cookie: "a=1; b=2",
      "x-request-id": "r-1",
      "x-forwarded-proto": "https",
    })
    for (const name of ["connection", "x-mine", "te"]) expect(arrived[name]).toBeUndefined()
    expect(sent[0]?.method).toBe("PUT")
    expect(await sent[0]?.text()).toBe("body")
  })

  it("says by which hostname the request entered, as its passport does, whatever URL or header a sibling wrote", async ({
    expect,
  }) => {
    const init = { headers: { "x-forwarded-host": "evil.example" } }
    const claims = { zone: "us01", host: "api.procore.com" }
    const { sent } = await call("/a", init, claims, { origin: "https://evil.example" })
    expect(sent[0]?.headers.get("x-forwarded-host")).toBe("api.procore.com")
    expect(sent[0]?.url).toBe("https://us01.cell.example/a")
  })

  it("names no hostname when its passport does not", async ({ expect }) => {
    const { sent } = await call("/", { headers: { "x-forwarded-host": "evil.example" } }, { zone: "us01" })
    expect(sent[0]?.headers.has("x-forwarded-host")).toBe(false)
  })

  for (const method of ["GET", "HEAD"])
    it(`carries ${method} on without the body that the runtime gives it for Content-Length: 0`, async ({ expect }) => {
      const init = { method, headers: { "content-length": "0" } }
      const { response, sent } = await call("/", init, { zone: "us01" }, { arrivingBody: new Response("").body })
      expect(response.status).toBe(200)
      expect(sent[0]).toMatchObject({ method, body: null })
      expect(sent[0]?.headers.has("content-length")).toBe(false)
    })

  it("leaves redirects to the client", async ({ expect }) => {
    const moved = () => new Response(null, { status: 302, headers: { location: "/elsewhere" } })
    const { response, sent } = await call("/", {}, { zone: "us01" }, { cell: moved })
    expect(sent[0]?.redirect).toBe("manual")
    expect(response.status).toBe(302)
  })
})

describe("gateway: back to the client", () => {
  it("hands out the cell's response itself, cookies and all", async ({ expect }) => {
    const headers = new Headers({ "content-type": "text/event-stream" })
    headers.append("set-cookie", "a=1; Path=/")
    headers.append("set-cookie", "b=2; Path=/")
    const answer = new Response("data: 1\n\n", { status: 418, headers })
    const { response } = await call("/", {}, { zone: "us01" }, { cell: () => answer })
    expect(response).toBe(answer)
    expect(response.headers.getSetCookie()).toHaveLength(2)
  })

  it("drops the cell's hop-by-hop headers, keeping status, cookies and body", async ({ expect }) => {
    const headers = new Headers({ "keep-alive": "timeout=5", connection: "keep-alive" })
    headers.append("set-cookie", "a=1")
    headers.append("set-cookie", "b=2")
    const { response } = await call(
      "/",
      {},
      { zone: "us01" },
      { cell: () => new Response("ok", { status: 201, headers }) },
    )
    expect([...response.headers.keys()]).toEqual(expect.not.arrayContaining(["keep-alive", "connection"]))
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"])
    expect(response.status).toBe(201)
    expect(await response.text()).toBe("ok")
  })
})

describe("gateway: refusals", () => {
  it("refuses without a passport, or with one for another script", async ({ expect }) => {
    const url = "https://app.procore.com/"
    for (const request of [new Request(url), await passports.request(url, "router", {}, { zone: "us01" })]) {
      const response = await gateway.fetch(request, environment([]), context)
      expect(response.status).toBe(401)
    }
  })

  it("answers 503 when neither route nor router named a zone", async ({ expect }) => {
    const { response, sent } = await call("/", {}, {})
    expect(await response.json()).toMatchObject({ code: "zone.missing", status: 503 })
    expect(sent).toHaveLength(0)
  })

  it("passes on the platform's refusal to say where the cell is", async ({ expect }) => {
    const { response, sent } = await call("/", {}, { zone: "forbidden" })
    expect(await response.json()).toMatchObject({ code: "platform.not-granted", status: 403 })
    expect(sent).toHaveLength(0)
  })

  it("passes on the platform's refusal of the cell's passport", async ({ expect }) => {
    const refused = () => new Response(null, { headers: { "x-sallyport-egress-problem": "zone.country-refused" } })
    const { response } = await call("/", {}, { zone: "us01" }, { cell: refused })
    expect(await response.json()).toMatchObject({ code: "zone.country-refused", status: 403 })
  })

  it("answers 503, and not 404, for a zone that ops have not put in place", async ({ expect }) => {
    const { response } = await call("/", {}, { zone: "unplaced" })
    expect(await response.json()).toMatchObject({ code: "zone.unavailable", status: 503 })
  })

  for (const [name, value] of [
    ["CELL_TIMEOUT_MS", undefined],
    ["CELL_TIMEOUT_MS", "0"],
    ["CELL_TIMEOUT_MS", "25s"],
    ["CELL_IDLE_TIMEOUT_MS", "-1"],
    ["DEPRECATIONS", "{}"],
    ["DEPRECATIONS", '[{"path":"/a"}]'],
  ] as const)
    it(`serves nothing with ${name} = ${value}`, async ({ expect }) => {
      const { response, sent } = await call("/", {}, { zone: "us01" }, { vars: { [name]: value } })
      expect(response.status).toBe(500)
      expect(sent).toHaveLength(0)
    })

  it("answers 502 without a word of the reason when the cell does not answer", async ({ expect }) => {
    const cell = () => {
      throw new Error("connect ECONNREFUSED 10.9.8.7")
    }
    const { response } = await call("/", { method: "POST" }, { zone: "broken" }, { cell })
    const text = await response.text()
    expect(response.status).toBe(502)
    expect(text).toContain("cell.failed")
    expect(text).not.toContain("10.9.8.7")
  })

  it("answers 504 and ends the call when the cell's headers do not come in time", async ({ expect }) => {
    const { response, sent } = await call("/", {}, { zone: "slow" }, { cell: hanging, timeoutMs: "1" })
    expect(await response.json()).toMatchObject({ code: "cell.timeout", status: 504 })
    expect(sent[0]?.signal.aborted).toBe(true)
  })
})

describe("gateway: the company that a request names", () => {
  const named = (company: string, revision = "1") => ({
    headers: { "procore-company-id": company, "x-sallyport-config": revision },
  })

  it("goes to the cell when the company lives in its zone, and asks once per config revision", async ({ expect }) => {
    const first = await call("/", named("900"), { zone: "us01" }, { home: { zone: "us01", revision: 1 } })
    expect(first.sent).toHaveLength(1)
    expect(first.looked).toEqual([["900", 1]])
    const again = await call("/", named("900"), { zone: "us01" }, { home: { zone: "us02", revision: 1 } })
    expect(again.looked).toEqual([])
    const later = await call("/", named("900", "2"), { zone: "us01" }, { home: { zone: "us02", revision: 2 } })
    expect(later.looked).toEqual([["900", 2]])
    expect(later.sent).toHaveLength(0)
  })

  it("sends a client that came by another zone's hostname to the company's own", async ({ expect }) => {
    const { response, sent } = await call("/companies/901/home", {}, { zone: "us01" }, { home: { zone: "uk01" } })
    expect(response.status).toBe(421)
    const detail = "Use https://app.uk01.example."
    expect(await response.json()).toMatchObject({ code: "company.elsewhere", detail })
    expect(sent).toHaveLength(0)
  })

  it("holds a request that names none to the company that its credential is bound to", async ({ expect }) => {
    const bound = { zone: "us01", company: "906" }
    const { response, sent } = await call("/home", {}, bound, { home: { zone: "uk01" } })
    expect(await response.json()).toMatchObject({ code: "company.elsewhere" })
    expect(sent).toHaveLength(0)
    const own = await call("/home", {}, { ...bound, company: "907" }, { home: { zone: "us01" } })
    expect(own.sent).toHaveLength(1)
  })

  it("knows no other company than the one that the credential is bound to", async ({ expect }) => {
    const { response, sent, looked } = await call("/", named("908"), { zone: "us01", company: "909" }, {})
    expect(await response.json()).toMatchObject({ status: 404, code: "company.unknown" })
    expect([sent, looked]).toEqual([[], []])
  })

  it("knows no company but those that its caller is a member of", async ({ expect }) => {
    const claims = { zone: "us01", companies: ["910", "911"] }
    const { response, sent, looked } = await call("/", named("912"), claims)
    expect(await response.json()).toMatchObject({ status: 404, code: "company.unknown" })
    expect([sent, looked]).toEqual([[], []])
    expect((await call("/", named("911"), claims)).sent).toHaveLength(1)
    expect((await call("/home", {}, claims)).sent).toHaveLength(1)
  })

  it("asks a client to come again when a sibling chose the zone before the switch", async ({ expect }) => {
    const { response, sent } = await call("/", named("902"), { zone: "us01", hops: 1 }, { home: { zone: "uk01" } })
    expect(response.status).toBe(503)
    expect(response.headers.get("retry-after")).toBe("1")
    expect(await response.json()).toMatchObject({ code: "company.moving" })
    expect(sent).toHaveLength(0)
  })

  it("sends nothing for a company that is closed", async ({ expect }) => {
    const moving = { mode: "closed", retryAfterS: 9 } as const
    const { response, sent } = await call("/", named("903"), { zone: "us01" }, { home: { zone: "us01", moving } })
    expect(response.headers.get("retry-after")).toBe("9")
    expect(sent).toHaveLength(0)
  })

  for (const [path, headers] of [
    ["/", { "procore-company-id": "901, 901" }],
    ["/", { "procore-company-id": "0901" }],
    ["/", { "procore-company-id": "" }],
    ["/companies/%3901/home", {}],
    ["/companies/0901/home", {}],
    ["/home?company_id=%3901", {}],
    ["/home?company_id=901&company_id=902", {}],
    ["/companies/901/home", { "procore-company-id": "902" }],
  ] as [string, Record<string, string>][])
    it(`lets nobody past by writing the company as ${path} ${JSON.stringify(headers)}`, async ({ expect }) => {
      const home = (id: string) => ({ zone: id === "902" ? "us01" : "uk01" })
      const { response, sent } = await call(path, { headers }, { zone: "us01" }, { homeOf: home })
      expect([400, 421]).toContain(response.status)
      expect(sent).toHaveLength(0)
    })

  it("opens no WebSocket, by which anything could be changed, for a company that is read-only", async ({ expect }) => {
    const moving = { mode: "read-only", retryAfterS: 9 } as const
    const headers = { "procore-company-id": "906", upgrade: "websocket" }
    const { response, sent } = await call("/cable", { headers }, { zone: "us01" }, { home: { zone: "us01", moving } })
    expect(response.status).toBe(503)
    expect(sent).toHaveLength(0)
    const reading = { headers: { "procore-company-id": "906" } }
    expect((await call("/cable", reading, { zone: "us01" }, { home: { zone: "us01", moving } })).sent).toHaveLength(1)
  })

  it("leaves a company that the directory does not know to the cell", async ({ expect }) => {
    expect((await call("/", named("904"), { zone: "us01" }, { home: null })).sent).toHaveLength(1)
  })

  it("says by which config it came and what it is for, to the exit, which takes both off", async ({ expect }) => {
    const { sent } = await call("/", named("905"), { zone: "us01" })
    const ours = [...(sent[0]?.headers.keys() ?? [])].filter((name) => name.includes("sallyport"))
    expect(ours).toEqual(["x-sallyport-audience", "x-sallyport-config"])
  })
})

type Cell = (request: Request) => Response | Promise<Response>

interface Circumstances {
  readonly cell?: Cell
  readonly timeoutMs?: string
  readonly vars?: Record<string, string | undefined>
  /** Of the URL that the request has when it arrives: whoever dispatches a sibling chooses it. */
  readonly origin?: string
  /** Only a request from the network can be a GET with a body: none that is made here. */
  readonly arrivingBody?: ReadableStream | null
  /** What the directory says of any company; null: nothing. Default: that it lives where the request goes. */
  readonly home?: Partial<ZoneOfCompany> | null
  /** The same, for each by its id. */
  readonly homeOf?: (company: string) => Partial<ZoneOfCompany> | null
}

async function call(
  path: string,
  init: RequestInit,
  claims: { zone?: string; host?: string; hops?: number; company?: string; companies?: string[] },
  circumstances: Circumstances = {},
): Promise<{ response: Response; sent: Request[]; asked: string[]; looked: unknown[]; own: string | null }> {
  const { cell = () => new Response("from the cell"), origin, arrivingBody } = circumstances
  const sent: Request[] = []
  const asked: string[] = []
  const looked: unknown[] = []
  vi.stubGlobal("fetch", async (request: Request) => {
    sent.push(request)
    return cell(request)
  })
  const request = await passports.request((origin ?? "https://app.procore.com") + path, "gateway", init, claims)
  if (arrivingBody !== undefined) Object.defineProperty(request, "body", { value: arrivingBody })
  const env = environment(asked, { zone: claims.zone, ...circumstances }, looked)
  const own = request.headers.get("x-passport")
  return { response: await gateway.fetch(request, env, context), sent, asked, looked, own }
}

function environment(
  asked: string[],
  given: Circumstances & { zone?: string | undefined } = {},
  looked: unknown[] = [],
) {
  const platform: Pick<PlatformApi, "keys" | "originsOf" | "zoneOf"> = {
    keys: passports.keys,
    originsOf: async (audience) => {
      asked.push(audience)
      if (audience === "cell:forbidden") throw new Error("platform.not-granted")
      if (audience === "cell:unplaced") throw new Error("platform.audience-unknown")
      return { audience, origins: [`https://${audience.slice(5)}.cell.example`], revision: 1 }
    },
    zoneOf: async (company, atLeast) => {
      looked.push([company, atLeast])
      const home = given.homeOf === undefined ? given.home : given.homeOf(company)
      if (home === null) return null
      const zone = home?.zone ?? given.zone ?? ""
      const place = { zone, audience: `cell:${zone}`, baseUrl: `https://app.${zone}.example` }
      return { ...place, countries: null, moving: null, revision: 1, ...home }
    },
  }
  const vars = { CELL_TIMEOUT_MS: given.timeoutMs ?? "25000", CELL_IDLE_TIMEOUT_MS: "0", DEPRECATIONS: "[]" }
  return { PLATFORM: platform as PlatformApi, ...vars, ...given.vars } as Parameters<typeof gateway.fetch>[1] & object
}

function hanging(request: Request): Promise<Response> {
  return new Promise((_, reject) => {
    request.signal.addEventListener("abort", () => reject(new Error("aborted")))
  })
}

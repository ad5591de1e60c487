import { describe, it } from "vitest"
import type { PlatformApi, ZoneOfCompany } from "../../contracts/platform.ts"
import { makeTestPassports } from "../../kit/sign-test-passport.ts"
import router from "./index.ts"

const passports = await makeTestPassports()
const context = { waitUntil() {} } as unknown as ExecutionContext

describe("router: zones", () => {
  const ways: Record<string, [string, Record<string, string>]> = {
    "the header": ["/rest/v1.0/projects", { "procore-company-id": "562949953421312000" }],
    "the path": ["/rest/v1.0/companies/562949953421312000/projects", {}],
    "the query": ["/rest/v1.0/projects?company_id=562949953421312000", {}],
  }
  for (const [name, [path, headers]] of Object.entries(ways))
    it(`goes to the gateway of the zone of the company in ${name}`, async ({ expect }) => {
      const { response, sent } = await call(path, { headers })
      expect(await response.text()).toBe("from the gateway")
      expect(sent[0]?.headers.get("x-sallyport-sibling")).toBe("gateway")
      expect(sent[0]?.headers.get("x-sallyport-sibling-zone")).toBe("uk01")
      expect(sent[0]?.headers.get("x-passport")).toBeTruthy()
    })

  it("tells two companies apart whose ids are the same number beyond 53 bits", async ({ expect }) => {
    const first = await call("/", { headers: { "procore-company-id": "9007199254740992" } })
    const second = await call("/", { headers: { "procore-company-id": "9007199254740993" } })
    expect(zoneAsked(first)).toBe("us01")
    expect(zoneAsked(second)).toBe("us02")
  })

  for (const path of ["/rest/v1.0/me", "/rest/v1.0/companies"]) {
    it(`sends ${path} without a company to the default zone`, async ({ expect }) => {
      expect(zoneAsked(await call(path))).toBe("us01")
    })

    it(`sends ${path} with a company to that company's zone`, async ({ expect }) => {
      expect(zoneAsked(await call(path, { headers: { "procore-company-id": "562949953421312000" } }))).toBe("uk01")
    })
  }

  it("remembers a company's zone, and asks again for unknown ones", async ({ expect }) => {
    const headers = { "procore-company-id": "777" }
    expect((await call("/", { headers })).asked).toEqual(["777"])
    expect((await call("/", { headers })).asked).toEqual([])
    const unknown = { "procore-company-id": "404" }
    expect((await call("/", { headers: unknown })).asked).toEqual(["404"])
    expect((await call("/", { headers: unknown })).asked).toEqual(["404"])
  })

  it("passes method and body on", async ({ expect }) => {
    const { sent } = await call("/rest/v1.0/companies/1/projects", { method: "POST", body: "body" })
    expect(sent[0]?.method).toBe("POST")
    expect(await sent[0]?.text()).toBe("body")
  })
})

describe("router: refusals", () => {
  for (const path of ["/rest/v1.0/projects", "/rest/v1.0/me/other", "/rest/v1.0/companies/", "/rest/v1.0/companies2"])
    it(`refuses ${path} without a company`, async ({ expect }) => {
      const { response, sent } = await call(path)
      expect(response.status).toBe(400)
      expect(sent).toHaveLength(0)
      expect(await response.json()).toMatchObject({
        code: "company.required",
        message: "Missing Procore-Company-Id header!",
        errors: expect.stringContaining("Procore-Company-Id"),
      })
    })

  it("refuses a malformed header even where none is needed", async ({ expect }) => {
    const { response } = await call("/rest/v1.0/me", { headers: { "procore-company-id": "1, 2" } })
    expect(response.status).toBe(400)
  })

  it("answers 404 for a company that the directory does not know", async ({ expect }) => {
    const { response } = await call("/", { headers: { "procore-company-id": "404" } })
    expect(response.status).toBe(404)
    expect(response.headers.get("content-type")).toBe("application/problem+json")
    expect(await response.json()).toMatchObject({ code: "company.unknown", message: "There is no such company" })
  })

  it("answers 503 when the platform does not answer, without its words", async ({ expect }) => {
    const { response } = await call("/", { headers: { "procore-company-id": "500" } })
    expect(response.status).toBe(503)
    expect(await response.text()).not.toContain("secret")
  })

  it("refuses a request without a passport, or with one for another script", async ({ expect }) => {
    const url = "https://api.procore.com/rest/v1.0/me"
    const foreign = await passports.request(url, "gateway")
    for (const request of [new Request(url), foreign]) {
      const response = await router.fetch(request, platform([], []), context)
      expect(response.status).toBe(401)
      expect(await response.json()).toMatchObject({ code: "platform.passport-required" })
    }
  })
})

describe("router: company_base_url", () => {
  for (const path of [
    "/company_base_url?company_id=562949953421312000",
    "/rest/v1.0/company_base_url?company_id=562949953421312000",
  ])
    it(`answers ${path} itself`, async ({ expect }) => {
      const { response, sent } = await call(path)
      expect(await response.json()).toEqual({ web_base_url: "https://app.uk01.procore.com", zone: "uk01" })
      expect(sent).toHaveLength(0)
    })

  it("takes the company from the header as well", async ({ expect }) => {
    const { response } = await call("/rest/v1.0/company_base_url", { headers: { "procore-company-id": "1" } })
    expect(await response.json()).toMatchObject({ zone: "us01" })
  })

  it("refuses a query without a company in the shape that its clients read", async ({ expect }) => {
    const { response } = await call("/company_base_url")
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { code: "company.required", message: expect.any(String) } })
  })

  it("refuses methods other than GET and HEAD", async ({ expect }) => {
    const { response } = await call("/company_base_url?company_id=1", { method: "POST" })
    expect(response.status).toBe(405)
    expect(response.headers.get("allow")).toBe("GET, HEAD")
  })

  it("leaves its near-misses to the cell", async ({ expect }) => {
    const { sent } = await call("/company_base_urls?company_id=1")
    expect(sent).toHaveLength(1)
  })
})

interface Called {
  readonly response: Response
  readonly sent: readonly Request[]
  readonly asked: readonly string[]
}

async function call(path: string, init: RequestInit = {}): Promise<Called> {
  const sent: Request[] = []
  const asked: string[] = []
  const request = await passports.request(`https://api.procore.com${path}`, "router", init)
  return { response: await router.fetch(request, platform(sent, asked), context), sent, asked }
}

function platform(sent: Request[], asked: string[]) {
  const PLATFORM = {
    keys: passports.keys,
    zoneOf: async (company: string): Promise<ZoneOfCompany | null> => {
      asked.push(company)
      if (company === "404") return null
      if (company === "500") throw new Error("secret reason")
      const zone = { "562949953421312000": "uk01", "9007199254740993": "us02" }[company] ?? "us01"
      return { zone, audience: `cell:${zone}`, baseUrl: `https://app.${zone}.procore.com` }
    },
    fetch: async (request: Request) => {
      sent.push(request)
      return new Response("from the gateway")
    },
  }
  return { PLATFORM: PLATFORM as unknown as PlatformApi & typeof PLATFORM, DEFAULT_ZONE: "us01" }
}

function zoneAsked({ sent }: Called): string | null | undefined {
  return sent[0]?.headers.get("x-sallyport-sibling-zone")
}

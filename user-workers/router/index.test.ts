import { describe, it } from "vitest"
import type { PassportClaims } from "../../contracts/passport.ts"
import type { PlatformApi, ZoneOfCompany } from "../../contracts/platform.ts"
import { makeTestPassports } from "../../kit/sign-test-passport.ts"
import router from "./index.ts"

const passports = await makeTestPassports()
const context = { waitUntil() {} } as unknown as ExecutionContext

const UK = { "procore-company-id": "562949953421312000" }

describe("router: zones", () => {
  it("goes to the gateway of the zone of the company in the header", async ({ expect }) => {
    const { response, sent } = await call("/rest/v1.0/projects", { headers: UK })
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

  for (const path of ["/rest/v1.0/me", "/rest/v1.0/companies"])
    for (const method of ["GET", "HEAD"]) {
      it(`sends ${method} ${path} without a company to the default zone`, async ({ expect }) => {
        expect(zoneAsked(await call(path, { method }))).toBe("us01")
      })

      it(`sends ${method} ${path} with a company to that company's zone`, async ({ expect }) => {
        expect(zoneAsked(await call(path, { method, headers: UK }))).toBe("uk01")
      })
    }

  it("passes method and body on", async ({ expect }) => {
    const init = { method: "POST", body: "body", headers: { "procore-company-id": "1" } }
    const { sent } = await call("/rest/v1.0/companies/1/projects", init)
    expect(sent[0]?.method).toBe("POST")
    expect(await sent[0]?.text()).toBe("body")
  })

  it("hands out the gateway's response itself, a WebSocket's included", async ({ expect }) => {
    const { 0: client } = new WebSocketPair()
    const upgraded = new Response(null, { status: 101, webSocket: client })
    const { response } = await call("/cable", { headers: UK }, { gateway: () => upgraded })
    expect(response).toBe(upgraded)
  })
})

describe("router: what it remembers", () => {
  const ask = (company: string, revision: string | null, answers = Number(revision)) => {
    const headers = {
      "procore-company-id": company,
      ...(revision === null ? {} : { "x-sallyport-config": revision }),
    }
    return call("/", { headers }, { revision: answers })
  }

  it("asks once per company while the config revision stays the same", async ({ expect }) => {
    expect((await ask("777", "5")).asked).toEqual([["777", 5]])
    expect((await ask("777", "5")).asked).toEqual([])
    expect((await ask("777", "4")).asked).toEqual([])
  })

  it("asks again, for the newer revision, as soon as a request is under one", async ({ expect }) => {
    await ask("778", "5")
    expect((await ask("778", "6")).asked).toEqual([["778", 6]])
    expect((await ask("778", "6")).asked).toEqual([])
  })

  it("asks again when the request does not say under which revision it is, and for no older answer than it had", async ({
    expect,
  }) => {
    await ask("779", "5")
    for (const odd of [null, "", "0", "-1", "1e3", "5, 6", "9999999999999999"])
      expect((await ask("779", odd, 5)).asked).toEqual([["779", 5]])
  })

  it("goes by no answer that is older than the request's own config", async ({ expect }) => {
    const { response, sent } = await ask("780", "6", 5)
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({ code: "platform.unavailable" })
    expect(sent).toHaveLength(0)
  })

  it("asks for an unknown company each time", async ({ expect }) => {
    expect((await ask("404", "5")).asked).toEqual([["404", 5]])
    expect((await ask("404", "5")).asked).toEqual([["404", 5]])
  })
})

describe("router: a company that moves", () => {
  const moving = (mode: "read-only" | "closed") => ({ moving: { mode, retryAfterS: 7 } })
  const headers = { "procore-company-id": "1" }

  for (const method of ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
    it(`refuses ${method} with Retry-After while it is closed`, async ({ expect }) => {
      const { response, sent } = await call("/rest/v1.0/projects", { method, headers }, moving("closed"))
      expect(response.status).toBe(503)
      expect(response.headers.get("retry-after")).toBe("7")
      expect(sent).toHaveLength(0)
    })

  for (const [method, goes] of Object.entries({ GET: true, HEAD: true, OPTIONS: true, POST: false, DELETE: false }))
    it(`${goes ? "sends" : "refuses"} ${method} while it is read-only`, async ({ expect }) => {
      const { response, sent } = await call("/rest/v1.0/projects", { method, headers }, moving("read-only"))
      expect(response.status).toBe(goes ? 200 : 503)
      expect(sent).toHaveLength(goes ? 1 : 0)
    })

  it("says so in the members that this API's clients read", async ({ expect }) => {
    const { response } = await call("/rest/v1.0/projects", { method: "POST", headers }, moving("closed"))
    expect(await response.json()).toMatchObject({ code: "company.moving", message: expect.any(String) })
  })
})

describe("router: a zone that accepts some countries only", () => {
  const callFrom = (country: string | null) =>
    call("/rest/v1.0/projects", { headers: { "procore-company-id": "1" } }, { countries: ["US"], country })

  it("gets requests from those", async ({ expect }) => {
    expect((await callFrom("US")).sent).toHaveLength(1)
  })

  for (const country of ["GB", "us", "USA", "", "T1", null])
    it(`gets none from ${country === null ? "a place unknown" : JSON.stringify(country)}`, async ({ expect }) => {
      const { response, sent } = await callFrom(country)
      expect(response.status).toBe(403)
      expect(await response.json()).toMatchObject({ code: "zone.country-refused" })
      expect(sent).toHaveLength(0)
    })
})

describe("router: refusals", () => {
  for (const path of [
    "/rest/v1.0/projects",
    "/rest/v1.0/me/other",
    "/rest/v1.0/me/",
    "/rest/v1.1/me",
    "/rest/v1.0/m%65",
    "/rest/v1.0/companies/",
    "/rest/v1.0/companies2",
    // The header is mandatory where an endpoint has the id in its path or query as well.
    "/rest/v1.0/companies/562949953421312000/projects",
    "/rest/v1.0/projects?company_id=562949953421312000",
  ])
    it(`refuses ${path} without the header`, async ({ expect }) => {
      const { response, sent } = await call(path)
      expect(response.status).toBe(400)
      expect(sent).toHaveLength(0)
      expect(await response.json()).toMatchObject({
        code: "company.required",
        message: "Missing Procore-Company-Id header!",
        errors: expect.stringMatching(
          /^Each call your application makes to the Procore API must contain a request header/,
        ),
      })
    })

  for (const path of ["/rest/v1.0/me", "/rest/v1.0/companies"]) {
    it(`refuses a service account that names no company even on ${path}`, async ({ expect }) => {
      const { response } = await call(path, {}, { claims: { kind: "service" } })
      expect(await response.json()).toMatchObject({ code: "company.required" })
    })

    it(`refuses POST ${path} without the header: only reading belongs to no company`, async ({ expect }) => {
      expect((await call(path, { method: "POST" })).response.status).toBe(400)
    })
  }

  it("sends a service account to the company that it names", async ({ expect }) => {
    expect(zoneAsked(await call("/rest/v1.0/me", { headers: UK }, { claims: { kind: "service" } }))).toBe("uk01")
  })

  it("answers for a company that its caller is no member of as for one that does not exist, without asking", async ({
    expect,
  }) => {
    const { response, asked } = await call("/", { headers: UK }, { claims: { companies: ["1", "2"] } })
    expect(await response.json()).toMatchObject({ code: "company.unknown" })
    expect(asked).toEqual([])
    const member = await call("/", { headers: UK }, { claims: { companies: ["1", "562949953421312000"] } })
    expect(member.response.status).toBe(200)
  })

  it("answers for a company that the credential is not for as for one that does not exist, without asking", async ({
    expect,
  }) => {
    const { response, asked } = await call("/", { headers: UK }, { claims: { company: "1" } })
    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({ code: "company.unknown" })
    expect(asked).toEqual([])
    const own = await call("/", { headers: UK }, { claims: { company: "562949953421312000" } })
    expect(own.response.status).toBe(200)
  })

  for (const path of ["/rest/v1.0/companies/2/projects", "/a?company_id=2", "/a?company_id=1&company_id=2"])
    it(`refuses ${path} with another company in the header`, async ({ expect }) => {
      const { response, sent } = await call(path, { headers: { "procore-company-id": "1" } })
      expect(response.status).toBe(400)
      expect(await response.json()).toMatchObject({ code: "company.ambiguous" })
      expect(sent).toHaveLength(0)
    })

  for (const path of [
    "/rest/v1.0/companies/1/projects?company_id=1",
    "/companies/search",
    "/a?company_id=",
    "/a?xcompany_id=2",
  ])
    it(`sends ${path} with the company in the header on`, async ({ expect }) => {
      expect((await call(path, { headers: { "procore-company-id": "1" } })).sent).toHaveLength(1)
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

  it("answers 503, and not 404, when the zone is not in place", async ({ expect }) => {
    const gateway = () =>
      Response.json(
        { code: "platform.zone-unknown" },
        { status: 404, headers: { "content-type": "application/problem+json" } },
      )
    const { response } = await call("/rest/v1.0/me", {}, { gateway })
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({ code: "zone.unavailable" })
  })

  it("leaves a cell's own 404 to the client", async ({ expect }) => {
    for (const body of ['{"code":"other"}', "null", "not JSON"]) {
      const headers = { "content-type": "application/problem+json" }
      const gateway = () => new Response(body, { status: 404, headers })
      const { response } = await call("/rest/v1.0/me", {}, { gateway })
      expect(response.status).toBe(404)
      expect(await response.text()).toBe(body)
    }
  })

  it("neither believes nor waits for a cell that speaks as the platform", async ({ expect }) => {
    const gateway = () => {
      const endless = new ReadableStream({ start: (to) => to.enqueue(new TextEncoder().encode('{"code":')) })
      const headers = { "content-type": "application/problem+json", "x-sallyport-release": "gateway--v1" }
      return new Response(endless, { status: 404, headers })
    }
    const { response } = await call("/rest/v1.0/me", {}, { gateway })
    expect(response.status).toBe(404)
    await response.body?.cancel()
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
      expect(response.headers.get("cache-control")).toBe("private, no-store")
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

  it("names the trace that a refusal belongs to, as other Workers' refusals do", async ({ expect }) => {
    const traceId = "0af7651916cd43dd8448eb211c80319c"
    const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-00` }
    expect(await (await call("/company_base_url", { headers })).response.json()).toMatchObject({ traceId })
  })

  it("refuses methods other than GET and HEAD", async ({ expect }) => {
    const { response } = await call("/company_base_url?company_id=1", { method: "POST" })
    expect(response.status).toBe(405)
    expect(response.headers.get("allow")).toBe("GET, HEAD")
  })

  it("leaves its near-misses to the cell", async ({ expect }) => {
    const { sent } = await call("/company_base_urls?company_id=1", { headers: { "procore-company-id": "1" } })
    expect(sent).toHaveLength(1)
  })
})

interface Called {
  readonly response: Response
  readonly sent: readonly Request[]
  /** Company and least revision of each question to the directory. */
  readonly asked: readonly (readonly [string, number | undefined])[]
}

interface Circumstances {
  readonly claims?: Partial<PassportClaims>
  readonly country?: string | null
  /** Of the directory's answer. Default 1. */
  readonly revision?: number
  readonly countries?: readonly string[]
  readonly moving?: ZoneOfCompany["moving"]
  readonly gateway?: () => Response
}

async function call(path: string, init: RequestInit = {}, given: Circumstances = {}): Promise<Called> {
  const sent: Request[] = []
  const asked: [string, number | undefined][] = []
  const facts = { ip: "203.0.113.7", country: given.country ?? null, colo: null, asn: null, tls: null, bot: null }
  const claims = { facts, ...given.claims }
  const request = await passports.request(`https://api.procore.com${path}`, "router", init, claims)
  return { response: await router.fetch(request, platform(sent, asked, given), context), sent, asked }
}

function platform(sent: Request[], asked: [string, number | undefined][], given: Circumstances = {}) {
  const PLATFORM = {
    keys: passports.keys,
    zoneOf: async (company: string, atLeast?: number): Promise<ZoneOfCompany | null> => {
      asked.push([company, atLeast])
      if (company === "404") return null
      if (company === "500") throw new Error("secret reason")
      const zone = { "562949953421312000": "uk01", "9007199254740993": "us02" }[company] ?? "us01"
      const { countries = null, moving = null, revision = 1 } = given
      const baseUrl = `https://app.${zone}.procore.com`
      return { zone, audience: `cell:${zone}`, baseUrl, countries, moving, revision }
    },
    fetch: async (request: Request) => {
      sent.push(request)
      return given.gateway?.() ?? new Response("from the gateway")
    },
  }
  return { PLATFORM: PLATFORM as unknown as PlatformApi & typeof PLATFORM, DEFAULT_ZONE: "us01" }
}

function zoneAsked({ sent }: Called): string | null | undefined {
  return sent[0]?.headers.get("x-sallyport-sibling-zone")
}

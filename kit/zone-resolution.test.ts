import type { MiddlewareHandler } from "hono"
import { describe, it } from "vitest"
import type { PassportClaims } from "../contracts/passport.ts"
import type { ZoneOfCompany } from "../contracts/platform.ts"
import { companyDetection } from "./company-detection.ts"
import { type FailureRecord, worker } from "./worker.ts"
import {
  type AskZone,
  checkZone,
  requireCompanyInZone,
  revisionOf,
  ZoneDirectory,
  type ZoneVariables,
  zoneResolution,
} from "./zone-resolution.ts"

const ZONE: ZoneOfCompany = {
  zone: "us01",
  audience: "cell:us01",
  baseUrl: "https://us01.example",
  countries: null,
  moving: null,
  revision: 5,
}

describe("ZoneDirectory", () => {
  it("asks once while the revision stays, and again for a newer one", async ({ expect }) => {
    const { ask, asked } = answering({ revision: 5 }, { revision: 6 })
    const directory = new ZoneDirectory()
    for (const revision of [5, 5, 4, 6, 6, 5]) await directory.zoneOf("1", revision, ask)
    expect(asked).toEqual([5, 6])
  })

  it("never hands out an older answer than one that it has handed out, whatever revision a request is under", async ({
    expect,
  }) => {
    const { ask, asked } = answering({ revision: 6, zone: "us02" }, { revision: 5, zone: "us01" })
    const directory = new ZoneDirectory()
    expect((await directory.zoneOf("1", 5, ask))?.zone).toBe("us02")
    // Without a revision nothing remembered may be used, but it still says what is too old.
    await expect(directory.zoneOf("1", null, ask)).rejects.toMatchObject({ code: "platform.unavailable" })
    expect(asked).toEqual([5, 6])
  })

  it("is not thrown back by an answer that comes late, nor is the request that waited for it", async ({ expect }) => {
    const directory = new ZoneDirectory()
    let answerLate = (_zone: ZoneOfCompany) => {}
    const late = directory.zoneOf("1", 5, () => new Promise((resolve) => (answerLate = resolve)))
    await directory.zoneOf("1", 6, async () => ({ ...ZONE, zone: "us02", revision: 6 }))
    answerLate({ ...ZONE, revision: 5 })
    expect((await late)?.zone).toBe("us02")
    const neverAsked: AskZone = () => Promise.reject(new Error("asked"))
    expect((await directory.zoneOf("1", 6, neverAsked))?.zone).toBe("us02")
  })

  for (const revision of [4, Number.NaN, undefined])
    it(`refuses an answer of revision ${revision} for a request under 5`, async ({ expect }) => {
      const answer = async () => ({ ...ZONE, revision }) as ZoneOfCompany
      const asked = new ZoneDirectory().zoneOf("1", 5, answer)
      await expect(asked).rejects.toMatchObject({ code: "platform.unavailable" })
    })

  it("remembers no company that is unknown", async ({ expect }) => {
    const asked: number[] = []
    const ask: AskZone = async (_company, atLeast) => {
      asked.push(atLeast)
      return null
    }
    const directory = new ZoneDirectory()
    expect(await directory.zoneOf("1", 5, ask)).toBeNull()
    expect(await directory.zoneOf("1", 5, ask)).toBeNull()
    expect(asked).toHaveLength(2)
  })

  it("keeps values and no object of the answer", async ({ expect }) => {
    const countries = ["US"]
    const answer = { ...ZONE, countries, dispose: () => undefined }
    const zone = await new ZoneDirectory().zoneOf("1", 5, async () => answer)
    countries.push("GB")
    expect(zone).toEqual({ ...ZONE, countries: ["US"] })
  })
})

describe("checkZone", () => {
  const code = (zone: Partial<ZoneOfCompany>, method = "GET", country: string | null = "US") => {
    try {
      checkZone({ ...ZONE, ...zone }, method, country)
      return "ok"
    } catch (thrown) {
      return (thrown as { code: string }).code
    }
  }

  it("lets every client into a zone that names no country", ({ expect }) => {
    expect(code({}, "POST", null)).toBe("ok")
  })

  for (const country of ["GB", "us", "U", "USA", "", null])
    it(`lets no client in ${country} into one that names US`, ({ expect }) => {
      expect(code({ countries: ["US"] }, "GET", country)).toBe("zone.country-refused")
    })

  it("lets clients in any of the countries in", ({ expect }) => {
    expect(code({ countries: ["US", "CA"] }, "GET", "CA")).toBe("ok")
  })

  it("says nothing of a move to whom the zone does not accept", ({ expect }) => {
    const moving = { mode: "closed", retryAfterS: 3 } as const
    expect(code({ countries: ["US"], moving }, "GET", "GB")).toBe("zone.country-refused")
  })

  for (const method of ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "get", "PROPFIND"]) {
    const isSafe = ["GET", "HEAD", "OPTIONS"].includes(method)
    it(`${isSafe ? "lets" : "does not let"} ${method} through while a company is read-only, and never while it is closed`, ({
      expect,
    }) => {
      expect(code({ moving: { mode: "read-only", retryAfterS: 3 } }, method)).toBe(isSafe ? "ok" : "company.moving")
      expect(code({ moving: { mode: "closed", retryAfterS: 3 } }, method)).toBe("company.moving")
    })
  }
})

describe("requireCompanyInZone", () => {
  const facts = { ip: null, country: "US", colo: null, asn: null, tls: null, bot: null }
  const problem = (home: Partial<ZoneOfCompany> | null, hops: number) => {
    try {
      requireCompanyInZone(home === null ? null : { ...ZONE, ...home }, "us01", "POST", { hops, facts })
      return "ok"
    } catch (thrown) {
      return thrown
    }
  }

  for (const hops of [0, 1, 8])
    it(`lets a request that was dispatched ${hops} times go to the company's own zone, and to any for an unknown company`, ({
      expect,
    }) => {
      expect(problem({}, hops)).toBe("ok")
      expect(problem(null, hops)).toBe("ok")
    })

  it("tells a client that chose another zone where to go", ({ expect }) => {
    const detail = "Use https://us02.example."
    const home = { zone: "us02", baseUrl: "https://us02.example" }
    expect(problem(home, 0)).toMatchObject({ code: "company.elsewhere", options: { detail } })
  })

  it("asks a client to come again for whom a sibling chose another zone", ({ expect }) => {
    const options = { headers: { "retry-after": "1" } }
    expect(problem({ zone: "us02" }, 1)).toMatchObject({ code: "company.moving", options })
  })

  it("lets nothing into the right zone that may not go there", ({ expect }) => {
    expect(problem({ moving: { mode: "read-only", retryAfterS: 3 } }, 0)).toMatchObject({ code: "company.moving" })
    expect(problem({ countries: ["GB"] }, 0)).toMatchObject({ code: "zone.country-refused" })
  })
})

describe("revisionOf", () => {
  it("reads a whole number", ({ expect }) => {
    expect(revisionOf(new Headers({ "x-sallyport-config": "17" }))).toBe(17)
  })

  for (const text of ["", "0", "017", "-1", "1.5", "1e3", "1, 2", "0x1", "9007199254740993"])
    it(`takes ${JSON.stringify(text)} for nothing`, ({ expect }) => {
      expect(revisionOf(new Headers({ "x-sallyport-config": text }))).toBeNull()
    })
})

describe("zoneResolution", () => {
  it("sets the zone of the company", async ({ expect }) => {
    expect(await (await request("1")).json()).toMatchObject({ zone: "us01" })
  })

  it("sets null without a company, and asks nobody", async ({ expect }) => {
    const response = await request(null, () => Promise.reject(new Error("asked")))
    expect(await response.json()).toBeNull()
  })

  it("refuses a company that the directory does not know", async ({ expect }) => {
    const response = await request("1", async () => null)
    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({ code: "company.unknown" })
  })

  it("hands the Worker's bindings and the request's revision to whoever asks", async ({ expect }) => {
    const seen: unknown[] = []
    await request("1", async (...given) => {
      seen.push(given)
      return ZONE
    })
    expect(seen).toEqual([["1", 5, { NAME: "binding" }]])
  })
})

describe("zoneResolution in the wrong place", () => {
  const detected = companyDetection()
  const passport: MiddlewareHandler = async (c, next) => {
    c.set("passport", { facts: { country: "US" } })
    await next()
  }
  const orders: Record<string, (resolve: MiddlewareHandler) => [chain: MiddlewareHandler[], missing: string]> = {
    "without companyDetection": (resolve) => [[passport, resolve], "companyDetection"],
    "before companyDetection": (resolve) => [[passport, resolve, detected], "companyDetection"],
    "without requirePassport": (resolve) => [[detected, resolve], "requirePassport"],
    "before requirePassport": (resolve) => [[detected, resolve, passport], "requirePassport"],
  }
  for (const [name, orderOf] of Object.entries(orders))
    for (const headers of [{}, { "procore-company-id": "1" }] as Record<string, string>[])
      it(`answers internal ${name} for ${JSON.stringify(headers)}, asks nobody, and tells the log what must stand before it`, async ({
        expect,
      }) => {
        const said: FailureRecord[] = []
        const reached: string[] = []
        const [chain, missing] = orderOf(
          zoneResolution<object>({
            ask: async () => {
              reached.push("directory")
              return ZONE
            },
          }) as MiddlewareHandler,
        )
        const app = worker({ log: (record) => said.push(record) })
        for (const each of chain) app.use(each)
        app.get("/", (c) => {
          reached.push("handler")
          return c.text("ok")
        })
        const response = await app.request("https://api.example.com/", { headers })
        expect([response.status, reached]).toEqual([500, []])
        expect(said[0]?.cause).toMatch(new RegExp(`^TypeError: zoneResolution.*behind.*${missing}`))
      })
})

function answering(...answers: Partial<ZoneOfCompany>[]) {
  const asked: number[] = []
  const ask: AskZone = async (_company, atLeast) => {
    asked.push(atLeast)
    return { ...ZONE, ...answers[asked.length - 1] }
  }
  return { ask, asked }
}

type Ask = (company: string, atLeast: number, bindings: object) => Promise<ZoneOfCompany | null>

async function request(company: string | null, ask: Ask = async () => ZONE): Promise<Response> {
  const app = worker<object, ZoneVariables & { company: string | null; passport: PassportClaims }>()
  app.use(async (c, next) => {
    c.set("company", company)
    c.set("passport", { facts: { country: "US" } } as PassportClaims)
    await next()
  })
  app.use(zoneResolution<object>({ ask }))
  app.get("*", (c) => c.json(c.var.zone))
  return app.request("https://api.example.com/", { headers: { "x-sallyport-config": "5" } }, { NAME: "binding" })
}

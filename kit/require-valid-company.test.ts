import type { MiddlewareHandler } from "hono"
import { describe, it } from "vitest"
import type { PassportClaims } from "../contracts/passport.ts"
import { companyDetection } from "./company-detection.ts"
import { checkCompany, requireValidCompany, type ValidCompanyOptions } from "./require-valid-company.ts"
import { type FailureRecord, worker } from "./worker.ts"

const codeOf = (work: () => void) => {
  try {
    work()
    return "ok"
  } catch (thrown) {
    return (thrown as { code: string }).code
  }
}

describe("checkCompany", () => {
  const user = { kind: "user" } as const
  it.for([
    ["a user and any company", "1", user, false, "ok"],
    ["a user whose credential is for that company", "1", { ...user, company: "1" }, false, "ok"],
    ["a user whose credential is for another", "1", { ...user, company: "2" }, false, "company.unknown"],
    ["a member of several, one of them that company", "2", { ...user, companies: ["1", "2"] }, false, "ok"],
    ["a member of others", "3", { ...user, companies: ["1", "2"] }, false, "company.unknown"],
    ["a member of one whose id begins alike", "1", { ...user, companies: ["12"] }, false, "company.unknown"],
    ["a member of none", "1", { ...user, companies: [] }, false, "company.unknown"],
    [
      "a member whose credential is for another",
      "2",
      { ...user, company: "1", companies: ["1", "2"] },
      false,
      "company.unknown",
    ],
    [
      "a credential for a company whose member it is not",
      "1",
      { ...user, company: "1", companies: ["2"] },
      false,
      "company.unknown",
    ],
    ["a member of others where none is needed", "3", { ...user, companies: ["1"] }, true, "company.unknown"],
    ["a member without a company where none is needed", null, { ...user, companies: ["1"] }, true, "ok"],
    ["the same number written otherwise", "01", { ...user, company: "1" }, false, "company.unknown"],
    [
      "two ids that are one number",
      "9007199254740993",
      { ...user, company: "9007199254740992" },
      false,
      "company.unknown",
    ],
    ["no company", null, user, false, "company.required"],
    ["no company though the credential has one", null, { ...user, company: "1" }, false, "company.required"],
    ["no company where none is needed", null, user, true, "ok"],
    ["another's company where none is needed", "1", { ...user, company: "2" }, true, "company.unknown"],
    ["a service account without a company", null, { kind: "service" }, false, "company.required"],
    ["a service account without a company where none is needed", null, { kind: "service" }, true, "company.required"],
    ["a service account that names one", "1", { kind: "service" }, true, "ok"],
    ["nobody without a company where none is needed", null, { kind: "anonymous" }, true, "ok"],
  ] as const)("says for %s: %s %o %s → %s", ([, company, passport, isExempt, expected], { expect }) => {
    expect(codeOf(() => checkCompany(company, passport, isExempt))).toBe(expected)
  })
})

describe("requireValidCompany", () => {
  it("goes on when all is well", async ({ expect }) => {
    expect(await statusOf("/a", "1")).toBe(200)
  })

  it("knows no exception by default", async ({ expect }) => {
    expect(await statusOf("/me", null)).toBe(400)
  })

  it("excepts what it is told, and nothing beside it", async ({ expect }) => {
    const except = (request: Request) => new URL(request.url).pathname === "/me"
    expect(await statusOf("/me", null, { except })).toBe(200)
    expect(await statusOf("/me/", null, { except })).toBe(400)
  })

  it("asks a directory when there is one, only for companies that the caller may name", async ({ expect }) => {
    const asked: string[] = []
    const isKnown = async (company: string) => {
      asked.push(company)
      return company === "1"
    }
    expect(await statusOf("/a", "1", { isKnown })).toBe(200)
    expect(await statusOf("/a", "2", { isKnown })).toBe(404)
    expect(await statusOf("/a", "3", { isKnown }, { company: "1" })).toBe(404)
    expect(await statusOf("/a", null, { isKnown, except: () => true })).toBe(200)
    expect(asked).toEqual(["1", "2"])
  })
})

describe("requireValidCompany in the wrong place", () => {
  const pass = { kind: "user" } as PassportClaims
  const detected = companyDetection()
  const asked = requireValidCompany({ except: () => true })
  const passport: MiddlewareHandler = async (c, next) => {
    c.set("passport", pass)
    await next()
  }
  const orders: Record<string, [chain: MiddlewareHandler[], missing: string]> = {
    "without companyDetection": [[passport, asked], "companyDetection"],
    "before companyDetection": [[passport, asked, detected], "companyDetection"],
    "without requirePassport": [[detected, asked], "requirePassport"],
    "before requirePassport": [[detected, asked, passport], "requirePassport"],
  }
  for (const [name, [chain, missing]] of Object.entries(orders))
    it(`answers internal ${name}, and tells the log what must stand before it`, async ({ expect }) => {
      const { response, said, isReached } = await through(chain)
      expect([response.status, isReached]).toEqual([500, false])
      expect(await response.json()).toMatchObject({ code: "internal" })
      expect(said[0]?.cause).toMatch(new RegExp(`^TypeError: requireValidCompany.*behind.*${missing}`))
    })

  it("goes on where both stand before it, in either order", async ({ expect }) => {
    for (const chain of [
      [passport, detected, asked],
      [detected, passport, asked],
    ])
      expect((await through(chain)).response.status).toBe(200)
  })

  async function through(chain: readonly MiddlewareHandler[]) {
    const said: FailureRecord[] = []
    let isReached = false
    const app = worker({ log: (record) => said.push(record) })
    for (const each of chain) app.use(each)
    app.get("/", (c) => {
      isReached = true
      return c.text("ok")
    })
    const headers = { "procore-company-id": "1" }
    return { response: await app.request("https://api.example.com/", { headers }), said, isReached }
  }
})

async function statusOf(
  path: string,
  company: string | null,
  options: ValidCompanyOptions<object> = {},
  claims: Partial<PassportClaims> = {},
): Promise<number> {
  const app = worker<object, { company: string | null; passport: PassportClaims }>()
  app.use(async (c, next) => {
    c.set("company", company)
    c.set("passport", { kind: "user", ...claims } as PassportClaims)
    await next()
  })
  app.use(requireValidCompany(options))
  app.all("*", (c) => c.text("ok"))
  return (await app.request(`https://api.example.com${path}`)).status
}

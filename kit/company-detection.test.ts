import { describe, it } from "vitest"
import {
  type CompanyDetectionOptions,
  type CompanyVariables,
  companyDetection,
  companyOf,
  decideCompany,
} from "./company-detection.ts"
import { worker } from "./worker.ts"

describe("companyOf", () => {
  const found: [string | null, string, string, string][] = [
    ["562949953421312", "/rest/v1.0/projects", "", "562949953421312"],
    ["18446744073709551615", "/", "", "18446744073709551615"],
    ["1", "/rest/v1.0/companies/2/projects", "company_id=3", "1"],
    [null, "/rest/v1.0/companies/2/projects", "company_id=3", "2"],
    [null, "/rest/v1.0/companies/0002", "", "0002"],
    [null, "/rest/v1.0/projects", "company_id=3", "3"],
    [null, "/rest/v1.0/projects", "?a=1&company_id=3&b=2", "3"],
    [null, "/rest/v1.0/projects", "company_id=3&company_id=3", "3"],
    [null, "/rest/v1.0/companies/search", "company_id=3", "3"],
    [null, "/companies/2/copies/companies/2", "company_id=3", "2"],
    [null, "/companies/copy/companies/2", "company_id=3", "2"],
    [null, "/companies/companies/2", "", "2"],
    [null, "/companies/2/companies", "", "2"],
    [null, "/companies/2/companies/", "", "2"],
    [null, "/companies/2/companies/search", "", "2"],
  ]
  for (const [header, path, query, expected] of found) {
    it(`finds ${expected} in header ${header}, path ${path}, query ${query}`, ({ expect }) => {
      expect(companyOf(header, path, query)).toBe(expected)
    })
  }

  const none: [string | null, string, string][] = [
    [null, "/", ""],
    [null, "/rest/v1.0/companies", ""],
    [null, "/rest/v1.0/companies/", ""],
    [null, "/rest/v1.0/mycompanies/1", ""],
    [null, "/rest/v1.0/companies/1e3", ""],
    [null, "/rest/v1.0/companies/123456789012345678901", ""],
    [null, "/companies/2/companies/3", ""],
    [null, "/companies/2/companies/3", "company_id=2"],
    [null, "/companies/02/companies/2", ""],
    [null, "/", "my_company_id=3"],
    [null, "/", "company_id="],
    [null, "/", "company_id=-3"],
    [null, "/", "company_id=3.0"],
    [null, "/", "company_id=%33"],
    [null, "/", "company_id=3&company_id=4"],
    [null, "/", "company_id=3&company_id=x"],
    [null, "/", "company_ids=3"],
  ]
  for (const [header, path, query] of none) {
    it(`finds none in path ${path}, query ${query}`, ({ expect }) => {
      expect(companyOf(header, path, query)).toBeNull()
    })
  }

  for (const header of ["", " ", "1, 2", "abc", "0x1", "1.0", "+1", "123456789012345678901", "１"]) {
    it(`does not fall through to the path when the header is "${header}"`, ({ expect }) => {
      expect(companyOf(header, "/rest/v1.0/companies/2", "company_id=3")).toBeNull()
    })
  }

  it("keeps an id beyond 53 bits digit for digit", ({ expect }) => {
    expect(companyOf("9007199254740993", "/", "")).toBe("9007199254740993")
  })
})

describe("companyDetection", () => {
  const set: [string | null, string, CompanyDetectionOptions, string | null][] = [
    ["1", "/a", {}, "1"],
    [null, "/companies/2/a", {}, "2"],
    [null, "/a?company_id=3", {}, "3"],
    [null, "/companies/2/a?company_id=2", {}, "2"],
    [null, "/companies/%32/a", {}, "2"],
    [null, "/a?company%5Fid=3", {}, "3"],
    [null, "/a", {}, null],
    ["1", "/a", { from: "header" }, "1"],
    [null, "/companies/2/a?company_id=2", { from: "header" }, null],
    ["9007199254740993", "/companies/9007199254740993", {}, "9007199254740993"],
  ]
  for (const [header, path, options, company] of set)
    it(`sets ${company} for header ${header} and ${path}, from ${options.from ?? "anywhere"}`, async ({ expect }) => {
      expect(await (await detect(header, path, options)).json()).toEqual({ company })
    })

  for (const header of ["", "x", "1, 2", "1,1", "-1", "1.0", "0x1", "１", "123456789012345678901", "01"])
    it(`refuses the header ${JSON.stringify(header)}, and does not look elsewhere`, async ({ expect }) => {
      const response = await detect(header, "/companies/2/a")
      expect(response.status).toBe(400)
      expect(await response.json()).toMatchObject({ code: "company.required" })
    })

  for (const from of ["header", "anywhere"] as const) {
    for (const path of [
      "/companies/2",
      "/companies/01/a",
      "/a?company_id=2",
      "/a?company_id=1&company_id=2",
      "/a?x=1&company_id=2#company_id=1",
      "/companies/9007199254740992?company_id=1",
      "/companies/%32",
      "/companies%2f2",
      "/%63ompanies/2",
      "/a?company_id=%32",
      "/a?company%5fid=2",
      "/a?company_id=1&%63ompany_id=2",
      "/companies/1/companies/2",
      "/companies/copy/companies/2",
    ])
      it(`refuses ${path} beside another company in the header, from ${from}`, async ({ expect }) => {
        expect(await (await detect("1", path, { from })).json()).toMatchObject({ code: "company.ambiguous" })
      })

    for (const path of [
      "/companies/1",
      "/companies",
      "/companies/search",
      "/companies/%31",
      "/companies/%FF",
      "/a?company_id=x",
      "/a?company_id=%31",
      "/a?company_id=%252",
      "/a?mycompany_id=2",
      "/companies/1/companies/1",
      "/companies/1/companies/search",
      "/companies/copy/2",
    ])
      it(`takes ${path} beside a company in the header, from ${from}`, async ({ expect }) => {
        expect(await (await detect("1", path, { from })).json()).toEqual({ company: "1" })
      })
  }
})

describe("decideCompany", () => {
  for (const [path, query] of [
    ["/companies/2", "?company_id=3"],
    ["/companies/02", ""],
    ["/a", "?company_id=2&company_id=3"],
    ["/a", "?company_id=2&company_id=%33"],
    ["/companies/2", "?a=1;company_id=3"],
    ["/a", "?company_id=2;company_id=3"],
    ["/companies/2", "?[company_id]=3"],
    ["/companies/2", "?company_id%5D=3"],
    ["/companies/2", "?company_id=3-acme"],
    ["/companies/2", "?company_id=+3"],
    ["/companies/3-acme", "?company_id=2"],
    ["/companies/%33/%ff", "?company_id=2"],
    ["/companies/%33/%", "?company_id=2"],
    ["/companies/3;x/a", "?company_id=2"],
    ["/companies/123456789012345678901", ""],
    ["/companies/2", "?a=%&company%5Fid=3"],
    ["/companies/2", "?company_id=2_3"],
    ["/companies/2_3", ""],
    ["/companies/2", "?company_id=2e1"],
    ["/companies/2", "?company_id=2.3E1"],
    ["/companies/20", "?company_id=20e-1"],
    ["/companies/2/companies/3", ""],
    ["/rest/v1.0/companies/2/projects/4/companies/3/a", ""],
    ["/companies/2/companies/2/companies/3", ""],
    ["/companies/2/companies/02", ""],
    ["/companies/2/companies/%33", ""],
    ["/companies/2%2fcompanies%2f3", ""],
    ["/companies/2/%63ompanies/3-acme", ""],
    ["/companies/copy/companies/2", "?company_id=3"],
    ["/companies/companies/2", "?company_id=3"],
    ["/companies//companies/2", "?company_id=3"],
    ["/companies/2/companies/3", "?company_id=2"],
  ] as const)
    it(`refuses ${path}${query}, which can be read as another company`, ({ expect }) => {
      expect(() => decideCompany(null, path, query)).toThrow("company.ambiguous")
    })

  for (const [path, query, company] of [
    ["/companies/2", "?company_id=2;b=1", "2"],
    ["/companies/2-acme", "?company_id=2", "2"],
    ["/companies/%32/%ff", "", "2"],
    ["/companies/2.json", "?company_id=2_", "2"],
    ["/companies/2-3", "?company_id=2etc", "2"],
    ["/a", "?company_id[]=3", null],
    ["/a", "?company_id=x3", null],
    ["/a", "?company_id=-3", null],
    ["/a", "?my[company_id]=3", null],
    ["/a", "?company_ids=3;b=company_id=3", null],
    ["/companies/x3", "?a=%33", null],
    ["/companies/", "?company_id", null],
    ["/companies/2/projects/companies/2", "", "2"],
    ["/companies/2/companies/%32", "?company_id=2", "2"],
    ["/companies/2/companies", "", "2"],
    ["/companies/2/companies/", "", "2"],
    ["/companies/2/companies/search", "", "2"],
    ["/companies/search/companies/2", "", "2"],
    ["/companies/copy/5", "", null],
    ["/companies/2/copy/5", "", "2"],
    ["/companies/2/mycompanies/3", "", "2"],
    ["/companies/2/companies-3/4", "", "2"],
    ["/rest/v1.0/companies", "", null],
    ["/companies/companies/companies", "", null],
  ] as const)
    it(`takes ${path}${query} for ${company}`, ({ expect }) => {
      expect(decideCompany(null, path, query)).toBe(company)
    })
})

async function detect(header: string | null, path: string, options?: CompanyDetectionOptions): Promise<Response> {
  const app = worker<object, CompanyVariables>()
  app.use(companyDetection(options))
  app.all("*", (c) => c.json({ company: c.var.company }))
  // As the runtime hands it over: a name's value may be empty, and hold what the client sent as UTF-8.
  const headers =
    header === null ? {} : { "procore-company-id": String.fromCharCode(...new TextEncoder().encode(header)) }
  return app.request(`https://api.example.com${path}`, { headers })
}

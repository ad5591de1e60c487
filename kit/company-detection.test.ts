import { describe, it } from "vitest"
import { companyOf } from "./company-detection.ts"

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

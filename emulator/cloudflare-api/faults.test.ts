import { describe, expect, it } from "vitest"
import { FaultList, faultResponse, parseRule } from "./faults.ts"

const rule = (fields: Record<string, unknown> = {}) =>
  parseRule({ path: "/scripts/", answer: { status: 500 }, ...fields })

describe("FaultList", () => {
  it("hits the first rule that matches method and path, as often as it says", () => {
    const faults = new FaultList()
    faults.add(rule({ method: "put", path: "/scripts/files$", times: 2 }))
    expect(faults.take("GET", "/x/scripts/files")).toBeNull()
    expect(faults.take("PUT", "/x/scripts/files/tags")).toBeNull()
    expect(faults.take("PUT", "/x/scripts/files")).not.toBeNull()
    expect(faults.take("PUT", "/x/scripts/files")).not.toBeNull()
    expect(faults.take("PUT", "/x/scripts/files")).toBeNull()
  })

  it("forgets all rules when cleared", () => {
    const faults = new FaultList()
    faults.add(rule())
    faults.clear()
    expect(faults.take("GET", "/scripts/")).toBeNull()
  })
})

describe("parseRule", () => {
  it("fills in what a rule leaves out", () => {
    expect(parseRule({ path: "/a", answer: { status: 429, retryAfterS: 2 } })).toEqual({
      method: null,
      path: "/a",
      times: 1,
      delayMs: 0,
      applied: false,
      answer: { kind: "error", status: 429, code: 971, message: "Injected fault", retryAfterS: 2 },
    })
  })

  it.each([
    [null],
    [{}],
    [{ path: "(" }],
    [{ path: "/", times: 0 }],
    [{ path: "/", delayMs: -1 }],
    [{ path: "/", applied: "yes" }],
    [{ path: "/", answer: { status: 200 } }],
    [{ path: "/", answer: { kind: "explode" } }],
  ])("refuses %j", (input) => {
    expect(() => parseRule(input)).toThrow(expect.objectContaining({ kind: "malformed" }))
  })
})

describe("faultResponse", () => {
  it("is an envelope with Retry-After, a proxy's page, or broken JSON", async () => {
    const limited = faultResponse({ kind: "error", status: 429, code: 971, message: "slow down", retryAfterS: 7 })
    expect(limited.headers.get("retry-after")).toBe("7")
    expect(await limited.json()).toMatchObject({ success: false, errors: [{ code: 971 }], result: null })
    expect(faultResponse({ kind: "html", status: 502 }).headers.get("content-type")).toBe("text/html")
    await expect(faultResponse({ kind: "malformed" }).json()).rejects.toThrow(SyntaxError)
    await expect(faultResponse({ kind: "cut" }).text()).rejects.toThrow("Injected fault")
  })
})

import { describe, it } from "vitest"
import { egressRefusal } from "./egress-refusal.ts"

describe("egressRefusal", () => {
  it.for([
    ["auth.revoked", "auth.revoked"],
    ["zone.country-refused", "zone.country-refused"],
    ["platform.not-granted", "platform.not-granted"],
    ["egress.passport-exchange-failed", "platform.unavailable"],
    ["egress.destination-failed", "service.failed"],
    ["egress.passport-misdirected", "service.failed"],
    ["egress.audience-ambiguous", "service.failed"],
    ["constructor", "service.failed"],
    ["", "service.failed"],
  ] as const)("takes %s for %s", ([said, code], { expect }) => {
    const response = new Response(null, { status: 403, headers: { "x-sallyport-egress-problem": said } })
    expect(egressRefusal(response, "service.failed")).toMatchObject({ code, cause: said })
  })

  it("takes an origin's own answer for one, whatever it says", ({ expect }) => {
    const headers = { "content-type": "application/problem+json", "x-sallyport-problem": "auth.revoked" }
    expect(egressRefusal(new Response("{}", { status: 502, headers }), "service.failed")).toBeNull()
  })
})

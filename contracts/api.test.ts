import { describe, expect, it } from "vitest"
import { explainCreate, pinCreate, routePut, routeShape, scriptPut, teamPut } from "./api.ts"
import { kill } from "./dispatch-config.ts"

const route = { hostname: "a.example", path: "/", script: "files", auth: { mode: "none" } }
const switched = (reason: string) => ({ mode: "enforce", reason })
const bodies: Record<string, (reason: string) => boolean> = {
  "a route": (reason) => routePut.safeParse({ ...route, kill: switched(reason) }).success,
  "a script": (reason) => scriptPut.safeParse({ kill: switched(reason) }).success,
  "a team": (reason) => teamPut.safeParse({ grants: [], egress: [], kill: switched(reason) }).success,
}

describe.each(Object.entries(bodies))("the switch of %s", (_what, takes) => {
  it("is not thrown without a reason", () => {
    expect(["", " ", "\n\t"].map(takes)).toEqual([false, false, false])
  })

  it("is thrown with the shortest reason, and the longest", () => {
    expect(["x", " x ", "x".repeat(200), "x".repeat(201)].map(takes)).toEqual([true, true, true, false])
  })
})

it("goes on reading a switch that was thrown without a reason, in a config and in an answer", () => {
  expect(kill.safeParse(switched("")).success).toBe(true)
  expect(routeShape.safeParse({ ...route, id: "r", team: "web", kill: switched("") }).success).toBe(true)
})

it("lifts the switch of a script or a team with null, and leaves it alone without a word", () => {
  expect(scriptPut.parse({ kill: null }).kill).toBeNull()
  expect(teamPut.parse({ grants: [], egress: [] }).kill).toBeUndefined()
})

it("takes with a pin why it is made", () => {
  expect(pinCreate.parse({ version: 1, message: "x" })).toMatchObject({ message: "x" })
})

describe("the facts of an explanation", () => {
  const fault = (facts: object) =>
    explainCreate.safeParse({ url: "https://a.example/", facts }).error?.issues.map(({ path }) => path.join("/"))

  it.each([
    { ip: "nonsense" },
    { ip: "010.1.2.3" },
    { ip: "10.0.0.0/8" },
    { country: "gb" },
    { country: "GBR" },
    { country: "A1" },
    { colo: "" },
    { colo: "lhr" },
    { asn: -1.5 },
    { asn: 0 },
    { asn: 4_294_967_296 },
    { tls: "TLS 1.3" },
    { tls: "1.3" },
    { bot: 0 },
    { bot: 1.5 },
    { bot: 100 },
  ])("are none that the platform never states: %j", (facts) => {
    expect(fault(facts)).toEqual([`facts/${Object.keys(facts)[0]}`])
  })

  it.each([
    { ip: "203.0.113.7", country: "GB", colo: "LHR", asn: 1, tls: "TLSv1.3", bot: 1 },
    { ip: "2001:db8::1", country: "T1", asn: 4_294_967_295, tls: "TLSv1", bot: 99 },
    { tls: "none" },
    {},
  ])("are any that it can: %j", (facts) => {
    expect(fault(facts)).toBeUndefined()
  })
})

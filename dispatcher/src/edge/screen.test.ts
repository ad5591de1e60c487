import { describe, expect, it } from "vitest"
import { type ScreenConfig, screen as screenSchema } from "../../../contracts/dispatch-config.ts"
import type { Finding } from "../../../contracts/trip.ts"
import { asRefusal, type Refusal } from "../../../kit/problem.ts"
import { BRAKE_LIMIT, Brake } from "./brake.ts"
import type { Inbound } from "./read-inbound.ts"
import { compileScreen, screen } from "./screen.ts"

const facts = { ip: "203.0.113.7", country: "GB", colo: "LHR", asn: 64500, tls: "TLSv1.3", bot: null }
const ordinary = { method: "GET", urlBytes: 100, headerBytes: 1000, contentLength: null, facts }
const lenient: ScreenConfig = screenSchema.parse({
  tls: { mode: "enforce" },
  methods: { mode: "enforce", allow: ["GET", "HEAD", "POST"] },
  size: { mode: "enforce" },
  addresses: { mode: "enforce" },
  countries: { mode: "enforce" },
  asns: { mode: "enforce" },
  brake: { mode: "off" },
})

type Change = Partial<Omit<typeof ordinary, "facts" | "contentLength">> & {
  readonly contentLength?: number
  readonly facts?: Partial<Record<keyof typeof facts, string | number | null>>
}

/** What became of a request: the refusal, if any, and all that was noted. */
function run(change: Change, config: Partial<ScreenConfig> = {}, brake = new Brake(undefined, { now: () => 0 })) {
  const inbound = { ...ordinary, ...change, facts: { ...facts, ...change.facts } } as unknown as Inbound
  const findings: Finding[] = []
  let refusal: Refusal | null = null
  try {
    screen(
      inbound,
      compileScreen({ ...lenient, ...config }),
      brake,
      (finding) => findings.push(finding),
      () => undefined,
    )
  } catch (thrown) {
    refusal = asRefusal(thrown)
  }
  return { code: refusal?.code ?? null, headers: refusal?.options.headers, findings }
}

it("lets an ordinary request pass without a finding", () => {
  expect(run({})).toEqual({ code: null, headers: undefined, findings: [] })
})

const size = { mode: "enforce", urlBytes: 300, headerBytes: 2000, bodyBytes: 500 } as const
const denying = (...deny: string[]) => ({ addresses: { mode: "enforce" as const, deny } })
const cases: readonly [string, Change, Partial<ScreenConfig>, string][] = [
  ["TLS 1.1", { facts: { tls: "TLSv1.1" } }, {}, "edge.tls-too-old"],
  ["SSL 3", { facts: { tls: "SSLv3" } }, {}, "edge.tls-too-old"],
  ["a connection without TLS", { facts: { tls: "none" } }, {}, "edge.tls-too-old"],
  ["an unknown TLS version", { facts: { tls: null } }, {}, "edge.tls-too-old"],
  ["a method not listed", { method: "DELETE" }, {}, "edge.method-not-allowed"],
  ["a listed method in lower case", { method: "get" }, {}, "edge.method-not-allowed"],
  ["a URL one byte too long", { urlBytes: 301 }, { size }, "edge.url-too-long"],
  ["headers one byte too large", { headerBytes: 2001 }, { size }, "edge.headers-too-large"],
  ["a body one byte too large", { contentLength: 501 }, { size }, "edge.body-too-large"],
  ["a denied address", {}, denying("203.0.113.7"), "edge.address-denied"],
  ["an address in a denied range", {}, denying("203.0.113.0/24"), "edge.address-denied"],
  ["a denied country", {}, { countries: { mode: "enforce", deny: ["FR", "GB"] } }, "edge.country-denied"],
  ["a denied network", {}, { asns: { mode: "enforce", deny: [64500] } }, "edge.address-denied"],
]

describe.each(cases)("%s", (_what, change, config, code) => {
  it("is refused in enforce mode, and noted", () => {
    expect(run(change, config)).toMatchObject({ code, findings: [{ code, mode: "enforce" }] })
  })

  it("passes in log mode with a finding, unless no Worker should ever see it", () => {
    const logged = Object.entries({ ...lenient, ...config }).map(([name, rules]) => [name, { ...rules, mode: "log" }])
    const outcome = run(change, { ...Object.fromEntries(logged), brake: { mode: "off" } })
    const mode = change.method === "get" ? "enforce" : "log"
    expect(outcome).toMatchObject({ code: mode === "log" ? null : code, findings: [{ code, mode }] })
  })
})

const nearMisses: readonly [string, Change, Partial<ScreenConfig>][] = [
  ["TLS 1.2", { facts: { tls: "TLSv1.2" } }, {}],
  [
    "an unknown TLS version where that is allowed",
    { facts: { tls: null } },
    { tls: { mode: "enforce", minimum: "TLSv1.2", whenUnknown: "allow" } },
  ],
  ["sizes exactly at their bounds", { urlBytes: 300, headerBytes: 2000, contentLength: 500 }, { size }],
  ["a chunked body", { method: "POST" }, { size }],
  ["the address after a denied range", { facts: { ip: "203.0.114.0" } }, denying("203.0.113.0/24")],
  ["the address before a denied range", { facts: { ip: "203.0.112.255" } }, denying("203.0.113.0/24")],
  ["an unknown country", { facts: { country: null } }, { countries: { mode: "enforce", deny: ["GB"] } }],
  ["an unknown network", { facts: { asn: null } }, { asns: { mode: "enforce", deny: [64500] } }],
  ["an unknown address while none is denied", { facts: { ip: null } }, {}],
]
it.each(nearMisses)("lets %s pass without a finding", (_what, change, config) => {
  expect(run(change, config)).toMatchObject({ code: null, findings: [] })
})

it("refuses TLS 1.2 where 1.3 is the minimum", () => {
  const tls = { mode: "enforce", minimum: "TLSv1.3", whenUnknown: "refuse" } as const
  expect(run({ facts: { tls: "TLSv1.2" } }, { tls }).code).toBe("edge.tls-too-old")
  expect(run({ facts: { tls: "TLSv1.3" } }, { tls }).code).toBeNull()
})

it("says in Allow which methods are accepted", () => {
  expect(run({ method: "PUT" }).headers).toEqual({ allow: "GET, HEAD, POST" })
})

it.each(["TRACE", "CONNECT", "TRACK", "FOO", "get", ""])(
  "refuses %j in log mode too, and though it is listed",
  (method) => {
    const listed = /^(TRACE|CONNECT|TRACK)$/.test(method) ? [method] : []
    const methods: ScreenConfig["methods"] = { mode: "log", allow: ["GET", ...listed] }
    expect(run({ method }, { methods }).code).toBe("edge.method-not-allowed")
  },
)

it("accepts a method beyond the ordinary ones once it is listed", () => {
  expect(run({ method: "PROPFIND" }, { methods: { mode: "log", allow: ["GET", "PROPFIND"] } })).toMatchObject({
    code: null,
    findings: [],
  })
})

it("notes every check that objects in log mode, in the order of the checks", () => {
  const config: Partial<ScreenConfig> = {
    tls: { ...lenient.tls, mode: "log" },
    size: { ...size, mode: "log" },
    countries: { mode: "log", deny: ["GB"] },
  }
  const { code, findings } = run({ urlBytes: 400, contentLength: 1000, facts: { tls: "TLSv1.1" } }, config)
  expect(code).toBeNull()
  expect(findings.map((finding) => finding.code)).toEqual([
    "edge.tls-too-old",
    "edge.url-too-long",
    "edge.body-too-large",
    "edge.country-denied",
  ])
})

describe("the brake", () => {
  const enforce = { brake: { mode: "enforce" } } as const

  it("refuses with Retry-After once the address has had its share", () => {
    const brake = new Brake({ limit: async () => ({ success: true }) }, { now: () => 3000 })
    for (let count = 0; count < BRAKE_LIMIT; count++) expect(run({}, enforce, brake).code).toBeNull()
    expect(run({}, enforce, brake)).toMatchObject({ code: "edge.too-many-requests", headers: { "retry-after": "7" } })
    expect(run({ facts: { ip: "203.0.113.8" } }, enforce, brake).code).toBeNull()
  })

  it("only notes in log mode, and does not count when off", () => {
    const brake = new Brake({ limit: async () => ({ success: true }) }, { now: () => 0 })
    for (let count = 0; count < BRAKE_LIMIT; count++) run({}, enforce, brake)
    expect(run({}, { brake: { mode: "log" } }, brake)).toMatchObject({
      code: null,
      findings: [{ code: "edge.too-many-requests", mode: "log" }],
    })
    expect(run({}, { brake: { mode: "off" } }, brake).findings).toEqual([])
  })

  it("lets requests pass with a finding when there is no binding", () => {
    expect(run({}, enforce)).toMatchObject({ code: null, findings: [{ code: "edge.brake-unavailable", mode: "log" }] })
  })

  it("does not count what another check refused", () => {
    let counted = 0
    const brake = new Brake(undefined, { now: () => counted++ })
    run({ method: "TRACE" }, enforce, brake)
    expect(counted).toBe(0)
  })
})

it("never compiles a range that is none, which no published config can hold", () => {
  const bad = { ...lenient, ...denying("10.0.0.1/8") }
  expect(() => compileScreen(bad)).toThrow("not an address range")
  expect(screenSchema.safeParse(bad).success).toBe(false)
  expect(screenSchema.safeParse({ ...bad, ...denying("10.0.0.0/8", "2001:db8::/32") }).success).toBe(true)
})

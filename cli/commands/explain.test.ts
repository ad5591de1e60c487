import { describe, expect, it } from "vitest"
import { explanationShape } from "../../contracts/api.ts"
import { useBench } from "../testing/command-line.ts"
import { thing } from "../testing/control-plane-double.ts"

const bench = useBench()

describe("explain", () => {
  const explanation = (outcome: object) => ({
    configRevision: 7,
    steps: [
      { stage: "inbound", says: "GET /me on bench.api.procore.com is canonical.", facts: {} },
      { stage: "route", says: "Route api-all (/*) is the longest match.", facts: { considered: 2 } },
    ],
    outcome,
  })
  const answers = (outcome: object) =>
    bench.api.on("POST /v1/explain", () => thing(explanationShape, explanation(outcome) as never))

  it("prints each stage with its reason, and the outcome", async () => {
    answers({ kind: "dispatch", placedName: "router--v3", audience: "script:router" })
    const { code, out } = await bench.run(["explain", "https://bench.api.procore.com/me"])
    expect(code).toBe(0)
    expect(out).toBe(`inbound       GET /me on bench.api.procore.com is canonical.
route         Route api-all (/*) is the longest match.
→ router--v3, with a passport for script:router  (config revision 7)
`)
  })

  it("sends method, headers and facts", async () => {
    answers({ kind: "gateway", what: "key set" })
    const line = ["explain", "https://a.example/", "-X", "post", "-H", "Accept: a", "-H", "accept: b"]
    await bench.run([...line, "--country", "gb", "--colo", "lhr", "--asn", "64500"])
    expect(bench.api.received[0]?.body).toEqual({
      url: "https://a.example/",
      method: "POST",
      headers: { accept: "a, b" },
      facts: { country: "GB", colo: "LHR", asn: 64_500 },
    })
  })

  it("exits with 2 on a refusal only when asked to", async () => {
    answers({ kind: "problem", code: "auth.credential-required", status: 401 })
    const plain = await bench.run(["explain", "https://a.example/"])
    expect(plain).toMatchObject({ code: 0, out: expect.stringContaining("→ 401 auth.credential-required") })
    expect((await bench.run(["explain", "https://a.example/", "--non-zero-exit-code"])).code).toBe(2)
  })

  it.each([
    [["not a url"]],
    [["https://a.example/", "-H", "nocolon"]],
    ...[
      ["--asn", "x"],
      ["--asn", "-1.5"],
      ["--bot", "1000"],
      ["--ip", "nonsense"],
      ["--country", "Britain"],
      ["--colo", ""],
      ["--tls", "1.3"],
    ].map((fact) => [["https://a.example/", ...fact]]),
  ])("refuses %j without asking", async (line) => {
    const { code } = await bench.run(["explain", ...line])
    expect(code).toBe(1)
    expect(bench.api.received).toEqual([])
  })
})

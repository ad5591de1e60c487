import { describe, expect, it } from "vitest"
import { auditShape } from "../contracts/api.ts"
import { hashOf } from "./audit-chain.ts"
import { AT, useBench } from "./testing/command-line.ts"
import { page } from "./testing/control-plane-double.ts"

const bench = useBench()

describe("audit verify", () => {
  function chain(length: number) {
    const records = []
    let previousHash = "0".repeat(64)
    for (let seq = 1; seq <= length; seq++) {
      const detail = { b: 1, a: { "10": 1, "9": "ü" } }
      const record = { seq, at: AT, actor: "system", action: "x.y", target: "t", detail, previousHash }
      previousHash = hashOf(record)
      records.push({ ...record, hash: previousHash })
    }
    return records
  }
  const serve = (records: ReturnType<typeof chain>) =>
    bench.api.on("GET /v1/audit", page(auditShape, records.toReversed()))

  it("accepts a whole chain and shows its head", async () => {
    const records = chain(3)
    serve(records)
    const { code, out } = await bench.run(["audit", "verify"])
    expect(code).toBe(0)
    expect(out).toContain(`3=${records[2]?.hash}`)
  })

  it.each([
    ["changed", (all: ReturnType<typeof chain>) => all.map((r) => (r.seq === 2 ? { ...r, actor: "token:x" } : r)), 2],
    ["missing in the middle", (all: ReturnType<typeof chain>) => all.filter((r) => r.seq !== 2), 2],
    ["missing at the start", (all: ReturnType<typeof chain>) => all.slice(1), 1],
  ])("finds a record that is %s", async (_what, tamper, seq) => {
    serve(tamper(chain(3)))
    const { code, out } = await bench.run(["audit", "verify"])
    expect(code).toBe(2)
    expect(out).toContain(`broken at record ${seq}`)
  })

  it("finds an end that was cut off, when told a head noted before", async () => {
    const records = chain(3)
    serve(records.slice(0, 2))
    expect((await bench.run(["audit", "verify"])).code).toBe(0)
    expect((await bench.run(["audit", "verify", "--known", `3=${records[2]?.hash}`])).code).toBe(2)
  })

  it("finds a chain that was rewritten whole", async () => {
    serve(chain(3))
    expect((await bench.run(["audit", "verify", "--known", `2=${"a".repeat(64)}`])).code).toBe(2)
  })
})

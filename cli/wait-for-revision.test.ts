import { describe, expect, it } from "vitest"
import { deploymentShape } from "../contracts/api.ts"
import { AT, TOKEN, useBench } from "./testing/command-line.ts"
import { thing } from "./testing/control-plane-double.ts"

const bench = useBench()

const deployment = {
  id: "d-2",
  script: "files",
  releases: [
    { version: 12, weightBps: 9000 },
    { version: 13, weightBps: 1000 },
  ],
  phase: "published" as const,
  message: null,
  createdBy: "token:t-1",
  createdAt: AT,
  configRevision: 7,
}

describe("--wait", () => {
  const edgeSays = (...revisions: (number | null)[]) =>
    bench.api.on("GET /.sallyport/health/ready", () => {
      const revision = revisions.length > 1 ? revisions.shift() : revisions[0]
      const headers = revision == null ? {} : { "x-sallyport-config": String(revision) }
      return { status: 200, headers, body: {} }
    })

  it("ends when the edge enforces the revision", async () => {
    bench.api.on("POST /v1/scripts/files/deployments", thing(deploymentShape, deployment))
    edgeSays(6, 7, 6, 7, 7, 7)
    const { code, out } = await bench.run(["deployments", "create", "files", "12=90", "13=10", "--wait"])
    expect(code).toBe(0)
    expect(out).toContain("files: v12 90 %, v13 10 %  (deployment d-2, published, in config revision 7)")
    expect(out).toContain("in force at the edge after 100 ms")
  })

  it("reads the revision from the readiness document too", async () => {
    bench.api.on("POST /v1/scripts/files/rollback", thing(deploymentShape, deployment))
    const body = { status: "ok", config: { revision: 7 } }
    bench.api.on("GET /.sallyport/health/ready", { status: 200, headers: {}, body })
    expect((await bench.run(["rollback", "files", "--wait"])).code).toBe(0)
  })

  it("counts a later revision", async () => {
    bench.api.on("POST /v1/scripts/files/rollback", thing(deploymentShape, deployment))
    edgeSays(8)
    expect((await bench.run(["rollback", "files", "--wait"])).code).toBe(0)
  })

  it("gives up in time, says what it saw and exits with 2", async () => {
    bench.api.on("POST /v1/scripts/files/rollback", thing(deploymentShape, deployment))
    edgeSays(6)
    const { code, out } = await bench.run(["rollback", "files", "--wait", "--timeout", "2"])
    expect(code).toBe(2)
    expect(out).toContain("not seen at the edge after 2000 ms; it answers with revision 6")
  })

  it("does not take an answer without a revision for yes", async () => {
    bench.api.on("POST /v1/scripts/files/rollback", thing(deploymentShape, deployment))
    edgeSays(null)
    expect((await bench.run(["rollback", "files", "--wait", "--timeout", "1", "--json"])).code).toBe(2)
  })

  it("follows a deployment until it is published", async () => {
    const recorded = { ...deployment, phase: "recorded" as const, configRevision: null }
    bench.api.on("POST /v1/scripts/files/rollback", thing(deploymentShape, recorded))
    let asked = 0
    bench.api.on("GET /v1/scripts/files/deployments/d-2", () =>
      thing(deploymentShape, ++asked < 3 ? recorded : deployment),
    )
    edgeSays(7)
    expect((await bench.run(["rollback", "files", "--wait"])).code).toBe(0)
    expect(asked).toBe(3)
  })

  it("fails when the deployment does", async () => {
    bench.api.on(
      "POST /v1/scripts/files/rollback",
      thing(deploymentShape, { ...deployment, phase: "failed", configRevision: null }),
    )
    const { code, err } = await bench.run(["rollback", "files", "--wait"])
    expect(code).toBe(1)
    expect(err).toContain("Traffic stays on the releases that it had")
  })

  it("is refused before anything changes when nobody knows the edge", async () => {
    const env = { SALLYPORT_API_URL: bench.api.url, SALLYPORT_TOKEN: TOKEN }
    const { code, err } = await bench.run(["rollback", "files", "--wait"], { env })
    expect(code).toBe(1)
    expect(err).toContain("--edge")
    expect(bench.api.received).toEqual([])
  })
})

describe("rollback --to", () => {
  it.each([
    [["--to", "12"], { version: 12 }],
    [["--to", "v12"], { version: 12 }],
    [["--to", "d-1"], { deployment: "d-1" }],
    [[], {}],
  ])("with %j sends %j", async (options, body) => {
    bench.api.on("POST /v1/scripts/files/rollback", thing(deploymentShape, deployment))
    await bench.run(["rollback", "files", ...options])
    expect(bench.api.received[0]?.body).toEqual(body)
  })
})

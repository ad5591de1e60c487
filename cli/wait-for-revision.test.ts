import { describe, expect, it } from "vitest"
import { deploymentShape } from "../contracts/api.ts"
import { AT, TOKEN, useBench } from "./testing/command-line.ts"
import { controlPlaneDouble, problem, thing } from "./testing/control-plane-double.ts"

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

/** The connection ends in the middle of the answer's head. */
const CUT_OFF = { status: 200, headers: { "content-length": "x" }, body: {} }

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

  /** Origin of an edge where nothing listens any more. */
  async function goneEdge(): Promise<string> {
    const edge = await controlPlaneDouble()
    await edge[Symbol.asyncDispose]()
    return edge.url
  }

  it("says what is deployed, why it was not seen, and exits with 2, when the edge does not answer", async () => {
    bench.api.on("POST /v1/scripts/files/rollback", thing(deploymentShape, deployment))
    const line = ["rollback", "files", "--wait", "--timeout", "1", "--edge", await goneEdge()]
    const { code, out, err } = await bench.run(line)
    expect([code, err]).toEqual([2, ""])
    expect(out).toContain("deployment d-2, published, in config revision 7")
    expect(out).toMatch(/not seen at the edge after 1000 ms: http:\S+ does not answer \(.*ECONNREFUSED/)
    const json = await bench.run([...line, "--json"])
    expect(json.code).toBe(2)
    expect(JSON.parse(json.out)).toMatchObject({
      id: "d-2",
      waited: { inForce: false, seen: null, fault: expect.stringContaining("does not answer") },
    })
  })

  it("goes on after an answer that failed, which confirms nothing", async () => {
    bench.api.on("POST /v1/scripts/files/rollback", thing(deploymentShape, deployment))
    let asked = 0
    const answer = { status: 200, headers: { "x-sallyport-config": "7" }, body: {} }
    bench.api.on("GET /.sallyport/health/ready", () => (++asked % 2 === 0 || asked > 5 ? answer : CUT_OFF))
    const { code, out } = await bench.run(["rollback", "files", "--wait", "--json"])
    expect([code, asked]).toEqual([0, 8])
    expect(JSON.parse(out).waited).toMatchObject({ inForce: true, fault: null })
  })

  it("says what was recorded and exits with 2 when the control plane can no longer be asked whether it is published", async () => {
    const recorded = { ...deployment, phase: "recorded" as const, configRevision: null }
    bench.api.on("POST /v1/scripts/files/rollback", thing(deploymentShape, recorded))
    bench.api.on("GET /v1/scripts/files/deployments/d-2", problem("internal"))
    const { code, out, err } = await bench.run(["rollback", "files", "--wait", "--timeout", "1"])
    expect([code, err]).toEqual([2, ""])
    expect(out).toContain("deployment d-2, recorded, not yet in a config revision")
    expect(out).toContain("not known to be published within the time given: Something went wrong in the gateway")
  })

  it.each(["nonsense", "http://edge.example.com", "https://edge.example.com/path", "ftp://edge.example.com"])(
    "refuses %s as an edge before anything changes",
    async (edge) => {
      for (const line of [
        ["rollback", "files"],
        ["deployments", "create", "files", "12"],
      ]) {
        const { code, err } = await bench.run([...line, "--wait", "--edge", edge])
        expect([code, err]).toEqual([1, expect.stringMatching(/edge.*: nonsense|edge\.example\.com/)])
      }
      expect(bench.api.received).toEqual([])
    },
  )

  it("takes an edge with a slash behind it for the same", async () => {
    bench.api.on("POST /v1/scripts/files/rollback", thing(deploymentShape, deployment))
    edgeSays(7)
    expect((await bench.run(["rollback", "files", "--wait", "--edge", `${bench.api.url}/`])).code).toBe(0)
    expect(bench.api.received.at(-1)?.line).toBe("GET /.sallyport/health/ready")
  })

  it("is told that what is recorded is not in force, which is not the same as not done", async () => {
    bench.api.on("POST /v1/scripts/files/rollback", problem("config.not-published"))
    const { code, err } = await bench.run(["rollback", "files"])
    expect([code, err]).toEqual([2, expect.stringContaining("recorded but not yet in force")])
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

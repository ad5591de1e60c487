import { describe, expect, it } from "vitest"
import { AT, useBench } from "./testing/command-line.ts"
import { controlPlaneDouble, problem } from "./testing/control-plane-double.ts"

const bench = useBench()

const team = { name: "web", grants: ["zones:read" as const], egress: [], createdAt: AT }

describe("what went wrong", () => {
  it("is told with place, reason, remedy and request id", async () => {
    bench.api.on(
      "POST /v1/scripts/files/deployments",
      problem("api.body-invalid", {
        detail: "version 13 does not exist",
        errors: [{ pointer: "/releases/1/version", detail: "no such version: 13" }],
      }),
    )
    const { code, err } = await bench.run(["deployments", "create", "files", "12=90", "13=10"])
    expect(code).toBe(1)
    expect(err).toBe(`error: The body is not as it must be (api.body-invalid)
  at          POST ${bench.api.url}/v1/scripts/files/deployments
  why         version 13 does not exist
  /releases/1/version: no such version: 13
  do          See \`errors\` for what is wrong and where.
  request id  req-1
`)
  })

  it("is one line of JSON with --json", async () => {
    bench.api.on("GET /v1/teams/web", problem("api.forbidden"))
    const { err } = await bench.run(["teams", "get", "web", "--json"])
    expect(JSON.parse(err)).toMatchObject({ code: "api.forbidden", requestId: "req-1" })
  })

  it("teaches when nothing listens", async () => {
    const { url } = bench.api
    await bench.api[Symbol.asyncDispose]()
    const { code, err } = await bench.run(["teams", "list"])
    expect(code).toBe(1)
    expect(err).toContain(`${url} does not answer`)
    expect(err).toContain("ECONNREFUSED")
    expect(err).toContain("npm start")
    bench.api = await controlPlaneDouble()
  })

  it("is told when something else answers on that address", async () => {
    bench.api.on("GET /v1/teams", { status: 502, headers: {}, body: "<html>" })
    expect((await bench.run(["teams", "list"])).err).toContain("something else may answer there")
  })

  it("is told when the answer has drifted from the contract", async () => {
    bench.api.on("GET /v1/teams/web", { status: 200, headers: {}, body: { ...team, grants: "all" } })
    const { code, err } = await bench.run(["teams", "get", "web"])
    expect(code).toBe(1)
    expect(err).toContain("/grants:")
  })

  it("cannot steer the terminal", async () => {
    bench.api.on("GET /v1/teams/web", problem("api.forbidden", { detail: "\u001b]0;owned\u0007\u202etxt" }))
    const { err } = await bench.run(["teams", "get", "web"])
    expect(err).toContain("�]0;owned��txt")
  })

  it("is a usage error with a pointer to the example", async () => {
    const { code, err } = await bench.run(["deployments", "create"])
    expect(code).toBe(1)
    expect(err).toContain("missing required argument")
    expect(err).toContain("--help")
  })
})

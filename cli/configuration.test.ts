import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { whoamiShape } from "../contracts/api.ts"
import { TOKEN, useBench } from "./testing/command-line.ts"
import { controlPlaneDouble, problem, thing } from "./testing/control-plane-double.ts"

const bench = useBench()

describe("login", () => {
  const config = () => join(bench.folder, "nested", "config.json")

  it("stores URL and token for the owner alone once the token is accepted", async () => {
    bench.api.on("GET /v1/whoami", thing(whoamiShape, { tokenId: "t-1", role: "team", team: "web" }))
    const { code, out } = await bench.run(["login", bench.api.url], {
      env: { SALLYPORT_CONFIG: config() },
      stdin: `${TOKEN}\n`,
    })
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining("as web (token t-1)") })
    expect(out).not.toContain(TOKEN)
    expect(statSync(config()).mode & 0o777).toBe(0o600)
    expect(JSON.parse(readFileSync(config(), "utf8"))).toEqual({ url: bench.api.url, token: TOKEN })
  })

  it("stores nothing when the token is refused", async () => {
    bench.api.on("GET /v1/whoami", problem("api.unauthenticated"))
    const { code, err } = await bench.run(["login", bench.api.url], {
      env: { SALLYPORT_CONFIG: config() },
      stdin: TOKEN,
    })
    expect(code).toBe(1)
    expect(err).toContain("A valid API token is required (api.unauthenticated)")
    expect(() => statSync(config())).toThrow()
  })

  it("tightens a file that was there with other rights", async () => {
    const path = join(bench.folder, "config.json")
    writeFileSync(path, "{}", { mode: 0o644 })
    bench.api.on("GET /v1/whoami", thing(whoamiShape, { tokenId: "t-1", role: "ops", team: null }))
    await bench.run(["login", bench.api.url], { env: { SALLYPORT_CONFIG: path }, stdin: TOKEN })
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it("refuses to send a token over plain http to another machine", async () => {
    const { code, err } = await bench.run(["login", "http://control.example.com"], { env: {}, stdin: TOKEN })
    expect(code).toBe(1)
    expect(err).toContain("Use https")
  })
})

describe("the stored token", () => {
  const stored = (mode = 0o600) => {
    const path = join(bench.folder, "config.json")
    writeFileSync(path, JSON.stringify({ url: bench.api.url, token: TOKEN }), { mode })
    chmodSync(path, mode)
    return { SALLYPORT_CONFIG: path }
  }

  it("is used for the control plane it was stored for", async () => {
    bench.api.on("GET /v1/whoami", thing(whoamiShape, { tokenId: "t-1", role: "ops", team: null }))
    expect((await bench.run(["whoami"], { env: stored() })).code).toBe(0)
    expect(bench.api.received[0]?.headers.authorization).toBe(`Bearer ${TOKEN}`)
  })

  it("is not sent to another", async () => {
    await using other = await controlPlaneDouble()
    const { code, err } = await bench.run(["whoami"], { env: { ...stored(), SALLYPORT_API_URL: other.url } })
    expect(code).toBe(1)
    expect(err).toContain("sent only to the control plane that it was stored for")
    expect(other.received).toEqual([])
  })

  it("is refused when others can read it", async () => {
    const { code, err } = await bench.run(["whoami"], { env: stored(0o640) })
    expect(code).toBe(1)
    expect(err).toContain("chmod 600")
  })

  it("does not follow a redirect", async () => {
    await using other = await controlPlaneDouble()
    bench.api.on("GET /v1/whoami", { status: 307, headers: { location: `${other.url}/v1/whoami` }, body: {} })
    expect((await bench.run(["whoami"])).code).toBe(1)
    expect(other.received).toEqual([])
  })
})

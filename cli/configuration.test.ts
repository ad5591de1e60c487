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

  const file = () => JSON.parse(readFileSync(config(), "utf8"))
  const accepted = () => bench.api.on("GET /v1/whoami", thing(whoamiShape, { tokenId: "t-1", role: "ops", team: null }))
  const login = (stdin: string, env: Record<string, string> = {}, ...line: string[]) =>
    bench.run(["login", bench.api.url, ...line], { env: { SALLYPORT_CONFIG: config(), ...env }, stdin })

  it("keeps the edge that was stored for the same control plane, and no other's", async () => {
    accepted()
    await login(TOKEN, {}, "--edge", "https://edge.example.com")
    const again = `spt_${"y".repeat(43)}`
    expect((await login(again)).code).toBe(0)
    expect(file()).toEqual({ url: bench.api.url, token: again, edgeUrl: "https://edge.example.com" })
    writeFileSync(config(), JSON.stringify({ ...file(), url: "https://other.example.com" }))
    await login(TOKEN)
    expect(file()).toEqual({ url: bench.api.url, token: TOKEN })
  })

  it("begins anew where the file is none of its own", async () => {
    accepted()
    await login(TOKEN)
    writeFileSync(config(), "not JSON")
    expect((await login(TOKEN)).code).toBe(0)
    expect(file()).toEqual({ url: bench.api.url, token: TOKEN })
  })

  it("takes the variable's token where there is one, says so, and leaves standard input to the caller", async () => {
    accepted()
    const other = `spt_${"v".repeat(43)}`
    for (const stdin of [`${TOKEN}\n`, "", "the next line of a loop\n"]) {
      const { out, code } = await login(stdin, { SALLYPORT_TOKEN: other })
      expect([code, file().token]).toEqual([0, other])
      expect(out).toContain("(token t-1), with the token from SALLYPORT_TOKEN;")
    }
    const json = JSON.parse((await login("", { SALLYPORT_TOKEN: other }, "--json")).out)
    expect(json).toMatchObject({ tokenFrom: "SALLYPORT_TOKEN" })
  })

  it("takes that of standard input where there is none, and says so", async () => {
    accepted()
    const { out } = await login(`${TOKEN}\n`)
    expect(file().token).toBe(TOKEN)
    expect(out).toContain("(token t-1), with the token from standard input;")
  })

  it.each(["", "two words", "a\nb", "schlüssel", "x".repeat(501)])(
    "refuses %j, which is no token, without showing it",
    async (stdin) => {
      const { code, err } = await login(stdin)
      expect([code, err]).toEqual([1, expect.stringContaining("That is not a token")])
      if (stdin !== "") expect(err).not.toContain(stdin)
      expect(bench.api.received).toEqual([])
    },
  )

  it("says why it cannot write", async () => {
    accepted()
    const path = join(bench.folder, "file", "config.json")
    writeFileSync(join(bench.folder, "file"), "")
    const { code, err } = await login(TOKEN, { SALLYPORT_CONFIG: path })
    expect(code).toBe(1)
    expect(err).toContain(`Cannot write ${path}`)
    expect(err).toMatch(/why .*(ENOTDIR|EEXIST)/)
    expect(err).not.toContain(TOKEN)
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

  it.each(["a\nb", "schlüssel", " x", "x".repeat(501), ""])(
    "is not taken from a variable that holds %j, which is not shown",
    async (token) => {
      const { code, err } = await bench.run(["whoami"], {
        env: { SALLYPORT_API_URL: bench.api.url, SALLYPORT_TOKEN: token },
      })
      expect([code, err]).toEqual([1, expect.stringContaining("That is not a token")])
      if (token !== "") expect(err).not.toContain(token)
      expect(bench.api.received).toEqual([])
    },
  )

  it("is taken from a file as login wrote it, and not as somebody spoilt it", async () => {
    const env = stored()
    writeFileSync(env.SALLYPORT_CONFIG, JSON.stringify({ url: bench.api.url, token: "a\nb" }))
    const { code, err } = await bench.run(["whoami"], { env })
    expect([code, err]).toEqual([1, expect.stringContaining("That is not a token")])
  })

  it("does not follow a redirect", async () => {
    await using other = await controlPlaneDouble()
    bench.api.on("GET /v1/whoami", { status: 307, headers: { location: `${other.url}/v1/whoami` }, body: {} })
    expect((await bench.run(["whoami"])).code).toBe(1)
    expect(other.received).toEqual([])
  })
})

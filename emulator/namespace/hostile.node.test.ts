/** Hostile Workers on the whole platform: their callers get a problem and not a byte of theirs, and the next request to another team is unaffected. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { startTestPlatform, type TestPlatform } from "../testing.ts"
import { HOSTILE_WORKERS, SECRET } from "./testing/hostile-workers.ts"

const BYSTANDER = `export default { async fetch() {
  return new Response([typeof globalThis.leak, typeof {}.leak, new Headers({ a: "1" }).get("a")].join(" "))
} }`
const UNTOUCHED = "undefined undefined 1"

let platform: TestPlatform

beforeAll(async () => {
  platform = await startTestPlatform()
  const route = "https://bystander.example.com/*"
  await platform.uploadWorker({ source: BYSTANDER, script: "bystander", team: "other-team", route })
})
afterAll(() => platform?.dispose())

const textOf = async (url: string) => (await platform.fetch(url)).text()

describe("a hostile Worker", () => {
  it.each(HOSTILE_WORKERS)("$name", async ({ name, code, expected }) => {
    const route = { hostname: `${name}.example.com`, path: "/*", timeoutMs: 300 }
    await platform.uploadWorker({ source: code, script: name, team: "hostile-team", route })
    for (let round = 0; round < 2; round++) {
      const response = await platform.fetch(`https://${name}.example.com/`)
      const text = await response.text()
      expect({ status: response.status, text }).toMatchObject({ status: expected.status })
      if (expected.problem === null) expect(text).toBe(expected.body)
      else expect((JSON.parse(text) as { code: string }).code).toBe(expected.problem)
      expect(text + JSON.stringify([...response.headers])).not.toContain(SECRET)
      expect(await textOf("https://bystander.example.com/")).toBe(UNTOUCHED)
    }
  })

  it("cannot reach this machine: neither the control plane, nor the local API, nor its own hostname", async () => {
    const source = `export default { async fetch(request) {
      const answer = await fetch(new URL(request.url).searchParams.get("to"), { redirect: "follow" })
      return new Response(await answer.text()) } }`
    const route = "https://reaching.example.com/*"
    await platform.uploadWorker({ source, script: "reaching", team: "hostile-team", route })
    const port = new URL(platform.cloudflareApiUrl).port
    for (const to of [
      `${platform.controlPlaneUrl}/v1/teams`,
      `${platform.cloudflareApiUrl}/client/v4/accounts`,
      `http://localhost:${port}/`,
      `http://2130706433:${port}/`,
      `http://[::ffff:127.0.0.1]:${port}/`,
      "https://reaching.example.com/",
      "http://169.254.169.254/latest/meta-data",
    ]) {
      const text = await textOf(`https://reaching.example.com/?to=${encodeURIComponent(to)}`)
      expect((JSON.parse(text) as { code: string }).code).toBe("egress.destination-refused")
    }
    expect((await platform.egress({ limit: 1 }))[0]).toMatchObject({ team: "hostile-team", script: "reaching" })
  })

  it("leaks nothing when its body breaks off, and the client sees that it is not whole", async () => {
    const source = `export default { fetch() { let n = 0; return new Response(new ReadableStream({ pull(c) {
      if (++n > 3) throw new Error("${SECRET}"); c.enqueue(new TextEncoder().encode("part")) } })) } }`
    const route = "https://breaking.example.com/*"
    await platform.uploadWorker({ source, script: "breaking", team: "hostile-team", route })
    const response = await platform.fetch("https://breaking.example.com/")
    const outcome = await response.text().catch((error: Error) => error)
    expect(outcome).toBeInstanceOf(Error)
    expect(String(outcome)).not.toContain(SECRET)
    expect(await textOf("https://bystander.example.com/")).toBe(UNTOUCHED)
  })
})

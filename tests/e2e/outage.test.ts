/** The data plane on its last good config: with the control plane gone, with KV failing, and with a config that nobody could load. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { CONFIG_POINTER_KEY, configKey } from "../../contracts/dispatch-config.ts"
import { type ConfigGate, startConfigGate } from "../../emulator/config-gate.ts"
import { startTestPlatform, type TestPlatform } from "../../emulator/testing.ts"
import { load, textWorker } from "../harness.ts"

const url = "https://steady.example.com/"
/** Short, so that every look at KV falls due many times during a test. */
const vars = { dispatcher: { CONFIG_REFRESH_MS: "20", CONFIG_MAX_STALE_MS: "40" } }
let gate: ConfigGate
let platform: TestPlatform

beforeAll(async () => {
  gate = await startConfigGate()
  platform = await startTestPlatform({ vars, configGate: gate })
  await platform.uploadWorker({ source: textWorker("steady"), script: "steady", route: "https://steady.example.com/*" })
})
afterAll(async () => {
  await platform.dispose()
  await gate.stop()
})

async function expectSteady(requests = 200) {
  const answers = await load(requests, 8, () => platform.fetch(url))
  expect(new Set(answers.map(({ status, body }) => `${status} ${body}`))).toEqual(new Set(["200 steady"]))
}

describe("KV", () => {
  it("may answer 500: traffic goes on from the last good config, and a newer one is taken up afterwards", async () => {
    await expectSteady(20)
    gate.shut()
    const failuresBefore = gate.failures
    await expectSteady()
    await expectSteady()
    expect(gate.failures).toBeGreaterThan(failuresBefore)
    gate.open()
    const before = await platform.waitForConfig()
    await platform.api.put("/v1/policy/flags", { "kv-is-back": true })
    expect(await platform.waitForConfig()).toBeGreaterThan(before)
  })
})

describe("a config that cannot be loaded", () => {
  const wrong: [string, (revision: number) => { text: string; digest?: string }][] = [
    ["is not JSON", () => ({ text: "{" })],
    ["is of no known shape", (revision) => ({ text: JSON.stringify({ format: 1, revision, routes: "all" }) })],
    [
      "is not what its digest says",
      (revision) => ({ text: JSON.stringify({ format: 1, revision }), digest: "0".repeat(64) }),
    ],
    ["is missing", () => ({ text: "" })],
  ]
  it.each(wrong)("changes nothing when it %s", async (_, make) => {
    const current = await platform.configStore.get(CONFIG_POINTER_KEY)
    const { revision } = JSON.parse(current ?? "") as { revision: number }
    const next = revision + 1
    const { text, digest } = make(next)
    if (text !== "") await platform.configStore.put(configKey(next), text)
    const bytes = new TextEncoder().encode(text)
    const actual = Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("hex")
    const pointer = { revision: next, digest: digest ?? actual, sizeBytes: Math.max(bytes.length, 2) }
    await platform.configStore.put(CONFIG_POINTER_KEY, JSON.stringify(pointer))
    await expectSteady()
    const response = await platform.fetch(url)
    expect(response.headers.get("x-sallyport-config")).toBe(String(revision))
    await platform.configStore.put(CONFIG_POINTER_KEY, current ?? "")
  })

  it("never makes the edge go back to an older one", async () => {
    const current = (await platform.configStore.get(CONFIG_POINTER_KEY)) ?? ""
    const { revision } = JSON.parse(current) as { revision: number }
    const older = (await platform.configStore.get(configKey(revision - 1))) ?? ""
    const digest = Buffer.from(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(older))).toString("hex")
    const pointer = { revision: revision - 1, digest, sizeBytes: Buffer.byteLength(older) }
    await platform.configStore.put(CONFIG_POINTER_KEY, JSON.stringify(pointer))
    await expectSteady()
    const response = await platform.fetch(url)
    expect(response.headers.get("x-sallyport-config")).toBe(String(revision))
    await platform.configStore.put(CONFIG_POINTER_KEY, current)
  })
})

describe("the control plane", () => {
  it("is not needed by an edge that restarts without it: routed traffic goes on from the config in KV", async () => {
    await platform.restart({ without: ["controlPlane"], vars })
    await expect(fetch(platform.controlPlaneUrl)).rejects.toThrow()
    await expectSteady()
    await platform.restart({ without: [], vars })
    expect((await fetch(`${platform.controlPlaneUrl}/health/alive`)).status).toBe(200)
    await expectSteady()
  })
})

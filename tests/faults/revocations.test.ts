/**
 * The Durable Objects of the revocation feed throw, hang or answer nonsense. What an isolate knows stays in force; nobody waits longer than 250 ms for what it cannot
 * learn; routes marked sensitive refuse, and the others pass and say so in their trip.
 */
import { performance } from "node:perf_hooks"
import { describe, expect, it } from "vitest"
import { eventually, textWorker, usePlatform } from "../harness.ts"

const WAIT_MS = 250
/** For what a loaded machine adds to any request. */
const SLACK_MS = 200
/** The shortest bound that a config may set, so that the feed is too old soon. */
const BOUND_MS = 1_000

/** A revocations Worker whose relays do this for every question. */
function standIn(answer: string): string {
  return `import { DurableObject, WorkerEntrypoint } from "cloudflare:workers"
export class Revocations extends WorkerEntrypoint { append() { throw new Error("down") } }
export class RevocationLog extends DurableObject {}
export class RevocationRelay extends DurableObject {
  async since(seq) { ${answer} }
  async revokes() { ${answer} }
}
export default { fetch: () => new Response(null, { status: 404 }) }`
}

const ordinary = "https://faults.example.com/ordinary"
const sensitive = "https://faults.example.com/sensitive"
const platform = usePlatform({}, async (started) => {
  await started.api.put("/v1/policy/identity", { feedMaxAgeMs: BOUND_MS })
  await started.uploadWorker({ source: textWorker("mine"), script: "mine" })
  const route = { script: "mine", hostname: "faults.example.com", team: "test-team" }
  await started.putRoute("ordinary", { ...route, path: "/ordinary", auth: "required" })
  const auth = { mode: "required", issuers: ["example-idp"], scopes: [], sensitive: true }
  await started.api.put("/v1/routes/sensitive", { ...route, path: "/sensitive", auth })
  await started.waitForConfig()
})

async function ask(url: string, subject = "alice") {
  const startedAt = performance.now()
  const response = await platform().fetch(url, {}, { subject })
  const ms = performance.now() - startedAt
  const { code = null } = response.ok ? {} : ((await response.clone().json()) as { code?: string })
  return { status: response.status, code, ms, retryAfter: response.headers.get("retry-after"), response }
}

describe.each([
  ["throw", `throw new Error("down")`],
  ["hang", "return new Promise(() => {})"],
  ["answer nonsense", `return { entries: "all", upTo: 1e300, head: null, ageMs: -1 }`],
  ["know nothing new for a minute", "return { entries: new Uint8Array(), upTo: seq, head: seq, ageMs: 60000 }"],
])("when the relays %s", (_what, answer) => {
  it("sensitive routes refuse and others pass with a finding, each within 250 ms, from the first request on", async () => {
    await platform().restart({ revocationsStandIn: standIn(answer) })
    // The config of an isolate that has just begun comes first; it is not what is measured.
    await platform().waitForConfig()
    for (let round = 0; round < 10; round += 1) {
      const [refused, passed] = [await ask(sensitive), await ask(ordinary)]
      expect(refused).toMatchObject({ status: 503, code: "auth.revocation-unknown", retryAfter: "1" })
      expect(passed).toMatchObject({ status: 200 })
      expect(refused.ms).toBeLessThan(WAIT_MS + SLACK_MS)
      expect(passed.ms).toBeLessThan(WAIT_MS + SLACK_MS)
      const trip = await platform().tripOf(passed.response)
      expect(trip.findings).toEqual([{ code: "auth.revocation-stale", mode: "log" }])
      expect(trip.msPerStage.revocation ?? 0).toBeLessThan(WAIT_MS + SLACK_MS)
    }
  })

  it("and come back, everything is as before", async () => {
    await platform().restart({})
    await platform().waitForConfig()
    await eventually(5_000, async () => ((await ask(sensitive)).status === 200 ? 1 : null))
    const passed = await ask(ordinary)
    expect((await platform().tripOf(passed.response)).findings).toEqual([])
  })
})

describe("what was revoked before an outage", () => {
  it("is refused again as soon as the relays are back, in an isolate that began during the outage", async () => {
    const authorization = `Bearer ${platform().issueToken({ subject: "mallory" })}`
    const statusOfMallory = async () => (await platform().fetch(ordinary, { headers: { authorization } })).status
    const target = { kind: "subject", idp: "example-idp", subject: "mallory" } as const
    await platform().revocations.append([{ target, reason: "test" }], "ops:test")
    await platform().restart({ revocationsStandIn: standIn(`throw new Error("down")`) })
    await platform().waitForConfig()
    expect(await statusOfMallory()).toBe(200)
    await platform().restart({})
    await platform().waitForConfig()
    expect(await statusOfMallory()).toBe(401)
    expect((await ask(ordinary, "bob")).status).toBe(200)
  })
})

/** The control plane ends at every effect of an upload in turn. Traffic is on exactly the old or the new version, and whoever comes next finishes. */
import { describe, expect, it } from "vitest"
import { cloudflareFixture } from "../test/cloudflare-fixture.ts"
import { routeBody, startControlPlane } from "../test/harness.ts"
import { type KillSwitch, killSwitch } from "../test/kill-switch.ts"
import { putRequest } from "../test/upload-request.ts"
import { healPublication } from "./config/heal-publication.ts"
import { resumeDeployments } from "./deployment.ts"

/** More effects than an upload has; the loops end by themselves before. */
const MANY = 60
const OLD = "export default 1"
const NEW = "export default 2"

/** A control plane whose script `pages` has all traffic on version 1. */
async function setUp(kill: KillSwitch) {
  const cloudflare = cloudflareFixture()
  const plane = await startControlPlane((env) => kill.overrides(env, cloudflare.fetch))
  const token = await plane.team("web")
  const upload = (code: string) => plane.fetch(putRequest("pages", token, { code }))
  expect((await upload(OLD)).status).toBe(200)
  await plane.send("PUT /v1/hostnames/api.procore.com", { body: { team: "web", open: false } })
  await plane.send("PUT /v1/routes/pages", { token, body: routeBody({ script: "pages" }) })

  /** What a dispatcher would do now; every version that may receive requests must be whole and in the namespace. */
  async function trafficVersion(): Promise<number> {
    const releases: { version: number; weightBps: number }[] = (await plane.published()).scripts.pages.releases
    expect(releases).toHaveLength(1)
    const version = releases[0]?.version ?? 0
    expect(cloudflare.scripts.get(`pages--v${version}`)?.modules["index.js"]?.text).toBe(version === 1 ? OLD : NEW)
    expect((await plane.deps.store.versions.get("pages", version))?.state).toBe("verified")
    return version
  }
  async function schedule() {
    plane.pass(61_000)
    await resumeDeployments(plane.deps)
    await healPublication(plane.deps)
  }
  return { cloudflare, plane, upload, trafficVersion, schedule }
}

describe.each(["before", "after"] as const)("an upload killed %s its n-th effect", (when) => {
  it("leaves traffic on one whole version; the schedule leaves nothing half done", { timeout: 120_000 }, async () => {
    let killed = 0
    for (let effect = 1; effect < MANY; effect++) {
      const kill = killSwitch()
      const { plane, upload, trafficVersion, schedule } = await setUp(kill)
      kill.arm(effect, when)
      const { status } = await upload(NEW)
      if (!kill.hasStruck) {
        expect(status).toBe(200)
        break
      }
      killed++
      kill.revive()
      const before = await trafficVersion()
      await schedule()
      const after = await trafficVersion()
      expect(after, `effect ${effect}`).toBeGreaterThanOrEqual(before)
      expect(await plane.deps.store.deployments.unfinished(), `effect ${effect}`).toEqual([])
      const current = await plane.deps.store.deployments.current("pages")
      expect(current?.releases[0]?.version, `effect ${effect}`).toBe(after)
    }
    expect(killed).toBeGreaterThan(10)
    expect(killed).toBeLessThan(MANY - 1)
  })

  it("is finished by the same upload, in one version, placed once", { timeout: 120_000 }, async () => {
    for (let effect = 1; effect < MANY; effect++) {
      const kill = killSwitch()
      const { cloudflare, plane, upload, trafficVersion } = await setUp(kill)
      kill.arm(effect, when)
      await upload(NEW)
      if (!kill.hasStruck) break
      kill.revive()
      expect((await upload(NEW)).status, `effect ${effect}`).toBe(200)
      expect(await trafficVersion(), `effect ${effect}`).toBe(2)
      expect(await plane.deps.store.versions.latest("pages")).toBe(2)
      expect(cloudflare.scripts.get("pages--v2")?.puts, `effect ${effect}`).toBe(1)
    }
  })
})

it("verifies the audit chain after every kill", { timeout: 60_000 }, async () => {
  const kill = killSwitch()
  const { plane, upload } = await setUp(kill)
  for (let effect = 1; effect < 30; effect++) {
    kill.arm(effect, effect % 2 === 0 ? "before" : "after")
    await upload(`export default ${effect + 2}`)
    kill.revive()
  }
  const { body } = await plane.send("GET /v1/audit/verify")
  expect(body).toMatchObject({ intact: true })
})

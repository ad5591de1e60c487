/** The control plane ends at every effect of a retirement in turn, and of placing again what was retired. Traffic is never on what is gone, and whoever comes next finishes. */
import { describe, expect, it } from "vitest"
import { cloudflareFixture } from "../test/cloudflare-fixture.ts"
import { routeBody, startControlPlane } from "../test/harness.ts"
import { type KillSwitch, killSwitch } from "../test/kill-switch.ts"
import { putRequest } from "../test/upload-request.ts"
import { healPublication } from "./config/heal-publication.ts"
import { resumeDeployments } from "./deployment.ts"
import { doubtVersions } from "./doubt-versions.ts"
import { retireVersions } from "./retire-versions.ts"
import { CLAIM_MS, HOLD_MS } from "./store/removals.ts"

/** More effects than either has; the loops end by themselves before. */
const MANY = 40

/** A control plane whose script `pages` keeps two of its three versions; the third has all traffic, and nothing was used for a day. */
async function setUp(kill: KillSwitch) {
  const cloudflare = cloudflareFixture()
  const plane = await startControlPlane((env) => kill.overrides(env, cloudflare.fetch))
  const token = await plane.team("web")
  await plane.send("PUT /v1/scripts/pages", { token, body: { keepPlacedVersions: 2 } })
  for (const code of ["1", "2", "3"])
    expect((await plane.fetch(putRequest("pages", token, { code: `export default ${code}` }))).status).toBe(200)
  await plane.send("PUT /v1/hostnames/api.procore.com", { body: { team: "web", open: false } })
  await plane.send("PUT /v1/routes/pages", { token, body: routeBody({ script: "pages" }) })
  plane.pass(HOLD_MS)

  /** What a dispatcher would be led to now, which is in the namespace; so is everything that the registry calls whole. */
  async function traffic(): Promise<number | undefined> {
    const releases: { version: number }[] = (await plane.published()).scripts.pages.releases
    for (const { version } of releases) expect(await isWhole(version)).toBe(true)
    for (const version of [1, 2, 3])
      if (await isWhole(version)) expect([...cloudflare.scripts.keys()]).toContain(`pages--v${version}`)
    return releases[0]?.version
  }
  async function isWhole(version: number) {
    return (await plane.deps.store.versions.get("pages", version))?.state === "verified"
  }
  async function schedule() {
    for (const work of [doubtVersions, resumeDeployments, healPublication, retireVersions])
      await work(plane.deps).catch(() => {})
  }
  async function deploy(version: number) {
    const body = { releases: [{ version, weightBps: 10_000 }] }
    return (await plane.send("POST /v1/scripts/pages/deployments", { token, body })).status
  }
  return { cloudflare, plane, traffic, schedule, deploy }
}

describe.each(["before", "after"] as const)("a retirement killed %s its n-th effect", (when) => {
  it("is finished by the next schedules, and takes nothing from the traffic", { timeout: 120_000 }, async () => {
    let killed = 0
    for (let effect = 1; effect < MANY; effect++) {
      const kill = killSwitch()
      const { cloudflare, plane, traffic, schedule } = await setUp(kill)
      kill.arm(effect, when)
      await retireVersions(plane.deps).catch(() => {})
      if (!kill.hasStruck) break
      killed++
      kill.revive()
      expect(await traffic(), `effect ${effect}`).toBe(3)
      plane.pass(CLAIM_MS)
      await schedule()
      expect([...cloudflare.scripts.keys()], `effect ${effect}`).toEqual(["pages--v2", "pages--v3"])
      expect(await plane.deps.store.removals.due(Number.MAX_SAFE_INTEGER, 9), `effect ${effect}`).toEqual([])
      expect((await plane.deps.store.versions.get("pages", 1))?.state).toBe("retired")
      expect((await plane.send("GET /v1/audit/verify")).body).toMatchObject({ intact: true })
    }
    expect(killed).toBeGreaterThan(4)
    expect(killed).toBeLessThan(MANY - 1)
  })

  it("does not keep a deployment of the version from coming into force", { timeout: 120_000 }, async () => {
    for (let effect = 1; effect < MANY; effect++) {
      const kill = killSwitch()
      const { plane, traffic, schedule, deploy } = await setUp(kill)
      kill.arm(effect, when)
      await retireVersions(plane.deps).catch(() => {})
      if (!kill.hasStruck) break
      kill.revive()
      expect([201, 503], `effect ${effect}`).toContain(await deploy(1))
      await traffic()
      for (const ms of [61_000, CLAIM_MS, 61_000]) {
        plane.pass(ms)
        await schedule()
        await traffic()
      }
      expect(await traffic(), `effect ${effect}`).toBe(1)
      expect(await plane.deps.store.deployments.unfinished(), `effect ${effect}`).toEqual([])
    }
  })
})

describe.each(["before", "after"] as const)("placing a retired version again, killed %s its n-th effect", (when) => {
  it("leads nobody to what is not there, and is finished by the schedule", { timeout: 120_000 }, async () => {
    let killed = 0
    for (let effect = 1; effect < MANY; effect++) {
      const kill = killSwitch()
      const { plane, traffic, schedule, deploy } = await setUp(kill)
      await retireVersions(plane.deps)
      kill.arm(effect, when)
      const status = await deploy(1)
      if (!kill.hasStruck) {
        expect(status).toBe(201)
        break
      }
      killed++
      kill.revive()
      await traffic()
      plane.pass(61_000)
      await schedule()
      await traffic()
      const current = await plane.deps.store.deployments.current("pages")
      expect(await traffic(), `effect ${effect}`).toBe(current?.releases[0]?.version)
      expect(await plane.deps.store.deployments.unfinished(), `effect ${effect}`).toEqual([])
    }
    expect(killed).toBeGreaterThan(8)
    expect(killed).toBeLessThan(MANY - 1)
  })
})

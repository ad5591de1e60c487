/** D1 is set back, as Time Travel does, to before versions were taken out of the namespace: what it then calls whole is not led to before it is there again. */
import { beforeEach, describe, expect, it } from "vitest"
import { type CloudflareFixture, cloudflareFixture } from "../test/cloudflare-fixture.ts"
import { routeBody, startControlPlane, type TestControlPlane } from "../test/harness.ts"
import { putRequest } from "../test/upload-request.ts"
import { healPublication } from "./config/heal-publication.ts"
import { resumeDeployments } from "./deployment.ts"
import { doubtVersions } from "./doubt-versions.ts"
import { retireVersions } from "./retire-versions.ts"
import { CLAIM_MS, HOLD_MS } from "./store/removals.ts"

const busy = { kind: "status", status: 503 } as const

let plane: TestControlPlane
let cloudflare: CloudflareFixture
let token: string

beforeEach(async () => {
  cloudflare = cloudflareFixture()
  plane = await startControlPlane(() => ({ fetch: cloudflare.fetch }))
  token = await plane.team("web")
  await plane.send("PUT /v1/scripts/pages", { token, body: { keepPlacedVersions: 2 } })
  for (const code of ["1", "2"]) await upload(code)
  await plane.send("PUT /v1/hostnames/api.procore.com", { body: { team: "web", open: false } })
  await plane.send("PUT /v1/routes/pages", { token, body: routeBody({ script: "pages" }) })
})

async function upload(code: string) {
  expect((await plane.fetch(putRequest("pages", token, { code: `export default ${code}` }))).status).toBe(200)
}

const TABLES = ["removals", "script_current", "deployments", "versions", "config_revisions", "audit"]

/** All rows of what the tests change, and the way back to them: like Time Travel, it asks nobody. */
async function restorePoint(): Promise<() => Promise<void>> {
  const { db } = plane.deps
  const read = TABLES.map((table) => db.prepare(`SELECT * FROM ${table}`))
  const kept = await db.batch<Record<string, string | number | null>>(read)
  return async () => {
    await db.prepare("DROP TRIGGER audit_is_never_deleted").run()
    await db.batch([
      ...TABLES.map((table) => db.prepare(`DELETE FROM ${table}`)),
      ...TABLES.toReversed().flatMap((table) =>
        (kept[TABLES.indexOf(table)]?.results ?? []).map((row) =>
          db
            .prepare(
              `INSERT INTO ${table} (${Object.keys(row).join()}) VALUES (${Object.keys(row)
                .map(() => "?")
                .join()})`,
            )
            .bind(...Object.values(row)),
        ),
      ),
    ])
  }
}

async function schedule() {
  for (const work of [doubtVersions, resumeDeployments, healPublication, retireVersions]) await work(plane.deps)
}
const all = (version: number) => [{ version, weightBps: 10_000 }]
const placed = () => [...cloudflare.scripts.keys()].sort()
const names = (...versions: number[]) => versions.map((version) => `pages--v${version}`)
const traffic = async () => (await plane.published()).scripts.pages.releases
const stateOf = async (version: number) => (await plane.deps.store.versions.get("pages", version))?.state

/** Versions 1 and 2, with the traffic on 2, are forgotten to be retired; 3 and 4 are forgotten. */
async function setBack() {
  const back = await restorePoint()
  await upload("3")
  await upload("4")
  plane.pass(HOLD_MS)
  await retireVersions(plane.deps)
  expect(placed()).toEqual(names(3, 4))
  await back()
}

describe("a registry that was set back to before a retirement", () => {
  it("has what is in force placed again before it is published", async () => {
    await setBack()
    expect(await stateOf(2)).toBe("verified")
    expect(await traffic()).toEqual(all(4))
    await doubtVersions(plane.deps)
    expect(placed()).toEqual(names(2, 3, 4))
    expect(await stateOf(2)).toBe("verified")
    await healPublication(plane.deps)
    expect(await traffic()).toEqual(all(2))
    expect(plane.logs.map(({ event }) => event)).toContain("version.registry-set-back")
  })

  it("places by a rollback what it believed to be there", async () => {
    await setBack()
    await schedule()
    const { status } = await plane.send("POST /v1/scripts/pages/rollback", { token, body: {} })
    expect([status, await traffic()]).toEqual([201, all(1)])
    expect(placed()).toEqual(names(1, 2, 3, 4))
  })

  it("removes nothing for a day, and then what it does not need", async () => {
    await setBack()
    await schedule()
    // Under the numbers that they had, of which the namespace still has their content.
    await upload("3")
    await upload("4")
    // The hold of what lost its traffic is over, that of the doubt is not yet.
    await plane.deps.db.prepare("UPDATE versions SET used_at_ms = number").run()
    plane.pass(HOLD_MS - 1)
    await schedule()
    expect(placed()).toEqual(names(2, 3, 4))
    plane.pass(1)
    await schedule()
    expect(placed()).toEqual(names(3, 4))
    expect([await stateOf(1), await stateOf(2)]).toEqual(["retired", "retired"])
  })

  it("is doubted once: what was seen since stays whole", async () => {
    await setBack()
    await schedule()
    cloudflare.calls.length = 0
    await schedule()
    expect(cloudflare.calls).toEqual([])
    expect(await stateOf(2)).toBe("verified")
    expect(await stateOf(1)).toBe("placed")
  })

  it("stays in doubt, with nothing removed, until Cloudflare has shown what is in force", async () => {
    await setBack()
    cloudflare.failNext("GET", busy, busy, busy, busy)
    await doubtVersions(plane.deps)
    expect(await stateOf(2)).toBe("placed")
    await healPublication(plane.deps)
    await plane.deps.db
      .prepare("UPDATE versions SET used_at_ms = 0, held_until_ms = 0, state = 'failed' WHERE number = 1")
      .run()
    plane.pass(30 * HOLD_MS)
    const before = (await plane.deps.store.audit.verify()).records
    await retireVersions(plane.deps)
    expect((await plane.deps.store.audit.verify()).records).toBe(before)
    await doubtVersions(plane.deps)
    expect(placed()).toEqual(names(2, 3, 4))
    expect(await stateOf(2)).toBe("verified")
  })

  it("does not stay in doubt for a version that can never be placed again", async () => {
    await setBack()
    await plane.deps.artifacts.delete("manifests/pages/2.json")
    await doubtVersions(plane.deps)
    expect(plane.logs.at(-1)).toMatchObject({ event: "version.not-seen", number: 2, code: "version.not-placed" })
    cloudflare.calls.length = 0
    plane.logs.length = 0
    await doubtVersions(plane.deps)
    expect(plane.logs).toEqual([])
  })

  it("does not go on with a removal that was under way then", async () => {
    await upload("3")
    plane.pass(HOLD_MS)
    cloudflare.failNext("DELETE", busy, busy, busy, busy)
    await retireVersions(plane.deps)
    const back = await restorePoint()
    plane.pass(CLAIM_MS)
    await retireVersions(plane.deps)
    expect(placed()).toEqual(names(2, 3))
    const { status } = await plane.send("POST /v1/scripts/pages/deployments", { token, body: { releases: all(1) } })
    expect(status).toBe(201)
    await back()
    await schedule()
    // Edges may still be led to it by what the registry has forgotten.
    expect(placed()).toEqual(names(1, 2, 3))
    expect(await stateOf(1)).toBe("retired")
    plane.pass(HOLD_MS)
    await schedule()
    expect(placed()).toEqual(names(2, 3))
  })

  it("does not remove of an earlier team for a day what is due", async () => {
    await plane.team("store")
    await plane.send("DELETE /v1/routes/pages", { token })
    await plane.send("DELETE /v1/scripts/pages", { token })
    expect((await plane.send("PUT /v1/scripts/pages", { body: { team: "store" } })).status).toBe(201)
    plane.pass(HOLD_MS)
    await plane.deps.config.put("config/current", JSON.stringify({ ...(await plane.pointer()), revision: 10_000 }))
    await schedule()
    await schedule()
    expect(placed()).toEqual(names(1, 2))
    plane.pass(HOLD_MS)
    await schedule()
    expect(placed()).toEqual([])
  })
})

describe("a registry that remembers", () => {
  it("is not doubted, whatever else was recorded since the removal", async () => {
    await upload("3")
    plane.pass(HOLD_MS)
    await retireVersions(plane.deps)
    await plane.team("other")
    const before = (await plane.deps.store.audit.verify()).records
    await doubtVersions(plane.deps)
    expect((await plane.deps.store.audit.verify()).records).toBe(before)
    expect([await stateOf(2), await stateOf(3)]).toEqual(["verified", "verified"])
  })

  it("is not doubted before anything was ever removed", async () => {
    await doubtVersions(plane.deps)
    expect(await stateOf(2)).toBe("verified")
  })
})

/** D1 is set back, as Time Travel does, to before versions were taken out of the namespace: what it then calls whole is not led to before it is there again. */
import { beforeEach, describe, expect, it } from "vitest"
import { sha256Hex } from "../../kit/sha256.ts"
import { type CloudflareFixture, cloudflareFixture } from "../test/cloudflare-fixture.ts"
import { routeBody, startControlPlane, type TestControlPlane } from "../test/harness.ts"
import { putRequest } from "../test/upload-request.ts"
import { SYSTEM } from "./actor.ts"
import { healPublication } from "./config/heal-publication.ts"
import { deployReleases, resumeDeployments } from "./deployment.ts"
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
/** The mark of a removal that no registry here remembers. */
const FORGOTTEN = JSON.stringify({ seq: 1, hash: "0".repeat(64), doubted: false, beganAtMs: 0 })
const all = (version: number) => [{ version, weightBps: 10_000 }]
const placed = () => [...cloudflare.scripts.keys()].sort()
const names = (...versions: number[]) => versions.map((version) => `pages--v${version}`)
const traffic = async () => (await plane.published()).scripts.pages.releases
const stateOf = async (version: number) => (await plane.deps.store.versions.get("pages", version))?.state

/** Versions 1 and 2, with the traffic on 2, are forgotten to be retired; 3 and 4 are forgotten. That many milliseconds have passed since the last removal. */
async function setBack(restoredAfterMs = CLAIM_MS) {
  const back = await restorePoint()
  await upload("3")
  await upload("4")
  plane.pass(HOLD_MS)
  await retireVersions(plane.deps)
  expect(placed().filter((name) => name.startsWith("pages--"))).toEqual(names(3, 4))
  await back()
  plane.pass(restoredAfterMs)
}

/** Script and version, as the namespace has them, of everything that edges lead to and that is not there. */
async function ledAstray(): Promise<string[]> {
  const { scripts } = (await plane.published()) as { scripts: Record<string, { releases: { version: number }[] }> }
  return Object.entries(scripts)
    .flatMap(([script, { releases }]) => releases.map(({ version }) => `${script}--v${version}`))
    .filter((name) => !cloudflare.scripts.has(name))
}

describe("the mark of the last removal", () => {
  const mark = async () => await (await plane.deps.artifacts.get("registry/last-removal.json"))?.json()

  it("is written again when R2 had just taken one, which it does once in a second", async () => {
    for (const code of ["3", "4"]) await upload(code)
    plane.pass(HOLD_MS)
    let writes = 0
    const slow = new Proxy(plane.deps.artifacts, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name)
        if (name !== "put") return typeof member === "function" ? member.bind(target) : member
        return async (...values: Parameters<R2Bucket["put"]>) => {
          if (++writes % 2 === 0)
            throw new Error("put: Reduce your concurrent request rate for the same object. (10058)")
          return target.put(...values)
        }
      },
    })
    await retireVersions({ ...plane.deps, artifacts: slow })
    expect(placed()).toEqual(names(3, 4))
    expect(writes).toBe(3)
  })

  it("of an earlier Worker, which did not say when, is read, and what a later one adds is kept from nobody", async () => {
    await upload("3")
    plane.pass(HOLD_MS)
    await retireVersions(plane.deps)
    const { beganAtMs: _, ...earlier } = (await mark()) as Record<string, unknown>
    await plane.deps.artifacts.put("registry/last-removal.json", JSON.stringify({ ...earlier, more: 1 }))
    await upload("4")
    plane.pass(HOLD_MS)
    await retireVersions(plane.deps)
    expect(placed()).toEqual(names(3, 4))
  })

  it("that cannot be read lets nothing be led elsewhere: nobody knows what the registry has forgotten", async () => {
    await upload("3")
    await plane.deps.artifacts.put("registry/last-removal.json", "{}")
    const { status } = await plane.send("POST /v1/scripts/pages/rollback", { token, body: {} })
    expect([status, await traffic()]).toEqual([500, all(3)])
  })
})

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
    expect(await stateOf(1)).toBe("retired")
  })

  it("stays in doubt, with nothing removed, until Cloudflare has shown what is in force", async () => {
    await setBack()
    cloudflare.failNext("GET", busy, busy, busy, busy)
    await doubtVersions(plane.deps)
    expect(await stateOf(2)).toBe("retired")
    await healPublication(plane.deps)
    expect(await traffic()).toEqual(all(4))
    expect(plane.logs.at(-1)).toMatchObject({ event: "publish.in-doubt" })
    await plane.deps.db
      .prepare("UPDATE versions SET used_at_ms = 0, held_until_ms = 0, state = 'failed' WHERE number = 1")
      .run()
    plane.pass(30 * HOLD_MS)
    const before = (await plane.deps.store.audit.verify()).records
    await retireVersions(plane.deps)
    expect((await plane.deps.store.audit.verify()).records).toBe(before)
    await schedule()
    expect(placed()).toEqual(names(2, 3, 4))
    expect(await stateOf(2)).toBe("verified")
    expect(await traffic()).toEqual(all(2))
  })

  it("leaves edges with the config they have when a team's change comes before the schedule, however many", async () => {
    await setBack()
    const { revision } = (await plane.pointer()) ?? { revision: 0 }
    // More of them than revisions were forgotten: by then the registry's numbers are beyond KV's.
    for (let change = 1; change <= 4; change++) {
      const body = routeBody({ script: "pages", path: `/${change}/*` })
      const { status, body: answer } = await plane.send(`PUT /v1/routes/p${change}`, { token, body })
      expect([status, answer.code]).toEqual([503, "config.not-published"])
    }
    expect((await plane.deps.store.revisions.latest())?.revision).toBeGreaterThan(revision)
    expect(await plane.pointer()).toMatchObject({ revision })
    expect(await ledAstray()).toEqual([])
    await schedule()
    expect(await traffic()).toEqual(all(2))
    expect(JSON.stringify(await plane.published())).toContain('"p4"')
    expect(await ledAstray()).toEqual([])
    expect((await plane.send("DELETE /v1/routes/p1", { token })).status).toBe(204)
  })

  it("leads to nothing that it has forgotten to be gone, also where KV names what it knows", async () => {
    await upload("3")
    const back = await restorePoint()
    plane.pass(HOLD_MS)
    await retireVersions(plane.deps)
    expect(placed()).toEqual(names(2, 3))
    await back()
    const deploy = (version: number) =>
      plane.send("POST /v1/scripts/pages/deployments", { token, body: { releases: all(version) } })
    const { status, body } = await deploy(1)
    expect([status, body.code, await traffic()]).toEqual([503, "api.busy", all(3)])
    plane.pass(CLAIM_MS)
    await schedule()
    expect([await traffic(), await ledAstray()]).toEqual([all(1), []])
    expect((await deploy(3)).status).toBe(201)
  })

  it("leads nobody astray in any minute with more in force than one run looks at", async () => {
    for (let script = 0; script < 54; script++)
      expect((await plane.fetch(putRequest(`more-${script}`, token, { code: "export default 1" }))).status).toBe(200)
    await setBack()
    await schedule()
    expect(await traffic()).toEqual(all(4))
    expect(await ledAstray()).toEqual([])
    plane.pass(60_000)
    await schedule()
    expect(await traffic()).toEqual(all(2))
    expect(await ledAstray()).toEqual([])
  }, 60_000)

  it("goes on with the others when Cloudflare does not answer for one, and stays in doubt", async () => {
    await plane.fetch(putRequest("aaa", token, { code: "export default 1" }))
    await setBack()
    cloudflare.failNext("GET", busy, busy, busy, busy)
    await schedule()
    const seen = await Promise.all([stateOf(2), plane.deps.store.versions.get("aaa", 1)])
    expect([seen[0], seen[1]?.state].sort()).toEqual(["retired", "verified"])
    expect(await traffic()).toEqual(all(4))
    await schedule()
    expect(await traffic()).toEqual(all(2))
  })

  it("is not looked at before what was being removed then can no longer go", async () => {
    await setBack(CLAIM_MS - 1)
    cloudflare.calls.length = 0
    await schedule()
    expect([cloudflare.calls, await stateOf(2), await traffic()]).toEqual([[], "verified", all(4)])
    plane.pass(1)
    await schedule()
    expect([await stateOf(2), await traffic()]).toEqual(["verified", all(2)])
    expect(placed()).toEqual(names(2, 3, 4))
  })

  it("gives a team its rollback although its uploads have spent what they may", async () => {
    await setBack()
    await schedule()
    const now = plane.deps.clock.now()
    const most = { mostOfAll: 100_000, mostOfTeam: null, despiteRefusal: true }
    // Of the 1200, uploads of one team may take 480 and those of all 960.
    expect(await plane.deps.store.calls.reserve(now, { team: "web", calls: 478, ...most })).toBe(true)
    const refused = await plane.fetch(putRequest("pages", token, { code: "export default 5" }))
    expect(refused.status).toBe(429)
    const { status } = await plane.send("POST /v1/scripts/pages/rollback", { token, body: {} })
    expect([status, await traffic()]).toEqual([201, all(1)])
  })

  it("does not remove once more what went longer ago than a registry can be set back", async () => {
    await setBack()
    const gone = (days: number) => plane.deps.clock.now() - days * HOLD_MS
    const remove = plane.deps.db.prepare(
      "UPDATE versions SET state = 'retired', removed_at_ms = ?, held_until_ms = 0 WHERE number = 1",
    )
    const removedAt = async () => (await plane.deps.store.versions.get("pages", 1))?.removedAtMs
    await remove.bind(gone(31)).run()
    await schedule()
    expect(await removedAt()).toBe(gone(31))
    await plane.deps.artifacts.put("registry/last-removal.json", FORGOTTEN)
    await remove.bind(gone(31) + 1).run()
    await schedule()
    expect(await removedAt()).toBe(null)
  })

  it("has written again what Cloudflare says to be there: that may be of before it was removed", async () => {
    const stale = cloudflare.scripts.get("pages--v2")
    await setBack()
    if (stale !== undefined) cloudflare.scripts.set("pages--v2", stale)
    await doubtVersions(plane.deps)
    expect(stale?.puts).toBe(1)
    expect(cloudflare.scripts.get("pages--v2")?.puts).toBe(2)
  })

  it("is published unseen when ops take the mark away", async () => {
    await setBack()
    cloudflare.failNext("GET", busy, busy, busy, busy)
    await schedule()
    expect(await traffic()).toEqual(all(4))
    await plane.deps.artifacts.delete("registry/last-removal.json")
    await schedule()
    expect(await traffic()).toEqual(all(2))
  })

  it.each<[string, (minute: CloudflareFixture) => Promise<void>]>([
    [
      "Cloudflare refuses",
      async (api) => api.failNext("PUT", { kind: "status", status: 400, error: { code: 10037, message: "limit" } }),
    ],
    ["has no manifest any more", () => plane.deps.artifacts.delete("manifests/pages/2.json")],
    [
      "has lost a file",
      async () => {
        await plane.deps.artifacts.delete(`blobs/${await sha256Hex("export default 2")}`)
      },
    ],
  ])("stays in doubt, and unpublished, for a version that %s, until its script has another", async (_what, spoil) => {
    await setBack()
    for (let minute = 0; minute < 3; minute++) {
      await spoil(cloudflare)
      await schedule()
      expect([await ledAstray(), await traffic()]).toEqual([[], all(4)])
      expect(plane.logs.map(({ event }) => event)).toContain("version.not-seen")
      expect(plane.logs.at(-1)).toMatchObject({ event: "publish.in-doubt" })
    }
    cloudflare.recover()
    const body = { releases: all(1) }
    const { status, body: answer } = await plane.send("POST /v1/scripts/pages/deployments", { token, body })
    expect([status, answer.code]).toEqual([503, "config.not-published"])
    await schedule()
    expect([await ledAstray(), await traffic()]).toEqual([[], all(1)])
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
    const revision = (await plane.pointer())?.revision ?? 0
    await back()
    // The registry remembers that it was begun, but not that it was begun again, just now: what is placed yet could be taken away.
    await schedule()
    expect(plane.logs.at(-1)).toMatchObject({ event: "publish.in-doubt" })
    const again = plane.deps.store.versions.beginPlacing("pages", 1, SYSTEM)
    await expect(again).rejects.toMatchObject({ code: "api.busy" })
    plane.pass(CLAIM_MS - 1)
    await schedule()
    expect((await plane.pointer())?.revision).toBe(revision)
    plane.pass(1)
    await schedule()
    expect((await plane.pointer())?.revision).toBeGreaterThan(revision)
    // Edges may still be led to it by what the registry has forgotten.
    expect(placed()).toEqual(names(1, 2, 3))
    expect(await stateOf(1)).toBe("retired")
    plane.pass(HOLD_MS)
    await schedule()
    expect(placed()).toEqual(names(2, 3))
  })

  it("has nothing removed by a run that retired it before, when it comes to the first removal ever", async () => {
    await upload("3")
    const back = await restorePoint()
    plane.pass(HOLD_MS)
    let reads = 0
    const artifacts = new Proxy(plane.deps.artifacts, {
      get(target, name) {
        const member = Reflect.get(target, name)
        if (typeof member !== "function") return member
        if (name !== "get") return member.bind(target)
        return async (key: string) => {
          // The first is before anything is retired.
          if (key === "registry/last-removal.json" && ++reads === 2) await back()
          return target.get(key)
        }
      },
    })
    await retireVersions({ ...plane.deps, artifacts })
    expect(reads).toBeGreaterThan(1)
    expect([placed(), await stateOf(1)]).toEqual([names(1, 2, 3), "verified"])
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

  it("leads to what it knows to be there while R2 does not answer too", async () => {
    await upload("3")
    plane.pass(HOLD_MS)
    await retireVersions(plane.deps)
    const artifacts = new Proxy(plane.deps.artifacts, { get: () => () => Promise.reject(new Error("R2 is down")) })
    const script = await plane.deps.store.scripts.get("pages")
    if (script === null) throw new Error("no script")
    await deployReleases(script, all(2), null, SYSTEM, { ...plane.deps, artifacts })
    expect(await traffic()).toEqual(all(2))
    expect(plane.logs.map(({ event }) => event)).toContain("version.mark-unread")
  })

  it("is not doubted before anything was ever removed", async () => {
    await doubtVersions(plane.deps)
    expect(await stateOf(2)).toBe("verified")
  })
})

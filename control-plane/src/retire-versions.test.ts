import { beforeEach, describe, expect, it } from "vitest"
import type { Manifest } from "../../contracts/manifest.ts"
import { type CloudflareFixture, cloudflareFixture } from "../test/cloudflare-fixture.ts"
import { routeBody, type Sent, startControlPlane, type TestControlPlane } from "../test/harness.ts"
import { type OvertakenDb, overtakenDb } from "../test/overtaken-db.ts"
import { type Enveloped, putRequest, type UploadParts, uploadBody } from "../test/upload-request.ts"
import { SYSTEM } from "./actor.ts"
import { healPublication } from "./config/heal-publication.ts"
import { publishDeployment } from "./config/publish-deployment.ts"
import { makeDependencies } from "./dependencies.ts"
import { resumeDeployments } from "./deployment.ts"
import { LATER_MS, MOST_FAILURES, REMOVED_AT_ONCE, REMOVED_IN_TURN, retireVersions } from "./retire-versions.ts"
import { CLAIM_MS, HOLD_MS } from "./store/removals.ts"
import { artifactStore, digestOf } from "./upload/artifact-store.ts"

const ABOVE_ALL_VERSIONS = 1000
const busy = { kind: "status", status: 503 } as const
const refused = { kind: "status", status: 400, error: { code: 10064, message: "is referenced" } } as const

let plane: TestControlPlane
let cloudflare: CloudflareFixture
let token: string
let overtaken: OvertakenDb
/** Cloudflare fails for what begins with `METHOD name`, whatever else it answers; null for nothing. */
let failsFor: RegExp | null
/** Runs when Cloudflare is asked to delete that version, before it does; once. */
let beforeDeleteOf: { readonly version: number; readonly run: () => Promise<unknown> } | null

beforeEach(async () => {
  cloudflare = cloudflareFixture()
  beforeDeleteOf = null
  failsFor = null
  plane = await startControlPlane((env) => {
    overtaken = overtakenDb(env.DB)
    const settings = { ...makeDependencies(env).settings, artifactKey: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" }
    return { db: overtaken.db, fetch: fetchCloudflare, settings }
  })
  token = await plane.team("web")
  await plane.send("PUT /v1/scripts/pages", { token, body: { keepPlacedVersions: 2 } })
})

const fetchCloudflare: typeof fetch = async (input, init) => {
  const request = new Request(input, init)
  if (failsFor?.test(`${request.method} ${request.url.replace(/.*\/scripts\//, "")}`)) {
    cloudflare.calls.push(`${request.method} ${request.url}`)
    return new Response("{}", { status: 500 })
  }
  const first = beforeDeleteOf
  if (first !== null && request.method === "DELETE" && request.url.includes(`--v${first.version}?`)) {
    beforeDeleteOf = null
    await first.run()
  }
  return await cloudflare.fetch(request)
}

async function upload(code: string, parts: UploadParts = {}) {
  const response = await plane.fetch(putRequest("pages", token, { code: `export default ${code}`, ...parts }))
  return { status: response.status, body: await response.json<Enveloped>() }
}

/** Versions 1 to `count`, each deployed after the other, and unused for a day but for the last. */
async function uploadAll(count: number): Promise<void> {
  for (let version = 1; version <= count; version++) expect((await upload(String(version))).status).toBe(200)
  plane.pass(HOLD_MS)
}

/** So many old versions of a script, whole as far as the registry goes and stored. */
async function seed(script: string, count: number): Promise<void> {
  const { db, artifacts } = plane.deps
  const insert = db.prepare(
    `INSERT INTO versions (script, number, digest, state, size_bytes, created_by, created_at, used_at_ms)
     VALUES (?1, ?2, ?3, 'verified', 1, 'x', '', ?2)`,
  )
  const rows = Array.from({ length: count }, async (_, index) => {
    const number = index + 1
    const manifest = { ...EMPTY_MANIFEST, script, settings: { number } }
    const digest = await digestOf(manifest)
    await artifactStore(artifacts).putManifest(number, manifest, digest)
    return insert.bind(script, number, digest)
  })
  await db.batch(await Promise.all(rows))
}

/** Scripts of the same team with so many old versions, of which two are kept. */
async function seedScripts(count: number, ...names: string[]): Promise<void> {
  for (const name of names) {
    await plane.send(`PUT /v1/scripts/${name}`, { token, body: { keepPlacedVersions: 2 } })
    await seed(name, count)
  }
  plane.pass(HOLD_MS)
}

async function publishOnly(code: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}` }
  const url = "https://control-plane.example/v1/scripts/pages/versions"
  const body = uploadBody({ code: `export default ${code}` })
  const answer = await plane.fetch(new Request(url, { method: "POST", headers, body }))
  expect(answer.ok).toBe(true)
}

const EMPTY_MANIFEST: Omit<Manifest, "script" | "settings"> = {
  format: 1,
  mainModule: null,
  modules: [],
  bindings: [],
  compatibilityDate: "2026-10-01",
  compatibilityFlags: [],
  assets: null,
}
const all = (version: number) => [{ version, weightBps: 10_000 }]
const retire = () => retireVersions(plane.deps)
const placed = () => [...cloudflare.scripts.keys()].sort()
const names = (...versions: number[]) => versions.map((version) => `pages--v${version}`)
const states = async () => {
  const { items } = await plane.deps.store.versions.list("pages", { limit: ABOVE_ALL_VERSIONS })
  return items.map(({ state }) => state).reverse()
}
const open = async () => await plane.deps.store.removals.due(Number.MAX_SAFE_INTEGER, ABOVE_ALL_VERSIONS)
const send = (line: string, body: unknown = {}) => plane.send(line, { token, body })
const deploy = (version: number) => send("POST /v1/scripts/pages/deployments", { releases: all(version) })
const calls = (method: string) => cloudflare.calls.filter((call) => call.startsWith(method))
async function actions(): Promise<string[]> {
  const { body } = await plane.send("GET /v1/audit?limit=200")
  return body.items.map(({ action }: { action: string }) => action).reverse()
}
async function route(fields: Readonly<Record<string, unknown>> = {}) {
  await plane.send("PUT /v1/hostnames/api.procore.com", { body: { team: "web", open: false } })
  const sent = await plane.send("PUT /v1/routes/pages", { token, body: routeBody({ script: "pages", ...fields }) })
  expect(sent.status).toBeLessThan(300)
}
async function schedule() {
  await resumeDeployments(plane.deps)
  await healPublication(plane.deps)
  await retire()
}

describe("a version that nothing needs any more", () => {
  it("is retired and taken out of the namespace; those with traffic and the last used stay", async () => {
    await uploadAll(4)
    await retire()
    expect(placed()).toEqual(names(3, 4))
    expect(await states()).toEqual(["retired", "retired", "verified", "verified"])
    expect(await open()).toEqual([])
    expect(plane.logs.filter(({ event }) => event === "version.removed")).toHaveLength(2)
  })

  it("leaves an audit record before it goes, which says what it was", async () => {
    await uploadAll(3)
    const seen: string[] = []
    beforeDeleteOf = { version: 1, run: async () => seen.push(...(await actions()).slice(-1)) }
    await retire()
    expect(seen).toEqual(["version.retire"])
    const [record] = (await plane.send("GET /v1/audit?limit=1")).body.items
    expect(record).toMatchObject({
      actor: "system",
      action: "version.retire",
      target: "scripts/pages/versions/1",
      detail: { from: "verified", usedAt: "2026-11-20T12:00:00.000Z" },
    })
    expect((await plane.send("GET /v1/audit/verify")).body).toMatchObject({ intact: true })
  })

  it("stays for the day after it lost its traffic, however long ago it was uploaded", async () => {
    await uploadAll(1)
    await upload("2")
    await upload("3")
    plane.pass(HOLD_MS - 1)
    await retire()
    expect(placed()).toEqual(names(1, 2, 3))
    plane.pass(1)
    await retire()
    expect(placed()).toEqual(names(2, 3))
  })

  it("is one of so many a minute, and the rest goes later", async () => {
    await seed("pages", REMOVED_AT_ONCE + 5)
    plane.pass(HOLD_MS)
    await retire()
    expect(calls("DELETE")).toHaveLength(REMOVED_AT_ONCE)
    await retire()
    expect(calls("DELETE")).toHaveLength(REMOVED_AT_ONCE + 3)
    expect((await states()).filter((state) => state === "verified")).toHaveLength(2)
  })

  it("does not end before the others when Cloudflare has something against removing it", async () => {
    await uploadAll(5)
    cloudflare.failNext("DELETE", refused)
    await retire()
    expect(placed()).toEqual(names(1, 4, 5))
    plane.pass(HOLD_MS - 1)
    await retire()
    expect(placed()).toEqual(names(1, 4, 5))
    plane.pass(1)
    await retire()
    expect(placed()).toEqual(names(4, 5))
  })

  it("that Cloudflare refused is taken out too, if it is there, and stays failed", async () => {
    await uploadAll(2)
    await upload("3", { code: "SYNTAX ERROR" })
    plane.pass(HOLD_MS)
    await retire()
    expect(await states()).toEqual(["verified", "verified", "failed"])
    expect(calls("DELETE")).toHaveLength(1)
    await retire()
    expect(calls("DELETE")).toHaveLength(1)
  })

  it("is found behind however many older ones that are to stay", async () => {
    await send("PUT /v1/scripts/pages", { keepPlacedVersions: 20 })
    await seed("pages", 15)
    await plane.deps.db.prepare("UPDATE versions SET state = 'failed' WHERE number > 13").run()
    plane.pass(HOLD_MS)
    await retire()
    expect(calls("DELETE").map((call) => call.replace(/.*--v(\d+).*/, "$1"))).toEqual(["14", "15"])
  })

  it("that was recorded, placed and never noted as such is taken out", async () => {
    await uploadAll(3)
    await plane.deps.store.versions.setState("pages", 1, "recorded", SYSTEM)
    await retire()
    expect(placed()).toEqual(names(2, 3))
    expect((await states())[0]).toBe("recorded")
  })

  it("is shown as retired by the API", async () => {
    await uploadAll(3)
    await retire()
    const { body } = await plane.send("GET /v1/scripts/pages/versions", { token })
    expect(body.items.map((each: { state: string }) => each.state)).toEqual(["verified", "verified", "retired"])
    const one = await plane.send("GET /v1/scripts/pages/versions/1", { token })
    expect(one.body.state).toBe("retired")
    for (const field of ["usedAtMs", "heldUntilMs", "removedAtMs"]) expect(one.body).not.toHaveProperty(field)
  })
})

describe("what stays in the namespace", () => {
  it("is what a canary gives traffic to, by the script's deployment", async () => {
    await uploadAll(4)
    const releases = [
      { version: 1, weightBps: 1 },
      { version: 4, weightBps: 9_999 },
    ]
    await send("POST /v1/scripts/pages/deployments", { releases })
    plane.pass(30 * HOLD_MS)
    await retire()
    expect(placed()).toEqual(names(1, 4))
  })

  it("is what a route names with weights of its own, until a day after it names it no longer", async () => {
    await uploadAll(2)
    await route({ releases: all(1) })
    await upload("3")
    await upload("4")
    plane.pass(30 * HOLD_MS)
    await retire()
    expect(placed()).toEqual(names(1, 3, 4))
    await route()
    await retire()
    expect(placed()).toEqual(names(1, 4))
    await upload("5")
    await upload("6")
    plane.pass(HOLD_MS)
    await retire()
    expect(placed()).toEqual(names(5, 6))
  })

  it("is what a deployment names that was begun", async () => {
    await uploadAll(4)
    const begun = await plane.deps.store.deployments.record("pages", all(1), null, SYSTEM)
    await retire()
    expect(placed()).toEqual(names(1, 3, 4))
    await plane.deps.store.deployments.fail(begun.id, SYSTEM)
    await retire()
    expect(placed()).toEqual(names(3, 4))
  })

  it("is what a release pin asks for, until it has ended", async () => {
    await uploadAll(3)
    expect((await send("POST /v1/scripts/pages/pins", { version: 1, lifetimeS: 60 })).status).toBe(201)
    expect((await send("POST /v1/scripts/pages/pins", { version: 1, lifetimeS: 10 })).status).toBe(201)
    plane.pass(59_999)
    await retire()
    expect(placed()).toEqual(names(1, 2, 3))
    plane.pass(1)
    await retire()
    expect(placed()).toEqual(names(2, 3))
  })

  it("is what was uploaded within the day, with and without traffic", async () => {
    await uploadAll(1)
    await publishOnly("2")
    await publishOnly("3")
    await publishOnly("4")
    plane.pass(HOLD_MS - 1)
    await retire()
    expect(placed()).toEqual(names(1, 2, 3, 4))
    plane.pass(1)
    await retire()
    // The first has the traffic; of the others the last uploaded are kept.
    expect(placed()).toEqual(names(1, 3, 4))
  })

  it("is what was uploaded again, also as what was uploaded last", async () => {
    await uploadAll(2)
    await publishOnly("3")
    plane.pass(1)
    await deploy(1)
    await deploy(2)
    plane.pass(HOLD_MS)
    await publishOnly("3")
    await retire()
    expect(placed()).toEqual(names(2, 3))
  })

  it("is more where the script's setting says so, between 2 and 100", async () => {
    for (const keepPlacedVersions of [1, 101, 2.5, "3", null])
      expect((await send("PUT /v1/scripts/pages", { keepPlacedVersions })).status).toBe(400)
    await uploadAll(4)
    expect((await send("PUT /v1/scripts/pages", { keepPlacedVersions: 3 })).body.keepPlacedVersions).toBe(3)
    await retire()
    expect(placed()).toEqual(names(2, 3, 4))
  })

  it("is all of it while a registry is behind what KV names, or has never published", async () => {
    await uploadAll(3)
    const pointer = await plane.pointer()
    await plane.deps.config.put("config/current", JSON.stringify({ ...pointer, revision: 10_000 }))
    expect(await plane.pointer()).toMatchObject({ revision: 10_000 })
    await retire()
    expect(placed()).toEqual(names(1, 2, 3))
  })
})

describe("a config that KV took late, or has not taken", () => {
  const live = (at: number | null) =>
    plane.deps.db
      .prepare("UPDATE config_revisions SET live_at = ? WHERE revision = (SELECT max(revision) FROM config_revisions)")
      .bind(at === null ? null : new Date(at).toISOString())
      .run()

  it("keeps everything in the namespace until edges have heard of it for an hour", async () => {
    await uploadAll(3)
    await live(null)
    await retire()
    expect(placed()).toEqual(names(1, 2, 3))
    await live(plane.deps.clock.now())
    plane.pass(60 * 60_000)
    await retire()
    expect(placed()).toEqual(names(1, 2, 3))
    plane.pass(1)
    await retire()
    expect(placed()).toEqual(names(2, 3))
  })

  it("does so also where one after it was taken at once", async () => {
    await uploadAll(3)
    await live(null)
    await plane.send("PUT /v1/hostnames/api.procore.com", { body: { team: "web", open: false } })
    await retire()
    expect(placed()).toEqual(names(1, 2, 3))
    plane.pass(2 * 60 * 60_000)
    await retire()
    expect(placed()).toEqual(names(2, 3))
  })

  it("is not one that was taken within minutes, or is young", async () => {
    await uploadAll(3)
    plane.pass(-HOLD_MS)
    await live(plane.deps.clock.now() + 5 * 60_000)
    plane.pass(HOLD_MS)
    await plane.send("PUT /v1/hostnames/api.procore.com", { body: { team: "web", open: false } })
    await live(null)
    await retire()
    expect(placed()).toEqual(names(2, 3))
  })
})

describe("a retired version", () => {
  beforeEach(async () => {
    await uploadAll(4)
    await route()
    await retire()
    cloudflare.calls.length = 0
  })

  it("is placed again by a deployment, and only that", async () => {
    expect((await deploy(1)).status).toBe(201)
    expect((await plane.published()).scripts.pages.releases).toEqual(all(1))
    expect(placed()).toEqual(names(1, 3, 4))
    expect(await states()).toEqual(["verified", "retired", "verified", "verified"])
    expect((await actions()).slice(-4)).toEqual([
      "deployment.create",
      "version.place-again",
      "version.verified",
      "deployment.publish",
    ])
  })

  it("is placed again by a rollback to it", async () => {
    expect((await send("POST /v1/scripts/pages/rollback", { version: 2 })).status).toBe(201)
    expect(placed()).toEqual(names(2, 3, 4))
  })

  it("is placed again by an upload of its content, as the same version", async () => {
    expect((await upload("1")).status).toBe(200)
    expect(await plane.deps.store.versions.latest("pages")).toBe(4)
    expect((await plane.published()).scripts.pages.releases).toEqual(all(1))
    expect(placed()).toEqual(names(1, 3, 4))
  })

  it("is placed again by a pin, and stays as long as that", async () => {
    expect((await send("POST /v1/scripts/pages/pins", { version: 1, lifetimeS: 3600 })).status).toBe(201)
    expect(placed()).toEqual(names(1, 3, 4))
    expect((await states())[0]).toBe("verified")
    plane.pass(HOLD_MS)
    await retire()
    expect(placed()).toEqual(names(3, 4))
  })

  it("is nothing that a route may be led to by weights of its own, before it was placed again", async () => {
    const put = () =>
      plane.send("PUT /v1/routes/pages", { token, body: routeBody({ script: "pages", releases: all(1) }) })
    const refused = await put()
    expect(refused.body).toMatchObject({ code: "version.not-placed", errors: [{ pointer: "/releases/0/version" }] })
    expect(refused.body.errors[0].detail).toContain("sallyport pins create pages 1")
    expect((await send("POST /v1/scripts/pages/pins", { version: 1 })).status).toBe(201)
    expect((await put()).status).toBe(200)
  })

  it("is not taken for placed because Cloudflare still shows it", async () => {
    const [digest] = (await plane.deps.store.versions.list("pages", { limit: 4 })).items
      .filter(({ number }) => number === 1)
      .map((each) => each.digest)
    cloudflare.failNext("GET", { kind: "result", result: { script: { etag: "old", tags: [`digest-${digest}`] } } })
    expect((await deploy(1)).status).toBe(201)
    expect(placed()).toEqual(names(1, 3, 4))
  })

  it("does not make a rollback to what stayed call Cloudflare", async () => {
    expect((await send("POST /v1/scripts/pages/rollback")).status).toBe(201)
    expect((await plane.published()).scripts.pages.releases).toEqual(all(3))
    expect(cloudflare.calls).toEqual([])
  })

  it("is not called placed by a placing that began before it was taken out", async () => {
    const { setState } = plane.deps.store.versions
    for (const state of ["placed", "verified"] as const)
      await expect(setState("pages", 1, state, SYSTEM)).rejects.toMatchObject({ code: "api.busy" })
    expect((await states())[0]).toBe("retired")
    expect(await plane.deps.store.versions.beginPlacing("pages", 1, SYSTEM)).toBe(true)
    await setState("pages", 1, "placed", SYSTEM)
    expect((await states())[0]).toBe("placed")
  })

  it("whose artifacts are gone ends the deployment to it, and the traffic stays", async () => {
    await plane.deps.artifacts.delete("manifests/pages/1.json")
    expect((await deploy(1)).body.code).toBe("version.not-placed")
    expect((await plane.published()).scripts.pages.releases).toEqual(all(4))
    expect(await plane.deps.store.deployments.unfinished()).toEqual([])
  })
})

describe("while Cloudflare does not answer", () => {
  it("everything stays as it is, to be tried the next minute", async () => {
    await uploadAll(4)
    const before = await actions()
    cloudflare.failNext("GET", busy, busy, busy, busy)
    await retire()
    expect(placed()).toEqual(names(1, 2, 3, 4))
    expect(await states()).toEqual(["verified", "verified", "verified", "verified"])
    expect(await actions()).toEqual(before)
    expect(plane.logs.at(-1)).toMatchObject({ event: "version.not-removed", script: "pages", number: 1 })
    await retire()
    expect(placed()).toEqual(names(3, 4))
  })

  it("no more than one is on its way out, and is removed later", async () => {
    await uploadAll(4)
    cloudflare.failNext("DELETE", busy, busy, busy, busy)
    await retire()
    expect(await states()).toEqual(["retired", "verified", "verified", "verified"])
    expect(await open()).toMatchObject([{ script: "pages", number: 1 }])
    plane.pass(CLAIM_MS)
    await retire()
    expect(placed()).toEqual(names(3, 4))
    expect(await open()).toEqual([])
  })

  it("nothing is spent beyond the share of what can wait", async () => {
    await uploadAll(4)
    const limit = Math.floor(plane.deps.settings.cloudflare.callLimit / 2)
    const bounds = { team: null, mostOfAll: limit, mostOfTeam: null, despiteRefusal: false }
    expect(await plane.deps.store.calls.reserve(plane.deps.clock.now(), { ...bounds, calls: limit })).toBe(true)
    cloudflare.calls.length = 0
    await retire()
    expect(cloudflare.calls).toEqual([])
    expect(await states()).toEqual(["verified", "verified", "verified", "verified"])
  })
})

describe("a removal whose answer was lost", () => {
  it("is made again, and nothing is placed until one was answered that none of before can come after", async () => {
    await uploadAll(3)
    await route()
    cloudflare.failNext("DELETE", { kind: "lost-answer" })
    await retire()
    expect(placed()).toEqual(names(2, 3))
    expect(await open()).toHaveLength(1)
    const refused = await deploy(1)
    expect([refused.status, refused.body.code, refused.headers.get("retry-after")]).toEqual([503, "api.busy", "10"])
    plane.pass(CLAIM_MS - 1)
    await schedule()
    expect((await plane.published()).scripts.pages.releases).toEqual(all(3))
    expect(placed()).toEqual(names(2, 3))
    plane.pass(1)
    await schedule()
    expect(await open()).toEqual([])
    await schedule()
    expect((await plane.published()).scripts.pages.releases).toEqual(all(1))
    expect(placed()).toEqual(names(1, 3))
  })

  it("takes away nothing when the call comes late", async () => {
    await uploadAll(3)
    await route()
    const late: (() => Promise<unknown>)[] = []
    const { fetch } = cloudflare
    let isLost = true
    Object.assign(cloudflare, {
      fetch: async (input: RequestInfo, init?: RequestInit) => {
        const request = new Request(input, init)
        if (request.method !== "DELETE" || !isLost) return await fetch(request)
        late.push(() => fetch(request))
        throw new TypeError("Network connection lost.")
      },
    })
    await retire()
    expect(placed()).toEqual(names(1, 2, 3))
    expect((await deploy(1)).body.code).toBe("api.busy")
    isLost = false
    // As late as the bound lets one come.
    plane.pass(CLAIM_MS)
    for (const call of late) await call()
    await schedule()
    await schedule()
    expect((await plane.published()).scripts.pages.releases).toEqual(all(1))
    expect(placed()).toEqual(names(1, 3))
  })

  it("is made again by one of several schedules at once", async () => {
    await uploadAll(3)
    cloudflare.failNext("DELETE", busy, busy, busy, busy)
    await retire()
    plane.pass(CLAIM_MS)
    cloudflare.calls.length = 0
    await Promise.all([retire(), retire(), retire()])
    expect(calls("DELETE")).toHaveLength(1)
    expect(await open()).toEqual([])
  })

  it("is not sent when what was before took so long that the claim may not outlast it", async () => {
    await uploadAll(3)
    const { artifacts } = plane.deps
    const slow = new Proxy(artifacts, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name)
        if (typeof member !== "function") return member
        if (name === "put") plane.pass(60_000)
        return member.bind(target)
      },
    })
    await retireVersions({ ...plane.deps, artifacts: slow })
    expect(calls("DELETE")).toEqual([])
    expect(await states()).toEqual(["retired", "verified", "verified"])
    plane.pass(CLAIM_MS)
    await retire()
    expect(placed()).toEqual(names(2, 3))
  })
})

describe("a deployment to a version that is retired in the same moment", () => {
  beforeEach(async () => {
    await uploadAll(3)
    await route()
  })
  const trafficIsPlaced = async () => {
    const releases: { version: number }[] = (await plane.published()).scripts.pages.releases
    for (const { version } of releases) {
      expect(placed()).toContain(`pages--v${version}`)
      expect((await plane.deps.store.versions.get("pages", version))?.state).toBe("verified")
    }
    return releases.map(({ version }) => version)
  }

  it("keeps it when it is recorded first", async () => {
    const [answer] = await Promise.all([overtaken.next(() => deploy(1)), retire()])
    expect(answer.status).toBe(201)
    expect(await trafficIsPlaced()).toEqual([1])
    expect(calls("DELETE")).toEqual([])
  })

  it("finds it retired when it is recorded after, waits for the removal, and comes into force", async () => {
    const answers: Sent[] = []
    beforeDeleteOf = { version: 1, run: async () => answers.push(await deploy(1)) }
    await retire()
    expect(answers.map(({ status, body }) => [status, body.code])).toEqual([[503, "api.busy"]])
    expect(await trafficIsPlaced()).toEqual([3])
    plane.pass(61_000)
    await schedule()
    expect(await trafficIsPlaced()).toEqual([1])
    expect(await plane.deps.store.deployments.unfinished()).toEqual([])
  })

  it("does not lead there when the version is no longer whole by the time it is published, and is begun still", async () => {
    const begun = await plane.deps.store.deployments.record("pages", all(1), null, SYSTEM)
    await plane.deps.db.prepare("UPDATE versions SET state = 'placed' WHERE number = 1").run()
    await expect(publishDeployment(begun.id, SYSTEM, plane.deps)).rejects.toMatchObject({ code: "api.busy" })
    expect(await trafficIsPlaced()).toEqual([3])
    plane.pass(61_000)
    await resumeDeployments(plane.deps)
    expect(await trafficIsPlaced()).toEqual([1])
  })

  it("by an upload of its content keeps it, or is told to wait", async () => {
    const [answer] = await Promise.all([overtaken.next(() => upload("1")), retire()])
    expect(answer.status).toBe(200)
    expect(await trafficIsPlaced()).toEqual([1])
    await upload("3")
    await upload("2")
    plane.pass(HOLD_MS)
    const statuses: number[] = []
    beforeDeleteOf = { version: 1, run: async () => statuses.push((await upload("1")).status) }
    await retire()
    expect(statuses).toEqual([503])
    plane.pass(61_000)
    await schedule()
    expect(await trafficIsPlaced()).toEqual([1])
  })

  it("by a route's own weights keeps it, or is refused", async () => {
    const put = () =>
      plane.send("PUT /v1/routes/pages", { token, body: routeBody({ script: "pages", releases: all(1) }) })
    const [answer] = await Promise.all([overtaken.next(put), retire()])
    expect(answer.status).toBe(200)
    expect(placed()).toContain("pages--v1")
    await route()
    await upload("4")
    await upload("5")
    plane.pass(HOLD_MS)
    const codes: string[] = []
    beforeDeleteOf = { version: 1, run: async () => codes.push((await put()).body.code) }
    await retire()
    expect(codes).toEqual(["version.not-placed"])
    expect(placed()).toEqual(names(4, 5))
  })

  it("by a pin keeps it", async () => {
    const pin = () => send("POST /v1/scripts/pages/pins", { version: 1 })
    const [answer] = await Promise.all([overtaken.next(pin), retire()])
    expect(answer.status).toBe(201)
    expect(placed()).toEqual(names(1, 2, 3))
    expect(calls("DELETE")).toEqual([])
  })

  it("is undisturbed by two schedules at once, which remove each version once", async () => {
    await uploadAll(6)
    cloudflare.calls.length = 0
    await Promise.all([retire(), retire(), retire()])
    expect(placed()).toEqual(names(5, 6))
    expect(new Set(calls("DELETE")).size).toBe(4)
    expect(calls("DELETE")).toHaveLength(4)
    expect((await actions()).filter((action) => action === "version.retire")).toHaveLength(4)
  })
})

describe("a version that Cloudflare refuses to remove", () => {
  beforeEach(async () => {
    await uploadAll(3)
    await route()
  })
  const traffic = async () => (await plane.published()).scripts.pages.releases

  it("can be deployed at once, because no call is under way, and leaves that it was so in the audit", async () => {
    cloudflare.failNext("DELETE", refused)
    await retire()
    expect(await open()).toEqual([])
    expect((await actions()).slice(-2)).toEqual(["version.retire", "version.removal-refused"])
    expect((await deploy(1)).status).toBe(201)
    expect(await traffic()).toEqual(all(1))
    expect(placed()).toEqual(names(1, 2, 3))
    expect((await plane.send("GET /v1/audit/verify")).body).toMatchObject({ intact: true })
  })

  it("can be deployed at once also where the first call was never answered, and one of a later run is refused", async () => {
    cloudflare.failNext("DELETE", busy, busy, busy, busy)
    await retire()
    plane.pass(CLAIM_MS)
    cloudflare.failNext("DELETE", refused)
    await retire()
    expect((await deploy(1)).status).toBe(201)
  })

  it("is not taken for standing there when it was the repetition that was refused: the first call may yet come", async () => {
    cloudflare.failNext("DELETE", { kind: "lost-request" }, refused)
    await retire()
    expect(await open()).toMatchObject([{ script: "pages", number: 1 }])
    expect((await deploy(1)).body.code).toBe("api.busy")
  })

  it("and that an earlier team of the name left is left alone for a day, and in nobody's way", async () => {
    const left = Array.from({ length: REMOVED_AT_ONCE }, (_, index) => index)
    const insert = plane.deps.db.prepare("INSERT INTO removals (script, number, due_at_ms) VALUES ('given', ?, 0)")
    await plane.deps.db.batch(left.map((number) => insert.bind(number)))
    cloudflare.failNext("DELETE", ...left.slice(0, REMOVED_AT_ONCE / 2).map(() => refused))
    await retire()
    expect(placed()).toEqual(names(2, 3))
    expect((await open()).filter(({ dueAtMs }) => dueAtMs > plane.deps.clock.now())).toHaveLength(REMOVED_AT_ONCE / 2)
    plane.pass(HOLD_MS)
    await retire()
    expect(await open()).toEqual([])
  })
})

describe("a script that Cloudflare never answers about", () => {
  const removedOf = (script: string) => calls("DELETE").filter((call) => call.includes(`/${script}--v`)).length

  it("keeps no other from being retired, in the same run", async () => {
    await seedScripts(4, "aaa", "bbb", "ccc")
    failsFor = /^GET aaa--v1$/
    await retire()
    expect([removedOf("aaa"), removedOf("bbb"), removedOf("ccc")]).toEqual([0, 2, 2])
  })

  it("keeps the other versions of its script only for that run, and is tried again an hour later", async () => {
    await seedScripts(5, "aaa", "bbb")
    failsFor = /^GET aaa--v1$/
    await retire()
    await retire()
    expect(removedOf("aaa")).toBe(2)
    const asked = () => calls("GET").filter((call) => call.endsWith("/aaa--v1")).length
    const before = asked()
    plane.pass(LATER_MS - 1)
    await retire()
    expect(asked()).toBe(before)
    failsFor = null
    plane.pass(1)
    await retire()
    expect(removedOf("aaa")).toBe(3)
  })

  it("is one of so many in a row that end a run, so that an outage costs few calls; the next begins with another", async () => {
    const scripts = ["aaa", "bbb", "ccc", "ddd", "eee", "fff"]
    await seedScripts(3, ...scripts)
    failsFor = /^GET/
    const first = new Set<string>()
    for (let run = 0; run < scripts.length; run++) {
      cloudflare.calls.length = 0
      await retire()
      const asked = [...new Set(calls("GET").map((call) => call.replace(/.*\/(.*)--.*/, "$1")))]
      expect(asked).toHaveLength(MOST_FAILURES)
      first.add(asked[0] ?? "")
      plane.pass(60_000)
    }
    expect([...first].sort()).toEqual(scripts)
    expect(calls("DELETE")).toEqual([])
  })

  it("ends a run also where scripts lie between of which nothing may go", async () => {
    await seedScripts(3, "aaa", "bbb", "ccc", "ddd", "eee", "fff", "ggg")
    const held = plane.deps.db.prepare("UPDATE versions SET held_until_ms = ? WHERE script IN ('bbb', 'ddd', 'fff')")
    await held.bind(plane.deps.clock.now() + 1).run()
    failsFor = /^GET/
    await retire()
    expect(new Set(calls("GET")).size).toBe(MOST_FAILURES)
  })

  it("does not end a run with one less in a row, whichever comes first", async () => {
    await seedScripts(40, "aaa", "bbb", "ccc")
    failsFor = /^GET (aaa|bbb)/
    for (let run = 0; run < MOST_FAILURES; run++) {
      cloudflare.calls.length = 0
      await retire()
      expect(removedOf("ccc")).toBeGreaterThan(0)
      plane.pass(60_000)
    }
  })

  it("and whose removal was begun keeps nothing else from being retired", async () => {
    await seedScripts(3, "bbb")
    const insert = plane.deps.db.prepare("INSERT INTO removals (script, number, due_at_ms) VALUES ('aaa', ?, 0)")
    await plane.deps.db.batch([1, 2, 3, 4, 5].map((number) => insert.bind(number)))
    failsFor = /^DELETE aaa/
    await retire()
    expect(removedOf("bbb")).toBe(1)
    cloudflare.calls.length = 0
    plane.pass(LATER_MS - 1)
    await retire()
    expect(calls("DELETE")).toEqual([])
    failsFor = null
    plane.pass(1)
    await retire()
    expect(await open()).toEqual([])
  })
})

describe("the places of a run", () => {
  const removedOf = (script: string) => calls("DELETE").filter((call) => call.includes(`/${script}--v`)).length

  it("are shared, so that a script with very many takes them from none", async () => {
    await seedScripts(40, "aaa")
    await seedScripts(6, "bbb", "ccc")
    await retire()
    expect([removedOf("aaa"), removedOf("bbb"), removedOf("ccc")]).toEqual([12, 4, 4])
    expect(REMOVED_IN_TURN).toBe(4)
  })

  it("are shared with what an earlier team of a name left, and neither leaves any unused", async () => {
    await seedScripts(40, "bbb")
    const insert = plane.deps.db.prepare("INSERT INTO removals (script, number, due_at_ms) VALUES ('aaa', ?, 0)")
    await plane.deps.db.batch(Array.from({ length: 30 }, (_, number) => insert.bind(number)))
    await retire()
    expect([removedOf("aaa"), removedOf("bbb")]).toEqual([10, 10])
    await plane.deps.db.prepare("DELETE FROM versions WHERE script = 'bbb'").run()
    await retire()
    expect(removedOf("aaa")).toBe(30)
  })
})

describe("a version that could not be placed again", () => {
  const irreplaceable = () => plane.logs.filter(({ event }) => event === "version.irreplaceable")
  async function staysWhole() {
    await retire()
    expect(placed()).toEqual(names(1, 3, 4))
    expect(await states()).toEqual(["verified", "retired", "verified", "verified"])
    expect(irreplaceable()).toMatchObject([{ script: "pages", number: 1 }])
  }

  it("stays where its manifest is gone, and is looked for again a day later", async () => {
    await uploadAll(4)
    const key = "manifests/pages/1.json"
    const text = (await (await plane.deps.artifacts.get(key))?.text()) ?? ""
    await plane.deps.artifacts.delete(key)
    await staysWhole()
    await plane.deps.artifacts.put(key, text)
    plane.pass(HOLD_MS - 1)
    await retire()
    expect(placed()).toEqual(names(1, 3, 4))
    expect(irreplaceable()).toHaveLength(1)
    plane.pass(1)
    await retire()
    expect(placed()).toEqual(names(3, 4))
    expect((await deploy(1)).status).toBe(201)
  })

  it("stays where its manifest is another", async () => {
    await uploadAll(4)
    await plane.deps.artifacts.put("manifests/pages/1.json", "{}")
    await staysWhole()
  })

  it("stays where a file of it is gone", async () => {
    await uploadAll(4)
    const manifest = await (await plane.deps.artifacts.get("manifests/pages/1.json"))?.json<Manifest>()
    await plane.deps.artifacts.delete(`blobs/${manifest?.modules[0]?.sha256}`)
    await staysWhole()
  })

  it("stays where its secrets cannot be opened any more", async () => {
    const metadata = { keep_bindings: [], bindings: [{ type: "secret_text", name: "KEY", text: "x" }] }
    expect((await upload("1", { metadata })).status).toBe(200)
    for (const code of ["2", "3", "4"]) await upload(code, { metadata: { keep_bindings: [] } })
    plane.pass(HOLD_MS)
    const settings = { ...plane.deps.settings, artifactKey: null }
    await retireVersions({ ...plane.deps, settings })
    expect(placed()).toEqual(names(1, 3, 4))
    plane.pass(HOLD_MS)
    await retire()
    expect(placed()).toEqual(names(3, 4))
  })

  it("stays, and is not taken for lost, while R2 does not answer", async () => {
    await uploadAll(4)
    const silent = new Proxy(plane.deps.artifacts, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name)
        if (typeof member !== "function") return member
        return (...given: unknown[]) => {
          if (String(given[0]).startsWith("blobs/")) throw new Error("no answer")
          return Reflect.apply(member, target, given)
        }
      },
    })
    await retireVersions({ ...plane.deps, artifacts: silent })
    expect(placed()).toEqual(names(1, 2, 3, 4))
    expect(irreplaceable()).toEqual([])
    await retire()
    expect(placed()).toEqual(names(3, 4))
  })

  it("is removed all the same when it was never whole", async () => {
    await uploadAll(3)
    await plane.deps.store.versions.setState("pages", 1, "recorded", SYSTEM)
    await plane.deps.artifacts.delete("manifests/pages/1.json")
    await retire()
    expect(placed()).toEqual(names(2, 3))
  })
})

describe("a script that was deleted", () => {
  it("leaves nothing in the namespace a day later, and its versions can be deployed once it is claimed again", async () => {
    await uploadAll(3)
    expect((await plane.send("DELETE /v1/scripts/pages", { token })).status).toBe(204)
    plane.pass(HOLD_MS - 1)
    await retire()
    expect(placed()).toEqual(names(1, 2, 3))
    plane.pass(1)
    await retire()
    expect(placed()).toEqual([])
    expect(await states()).toEqual(["retired", "retired", "retired"])
    await send("PUT /v1/scripts/pages")
    expect((await deploy(2)).status).toBe(201)
    expect(placed()).toEqual(names(2))
  })

  it("and is claimed again within the day has for a day what lost its traffic by it", async () => {
    await uploadAll(3)
    const releases = [1, 3].map((version) => ({ version, weightBps: 5_000 }))
    expect((await send("POST /v1/scripts/pages/deployments", { releases })).status).toBe(201)
    plane.pass(HOLD_MS)
    await plane.send("DELETE /v1/scripts/pages", { token })
    plane.pass(1)
    await send("PUT /v1/scripts/pages", { keepPlacedVersions: 2 })
    await publishOnly("4")
    await publishOnly("5")
    plane.pass(HOLD_MS - 2)
    await retire()
    expect(placed()).toEqual(names(1, 3, 4, 5))
    plane.pass(1)
    await retire()
    expect(placed()).toEqual(names(4, 5))
  })
})

describe("a name that changes hands", () => {
  const give = () => plane.send("PUT /v1/scripts/pages", { body: { team: "store" } })
  beforeEach(async () => {
    await plane.team("store")
    await uploadAll(3)
    await plane.send("DELETE /v1/scripts/pages", { token })
    plane.pass(60_000)
    expect((await give()).body.team).toBe("store")
  })

  it("leaves nothing of the earlier team in the namespace a day later, and all until then", async () => {
    plane.pass(HOLD_MS - 1)
    await retire()
    expect(placed()).toEqual(names(1, 2, 3))
    plane.pass(1)
    await retire()
    expect(placed()).toEqual([])
    expect(await open()).toEqual([])
  })

  it("takes nothing from the new team, whose versions are others", async () => {
    const other = (await plane.send("POST /v1/teams/store/tokens", { body: { label: "x" } })).body.token
    await plane.fetch(putRequest("pages", other, { code: "export default 'new'" }))
    plane.pass(HOLD_MS)
    await retire()
    expect(placed()).toEqual(names(4))
  })

  it("in a dry run leaves everything as it is", async () => {
    const before = await open()
    await plane.send("PUT /v1/scripts/pages?dry_run=true", { body: { team: "web" } })
    expect(await open()).toEqual(before)
  })
})

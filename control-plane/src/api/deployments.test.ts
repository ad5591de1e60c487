import { base64url, decodeProtectedHeader, jwtVerify } from "jose"
import { beforeEach, describe, it } from "vitest"
import { PIN_KEY, type Sent, startControlPlane, type TestControlPlane } from "../../test/harness.ts"
import { SYSTEM } from "../actor.ts"

let platform: TestControlPlane
let token: string
let kvFails = false
/** KV whose writes fail while `kvFails`. */
const failingKv = (kv: KVNamespace): KVNamespace =>
  new Proxy(kv, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== "function") return member
      return (...given: unknown[]) =>
        name === "put" && kvFails ? Promise.reject(new Error("KV is down")) : Reflect.apply(member, target, given)
    },
  })
beforeEach(async () => {
  kvFails = false
  platform = await startControlPlane((env) => ({ config: failingKv(env.CONFIG) }))
  token = await platform.team("alpha")
  await platform.script("files", "alpha", 3)
})

const all = (version: number) => [{ version, weightBps: 10_000 }]
const deploy = (releases: unknown, headers: Record<string, string> = {}, message?: string) =>
  platform.send("POST /v1/scripts/files/deployments", { token, body: { releases, message }, headers })
const rollback = (body: unknown = {}, headers: Record<string, string> = {}) =>
  platform.send("POST /v1/scripts/files/rollback", { token, body, headers })
const inForce = async () => (await platform.published()).scripts.files.releases

describe("deployments: works", () => {
  it("puts weights in force and says with which revision", async ({ expect }) => {
    const releases = [
      { version: 1, weightBps: 9_000 },
      { version: 2, weightBps: 1_000 },
    ]
    const sent = await deploy(releases, {}, "canary")
    expect(sent.status).toBe(201)
    expect(sent.body).toMatchObject({ script: "files", releases, phase: "published", message: "canary" })
    expect(String(sent.body.configRevision)).toBe(sent.headers.get("x-sallyport-config"))
    expect(sent.body.configRevision).toBe((await platform.pointer())?.revision)
    expect(await inForce()).toEqual(releases)
    const read = await platform.send(`GET /v1/scripts/files/deployments/${sent.body.id}`, { token })
    expect(read.body).toEqual(sent.body)
  })

  it("records the intent before the effect, and both in the audit", async ({ expect }) => {
    const { body } = await deploy(all(1))
    const { items } = (await platform.send("GET /v1/audit?limit=2")).body
    const target = `scripts/files/deployments/${body.id}`
    expect(items).toMatchObject([
      { action: "deployment.publish", target },
      { action: "deployment.create", target },
    ])
  })

  it("lets the newest of many concurrent deployments win, and loses none without saying so", async ({ expect }) => {
    const sent = await Promise.all([1, 2, 3, 1, 2, 3].map((version) => deploy(all(version))))
    const { items } = (await platform.send("GET /v1/scripts/files/deployments", { token })).body
    expect(items).toHaveLength(6)
    const [newest] = items
    expect(newest.phase).toBe("published")
    expect(await inForce()).toEqual(newest.releases)
    for (const each of sent) expect([201, 409]).toContain(each.status)
    const ended = new Map(items.map((item: { id: string; phase: string }) => [item.id, item.phase]))
    for (const each of sent.filter((one) => one.status === 201)) expect(ended.get(each.body.id)).toBe("published")
    expect([...ended.values()].filter((phase) => phase === "failed")).toHaveLength(
      sent.filter((one) => one.status === 409).length,
    )
  })
})

describe("rollback: works", () => {
  it("goes back to the deployment before, as a new deployment", async ({ expect }) => {
    await deploy(all(1))
    await deploy(all(2))
    const sent = await rollback({ message: "errors" })
    expect(sent.status).toBe(201)
    expect(await inForce()).toEqual(all(1))
    const { items } = (await platform.send("GET /v1/scripts/files/deployments", { token })).body
    expect(items.map((item: { releases: unknown }) => item.releases)).toEqual([all(1), all(2), all(1)])
  })

  it("goes back to the deployment or the version that is named", async ({ expect }) => {
    const first = await deploy(all(1))
    await deploy(all(2))
    await deploy(all(3))
    await rollback({ deployment: first.body.id })
    expect(await inForce()).toEqual(all(1))
    await rollback({ version: 2 })
    expect(await inForce()).toEqual(all(2))
  })
})

describe("rollback again", () => {
  it("walks further back, never forward to what was rolled back, and says when nothing is left", async ({ expect }) => {
    for (const version of [1, 2, 3]) await deploy(all(version))
    await rollback()
    expect(await inForce()).toEqual(all(2))
    await rollback()
    expect(await inForce()).toEqual(all(1))
    expect((await rollback()).body.code).toBe("deployment.none-before")
    expect(await inForce()).toEqual(all(1))
  })

  it("does not return to a mixture that holds the version it leaves, and ends a canary in one step", async ({
    expect,
  }) => {
    const mixed = (bps: number) => [
      { version: 1, weightBps: 10_000 - bps },
      { version: 2, weightBps: bps },
    ]
    await deploy(all(1))
    for (const bps of [1_000, 5_000]) await deploy(mixed(bps))
    await rollback()
    expect(await inForce()).toEqual(all(1))
    await deploy(mixed(5_000))
    await deploy(all(2))
    await rollback()
    expect(await inForce()).toEqual(all(1))
  })

  it("skips what an earlier rollback took back, though a good version was deployed since", async ({ expect }) => {
    await deploy(all(1))
    await deploy(all(2))
    await rollback()
    await deploy(all(1))
    expect((await rollback()).body.code).toBe("deployment.none-before")
    await deploy(all(3))
    await rollback()
    expect(await inForce()).toEqual(all(1))
  })

  it("goes further back after a rollback to a named version too, and back again only when told to", async ({
    expect,
  }) => {
    for (const version of [1, 2, 3]) await deploy(all(version))
    await rollback({ version: 2 })
    await rollback()
    expect(await inForce()).toEqual(all(1))
    await rollback({ version: 3 })
    expect(await inForce()).toEqual(all(3))
    await rollback()
    expect(await inForce()).toEqual(all(1))
  })

  it("with the key of one that was recorded but not published finishes that one", async ({ expect }) => {
    await deploy(all(1))
    await deploy(all(2))
    const key = { "idempotency-key": "lost" }
    kvFails = true
    expect((await rollback({}, key)).body.code).toBe("config.not-published")
    kvFails = false
    const again = await rollback({}, key)
    expect([again.status, again.body.releases]).toEqual([201, all(1)])
    expect(await inForce()).toEqual(all(1))
    expect((await rollback({}, key)).body.id).toBe(again.body.id)
    expect((await platform.send("GET /v1/scripts/files/deployments", { token })).body.items).toHaveLength(3)
  })
})

describe("If-Match", () => {
  it("holds a deployment and a rollback to the deployment that was in force when it was decided", async ({
    expect,
  }) => {
    const first = await deploy(all(1))
    const seen = { "if-match": `"${first.body.id}"` }
    expect((await deploy(all(2), seen)).status).toBe(201)
    const stale = await deploy(all(3), seen)
    expect([stale.status, stale.body.code]).toEqual([412, "api.precondition-failed"])
    expect((await rollback({}, seen)).status).toBe(412)
    expect((await rollback({}, { "if-match": stale.headers.get("etag") ?? "" })).status).toBe(201)
    expect(await inForce()).toEqual(all(1))
  })
})

describe("a deployment's ETag", () => {
  const etagOf = async (id: string) =>
    (await platform.send(`GET /v1/scripts/files/deployments/${id}`, { token })).headers.get("etag")

  it("is its id in quotes wherever it is answered, so that If-Match takes what was read", async ({ expect }) => {
    const first = await deploy(all(1))
    const tag = first.headers.get("etag") ?? ""
    expect([tag, await etagOf(first.body.id)]).toEqual([`"${first.body.id}"`, `"${first.body.id}"`])
    const second = await deploy(all(2), { "if-match": tag })
    expect(second.status).toBe(201)
    const back = await rollback({}, { "if-match": second.headers.get("etag") ?? "" })
    expect([back.status, back.headers.get("etag")]).toEqual([201, `"${back.body.id}"`])
    expect((await deploy(all(3), { "if-match": tag })).status).toBe(412)
  })

  it("is there once nothing of it changes any more, and saves reading it again", async ({ expect }) => {
    const begun = await platform.deps.store.deployments.record("files", all(1), null, SYSTEM)
    expect(await etagOf(begun.id)).toBeNull()
    await platform.deps.store.deployments.fail(begun.id, SYSTEM)
    expect(await etagOf(begun.id)).toBe(`"${begun.id}"`)
    const headers = { "if-none-match": `"${begun.id}"` }
    expect((await platform.send(`GET /v1/scripts/files/deployments/${begun.id}`, { token, headers })).status).toBe(304)
  })
})

describe("deployments: refuses", () => {
  const wrong: Record<string, unknown> = {
    "weights that do not sum up": [{ version: 1, weightBps: 9_999 }],
    "a version twice": [
      { version: 1, weightBps: 5_000 },
      { version: 1, weightBps: 5_000 },
    ],
    "no release": [],
    "a negative weight": [
      { version: 1, weightBps: 10_001 },
      { version: 2, weightBps: -1 },
    ],
  }
  for (const [what, releases] of Object.entries(wrong))
    it(`refuses ${what}`, async ({ expect }) => {
      expect((await deploy(releases)).body.code).toBe("api.body-invalid")
    })

  it("refuses a version that does not exist, and leaves traffic where it is", async ({ expect }) => {
    await deploy(all(1))
    expect((await deploy(all(4))).body.code).toBe("version.unknown")
    expect(await inForce()).toEqual(all(1))
  })

  it("refuses to roll back when there is nothing before, or to what is not of this script", async ({ expect }) => {
    expect((await rollback()).body.code).toBe("deployment.none-before")
    const only = await deploy(all(1))
    expect((await rollback()).body.code).toBe("deployment.none-before")
    await platform.script("other", "alpha", 1)
    const sent = await platform.send("POST /v1/scripts/other/rollback", { token, body: { deployment: only.body.id } })
    expect(sent.body.code).toBe("api.not-found")
    expect((await rollback({ deployment: only.body.id, version: 1 })).body.errors[0].pointer).toBe("/version")
    const read = await platform.send(`GET /v1/scripts/other/deployments/${only.body.id}`, { token })
    expect(read.body.code).toBe("api.not-found")
  })
})

describe("Idempotency-Key", () => {
  const key = { "idempotency-key": "9f3c" }

  it("answers a repeated request as the first time and deploys once", async ({ expect }) => {
    const first = await deploy(all(1), key)
    const second = await deploy(all(1), key)
    expect([second.status, second.body]).toEqual([201, first.body])
    expect(second.headers.get("idempotency-replayed")).toBe("true")
    expect((await platform.send("GET /v1/scripts/files/deployments", { token })).body.items).toHaveLength(1)
  })

  it("is answered again with the headers of the first time", async ({ expect }) => {
    const first = await deploy(all(1), key)
    await deploy(all(2))
    const second = await deploy(all(1), key)
    const told = (sent: Sent) => ["etag", "x-sallyport-config", "content-type"].map((name) => sent.headers.get(name))
    expect(told(second)).toEqual(told(first))
    expect(told(second)).not.toContain(null)
    // Kept before there were headers.
    await platform.deps.db.prepare("UPDATE idempotency SET headers = NULL").run()
    const third = await deploy(all(1), key)
    expect([third.status, third.body, third.headers.get("etag")]).toEqual([201, first.body, null])
  })

  it("lets exactly one of concurrent requests through", async ({ expect }) => {
    const sent = await Promise.all(Array.from({ length: 5 }, () => deploy(all(1), key)))
    expect(new Set(sent.map((each) => each.status))).toEqual(new Set([201, 409]))
    expect((await platform.send("GET /v1/scripts/files/deployments", { token })).body.items).toHaveLength(1)
  })

  it("refuses the key for another request, and knows nothing of other callers' keys", async ({ expect }) => {
    await deploy(all(1), key)
    expect((await deploy(all(2), key)).body.code).toBe("api.conflict")
    expect((await rollback({ version: 1 }, key)).body.code).toBe("api.conflict")
    const ops = { body: { releases: all(2) }, headers: key }
    expect((await platform.send("POST /v1/scripts/files/deployments", ops)).status).toBe(201)
  })

  it("lets a refused request be tried again with its key", async ({ expect }) => {
    expect((await deploy(all(4), key)).status).toBe(404)
    await platform.script("files", "alpha", 4)
    expect((await deploy(all(4), key)).status).toBe(201)
  })

  it("forgets keys after a day", async ({ expect }) => {
    await deploy(all(1), key)
    platform.pass(86_400_001)
    await platform.deps.store.idempotency.removeOld()
    expect((await deploy(all(2), key)).status).toBe(201)
  })

  it("refuses a key that is none", async ({ expect }) => {
    expect((await deploy(all(1), { "idempotency-key": "a b" })).status).toBe(400)
  })
})

describe("pins", () => {
  const pin = (body: unknown) => platform.send("POST /v1/scripts/files/pins", { token, body })

  it("signs a pin that the dispatcher's key verifies, and records that it was given out", async ({ expect }) => {
    const { status, body } = await pin({ version: 2, lifetimeS: 60 })
    expect([status, body.header, body.expiresAt]).toEqual([201, "x-sallyport-pin", "2026-11-20T12:01:00.000Z"])
    expect(decodeProtectedHeader(body.pin)).toEqual({ alg: "HS256", typ: "release-pin+jwt" })
    const options = { currentDate: new Date("2026-11-20T12:00:30Z"), audience: "sallyport-dispatcher" }
    const { payload } = await jwtVerify(body.pin, base64url.decode(PIN_KEY), options)
    expect(payload).toEqual({
      iss: "sallyport-control-plane",
      aud: "sallyport-dispatcher",
      script: "files",
      version: 2,
      iat: 1795176000,
      exp: 1795176060,
    })
    const [record] = (await platform.send("GET /v1/audit")).body.items
    expect(record).toMatchObject({ action: "pin.create", target: "scripts/files/versions/2" })
    expect(JSON.stringify(record)).not.toContain(body.pin)
  })

  it("pins nothing that does not exist, is not placed, or for longer than a day", async ({ expect }) => {
    expect((await pin({ version: 9 })).body.errors[0].pointer).toBe("/version")
    expect((await pin({ version: 1, lifetimeS: 86_401 })).status).toBe(400)
    await platform.deps.db.prepare("UPDATE versions SET state = 'failed' WHERE number = 1").run()
    expect((await pin({ version: 1 })).body.code).toBe("version.not-placed")
  })
})

import { beforeEach, describe, it } from "vitest"
import {
  CONFIG_LIMITS,
  configKey,
  configPointerSchema,
  parseDispatchConfig,
} from "../../../contracts/dispatch-config.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import { PLAIN_TEAM, routeBody, type Sent, startControlPlane, type TestControlPlane } from "../../test/harness.ts"
import { SYSTEM } from "../actor.ts"
import { change, publishConfig } from "./change.ts"
import { healPublication } from "./heal-publication.ts"
import { documentKey, publishLatest } from "./publish.ts"
import { publishDeployment } from "./publish-deployment.ts"
import { QUOTA } from "./quota.ts"

let platform: TestControlPlane
beforeEach(async () => {
  platform = await startControlPlane()
})

async function revisions(): Promise<number[]> {
  const { items } = (await platform.send("GET /v1/config/revisions?limit=1000")).body
  return items.map((item: { revision: number }) => item.revision).reverse()
}

describe("publish: works", () => {
  it("makes one revision per change and has KV name the newest, whole and with its digest", async ({ expect }) => {
    await platform.team("web")
    await platform.send("PUT /v1/hostnames/app.procore.com", { body: { team: "web", open: false } })
    const pointer = await platform.pointer()
    expect(pointer?.revision).toBe(2)
    const text = (await platform.deps.config.get(configKey(2))) ?? ""
    expect(await sha256Hex(text)).toBe(pointer?.digest)
    expect(new TextEncoder().encode(text).byteLength).toBe(pointer?.sizeBytes)
    expect(parseDispatchConfig(text)).toMatchObject({ ok: true, value: { revision: 2 } })
    expect(await (await platform.deps.artifacts.get(documentKey(2)))?.text()).toBe(text)
    const document = await platform.send("GET /v1/config/revisions/2/document")
    expect(document.body).toEqual(JSON.parse(text))
    expect(document.headers.get("etag")).toBe(`"${pointer?.digest}"`)
  })

  it("publishes nothing when nothing changed, whatever order it was written in", async ({ expect }) => {
    await platform.send("PUT /v1/teams/web", { body: { grants: ["zones:read"], egress: [] } })
    await platform.send("PUT /v1/teams/web", { raw: '{"egress":[],"grants":["zones:read"],"message":"again"}' })
    await platform.send("PUT /v1/policy/flags", { raw: '{"b":1,"a":true}' })
    await platform.send("PUT /v1/policy/flags", { raw: '{"a":true,"b":1}' })
    expect(await revisions()).toEqual([1, 2])
    expect((await platform.send("GET /v1/audit")).body.items).toHaveLength(2)
  })

  it("loses none of 20 concurrent changes: one revision each, the last one complete", async ({ expect }) => {
    const names = Array.from({ length: 20 }, (_, index) => `team-${String(index).padStart(2, "0")}`)
    const sent = await Promise.all(names.map((name) => platform.send(`PUT /v1/teams/${name}`, { body: PLAIN_TEAM })))
    expect(sent.map((each) => each.status)).toEqual(names.map(() => 201))
    expect(await revisions()).toEqual(names.map((_, index) => index + 1))
    expect((await platform.pointer())?.revision).toBe(20)
    expect(Object.keys((await platform.published()).teams).sort()).toEqual(names)
    expect((await platform.send("GET /v1/audit/verify")).body).toMatchObject({ intact: true, records: 20 })
  })

  it("answers a change only when KV names a revision that carries it", async ({ expect }) => {
    const carried = async (name: string) => {
      const sent = await platform.send(`PUT /v1/teams/${name}`, { body: PLAIN_TEAM })
      const { revision } = (await platform.pointer()) ?? { revision: 0 }
      return revision >= Number(sent.headers.get("x-sallyport-config")) && name in (await platform.published()).teams
    }
    const all = await Promise.all(["a", "b", "c", "d", "e", "f"].map(carried))
    expect(all).toEqual([true, true, true, true, true, true])
  })

  it("publishes a directory of 50 000 companies, in parts and back again without loss", { timeout: 60_000 }, async ({
    expect,
  }) => {
    const zones = { us01: { audience: "cell:us01", baseUrl: "https://us01.example" } }
    const companies = Object.fromEntries(
      Array.from({ length: 50_000 }, (_, index) => [String(562_949_953_421_312n + BigInt(index)), "us01"]),
    )
    await platform.send("PUT /v1/policy/audiences", { body: { "cell:us01": { origins: ["https://us01.example"] } } })
    await platform.send("PUT /v1/policy/flags", { body: { greeting: "hej \u{1F44B}".repeat(50) } })
    const sent = await platform.send("PUT /v1/policy/directory", { body: { zones, companies } })
    expect(sent.status).toBe(200)
    const read = await platform.send("GET /v1/policy/directory")
    expect(Object.keys(read.body.companies)).toHaveLength(50_000)
    expect((await platform.pointer())?.sizeBytes).toBeGreaterThan(1_000_000)
    expect((await platform.published()).flags.greeting).toBe("hej \u{1F44B}".repeat(50))
  })
})

describe("publish: refuses", () => {
  it("refuses a change that would make the config invalid, says where, and keeps everything as it was", async ({
    expect,
  }) => {
    await platform.team("web")
    await platform.script("router", "web", 1)
    await platform.send("PUT /v1/hostnames/api.procore.com", { body: { team: "web", open: false } })
    const before = [await platform.pointer(), (await platform.send("GET /v1/audit/verify")).body.records]
    const body = routeBody({ zone: "us99", auth: { mode: "required", issuers: ["nobody"] } })
    const sent = await platform.send("PUT /v1/routes/front", { body: { ...body, team: "web" } })
    expect(sent.status).toBe(422)
    expect(sent.body.code).toBe("config.invalid")
    expect(sent.body.errors.map((error: { pointer: string }) => error.pointer)).toEqual(["/zone", "/auth/issuers"])
    expect((await platform.send("GET /v1/routes/front")).status).toBe(404)
    expect([await platform.pointer(), (await platform.send("GET /v1/audit/verify")).body.records]).toEqual(before)
  })

  it("refuses to remove what others refer to", async ({ expect }) => {
    const audiences = { "cell:us01": { origins: ["https://us01.example"] } }
    const zones = { us01: { audience: "cell:us01", baseUrl: "https://us01.example" } }
    await platform.send("PUT /v1/policy/audiences", { body: audiences })
    await platform.send("PUT /v1/policy/directory", { body: { zones, companies: {} } })
    const sent = await platform.send("PUT /v1/policy/audiences", { body: {} })
    expect(sent.body).toMatchObject({ code: "config.invalid", errors: [{ pointer: "" }] })
    expect(sent.body.errors[0].detail).toContain("/directory/zones/us01/audience")
    expect((await platform.send("GET /v1/policy/audiences")).body).toEqual(audiences)
  })

  it("checks a dry run as strictly and changes nothing", async ({ expect }) => {
    const good = await platform.send("PUT /v1/teams/web?dry_run=true", { body: { grants: ["zones:read"], egress: [] } })
    expect(good.status).toBe(201)
    expect(good.body.grants).toEqual(["zones:read"])
    expect((await platform.send("GET /v1/teams/web")).status).toBe(404)
    expect(await platform.pointer()).toBeNull()
    const zones = { us01: { audience: "nothing", baseUrl: "https://us01.example" } }
    const bad = await platform.send("PUT /v1/policy/directory?dry_run=true", { body: { zones, companies: {} } })
    expect(bad.body.code).toBe("config.invalid")
    expect((await platform.send("GET /v1/audit/verify")).body.records).toBe(0)
  })
})

describe("publish: size", () => {
  const encoder = new TextEncoder()

  /** Fills the config with flags until the document has `sizeBytes`, ASCII or not. */
  async function fill(sizeBytes: number, letter: string): Promise<Sent> {
    const put = (flags: Readonly<Record<string, string>>) => platform.send("PUT /v1/policy/flags", { body: flags })
    await put({})
    const each = encoder.encode(JSON.stringify({ "f-00000": letter.repeat(1_000) })).byteLength - 1
    const room = sizeBytes - ((await platform.pointer())?.sizeBytes ?? 0)
    const count = Math.floor(room / each)
    const flags = Object.fromEntries(
      Array.from({ length: count }, (_, index) => [`f-${String(index).padStart(5, "0")}`, letter.repeat(1_000)]),
    )
    return await put(flags)
  }

  /** A hostname with a route of team web, whose token is returned. */
  async function scene(): Promise<string> {
    const token = await platform.team("web")
    await platform.script("pages", "web", 2)
    await platform.send("PUT /v1/hostnames/api.procore.com", { body: { team: "web", open: true } })
    await platform.send("PUT /v1/routes/front", { token, body: routeBody({ script: "pages" }) })
    return token
  }
  const send = (id: string, token: string, fields: Readonly<Record<string, unknown>>) =>
    platform.send(`PUT /v1/routes/${id}`, { token, body: routeBody({ script: "pages", ...fields }) })

  it("counts bytes: refuses text over the limit that is within it in characters, and keeps the pointer loadable", {
    timeout: 60_000,
  }, async ({ expect }) => {
    await scene()
    const before = await platform.pointer()
    const sent = await fill(CONFIG_LIMITS.bytes + 100_000, "漢")
    expect(sent.body).toMatchObject({ code: "config.invalid", errors: [{ pointer: "" }] })
    expect((await fill(CONFIG_LIMITS.bytes - 10_000, "漢")).status).toBe(200)
    const pointer = configPointerSchema.parse(await platform.pointer())
    expect(pointer.revision).toBeGreaterThan(before?.revision ?? 0)
    const text = (await platform.deps.config.get(configKey(pointer.revision))) ?? ""
    expect(pointer.sizeBytes).toBe(encoder.encode(text).byteLength)
    expect(text.length).toBeLessThan(pointer.sizeBytes / 2)
  })

  it("refuses a kill reason by its bytes", async ({ expect }) => {
    const token = await scene()
    const kill = (reason: string) => send("front", token, { kill: { mode: "enforce", reason } })
    expect((await kill("漢".repeat(67))).body).toMatchObject({ errors: [{ pointer: "/kill/reason" }] })
    expect((await kill("漢".repeat(66))).status).toBe(200)
    const pointer = configPointerSchema.parse(await platform.pointer())
    const text = (await platform.deps.config.get(configKey(pointer.revision))) ?? ""
    expect(pointer.sizeBytes).toBe(encoder.encode(text).byteLength)
  })

  it("lets a nearly full config be changed by ops, kill switches, deployments and removals, and not grow", {
    timeout: 60_000,
  }, async ({ expect }) => {
    const token = await scene()
    await send("second", token, { path: "/second/*" })
    await platform.script("idle", "web", 1)
    await fill(QUOTA.nearlyFullBytes + 2_000, "a")
    expect((await send("third", token, { path: "/third/*" })).body.code).toBe("config.nearly-full")
    expect((await send("second", token, { path: "/second/longer/*" })).body.code).toBe("config.nearly-full")
    const releases = [{ version: 1, weightBps: 10_000 }]
    const deploy = (script: string) =>
      platform.deps.store.deployments
        .record(script, releases, null, SYSTEM)
        .then(({ id }) =>
          publishDeployment(id, { tokenId: "t", role: "team", team: "web", name: "token:t" }, platform.deps),
        )
    await expect(deploy("idle")).rejects.toMatchObject({ code: "config.nearly-full" })
    expect(await deploy("pages")).toMatchObject({ superseded: false })
    const kill = { mode: "enforce", reason: "x".repeat(200) }
    expect((await send("front", token, { kill })).status).toBe(200)
    expect((await platform.send("DELETE /v1/routes/second", { token })).status).toBe(204)
    const byOps = { body: { ...routeBody({ script: "pages", path: "/third/*" }), team: "web" } }
    expect((await platform.send("PUT /v1/routes/third", byOps)).status).toBe(201)
  })

  it("takes new routes just below that", { timeout: 60_000 }, async ({ expect }) => {
    const token = await scene()
    await fill(QUOTA.nearlyFullBytes - 2_000, "a")
    expect((await send("third", token, { path: "/third/*" })).status).toBe(201)
  })
})

describe("publish: faults", () => {
  /** KV that refuses `failures` writes whose key matches. */
  function failingKv(failures: number, matching: RegExp) {
    const state = { left: failures, order: [] as string[] }
    const over = (kv: KVNamespace) =>
      new Proxy(kv, {
        get(target, name) {
          const member = Reflect.get(target, name)
          if (name !== "put") return typeof member === "function" ? member.bind(target) : member
          return async (key: string, value: string) => {
            if (matching.test(key) && state.left-- > 0) throw new Error("KV PUT failed: 429 Too Many Requests")
            state.order.push(key)
            await target.put(key, value)
          }
        },
      })
    return { state, over }
  }

  it("writes the revision before the pointer that names it", async ({ expect }) => {
    const kv = failingKv(0, /./)
    platform = await startControlPlane((env) => ({ config: kv.over(env.CONFIG) }))
    await platform.team("web")
    expect(kv.state.order).toEqual(["config/revision/1", "config/current"])
  })

  it("tries again when KV takes no more writes for a second", async ({ expect }) => {
    const kv = failingKv(3, /config\/current/)
    platform = await startControlPlane((env) => ({ config: kv.over(env.CONFIG) }))
    expect((await platform.send("PUT /v1/teams/web", { body: PLAIN_TEAM })).status).toBe(201)
    expect((await platform.pointer())?.revision).toBe(1)
    expect(platform.logs.filter((record) => record.event === "publish.retry")).toHaveLength(3)
  })

  it("says that a change is recorded but not in force while KV is down, and the schedule finishes it", async ({
    expect,
  }) => {
    const kv = failingKv(Number.POSITIVE_INFINITY, /./)
    platform = await startControlPlane((env) => ({ config: kv.over(env.CONFIG) }))
    const sent = await platform.send("PUT /v1/teams/web", { body: PLAIN_TEAM })
    expect(sent.body.code).toBe("config.not-published")
    expect((await platform.send("GET /v1/teams/web")).status).toBe(200)
    kv.state.left = 0
    await healPublication(platform.deps)
    expect((await platform.published()).teams).toHaveProperty("web")
  })

  it("publishes the recorded change when the request is simply sent again, without a new revision", async ({
    expect,
  }) => {
    const kv = failingKv(Number.POSITIVE_INFINITY, /./)
    platform = await startControlPlane((env) => ({ config: kv.over(env.CONFIG) }))
    await platform.send("PUT /v1/teams/web", { body: PLAIN_TEAM })
    kv.state.left = 0
    expect((await platform.send("PUT /v1/teams/web", { body: PLAIN_TEAM })).status).toBe(200)
    expect((await platform.pointer())?.revision).toBe(1)
    expect(await revisions()).toEqual([1])
  })

  it("changes even while R2 is down, and the schedule keeps the copy later", async ({ expect }) => {
    let down = true
    platform = await startControlPlane((env) => ({
      artifacts: new Proxy(env.ARTIFACTS, {
        get(target, name) {
          const member = Reflect.get(target, name)
          if (name === "put" && down) return () => Promise.reject(new Error("R2 is down"))
          return typeof member === "function" ? member.bind(target) : member
        },
      }),
    }))
    await platform.team("web")
    expect((await platform.pointer())?.revision).toBe(1)
    down = false
    await platform.deps.config.delete(configKey(1))
    await healPublication(platform.deps)
    const copy = await (await platform.deps.artifacts.get(documentKey(1)))?.text()
    expect(copy).toBe(await platform.deps.config.get(configKey(1)))
  })

  it("keeps the copy again that a lifecycle rule took, and asks for nothing while R2 does not answer", async ({
    expect,
  }) => {
    await platform.team("web")
    const text = await platform.deps.config.get(configKey(1))
    await platform.deps.artifacts.delete(documentKey(1))
    const silent = new Proxy(platform.deps.artifacts, { get: () => () => Promise.reject(new Error("R2 is down")) })
    const kv = failingKv(0, /./)
    await healPublication({ ...platform.deps, artifacts: silent, config: kv.over(platform.deps.config) })
    expect(kv.state.order).toEqual([])
    await healPublication(platform.deps)
    expect(await (await platform.deps.artifacts.get(documentKey(1)))?.text()).toBe(text)
    expect(await revisions()).toEqual([1])
  })

  it("makes the very same document again when the process ended right after the commit", async ({ expect }) => {
    await platform.team("web")
    const before = await platform.pointer()
    const text = await platform.deps.config.get(configKey(1))
    await platform.deps.artifacts.delete(documentKey(1))
    await platform.deps.config.delete(configKey(1))
    await platform.deps.config.delete("config/current")
    await platform.deps.db.prepare("UPDATE config_revisions SET live_at = NULL").run()
    await healPublication(platform.deps)
    expect(await platform.pointer()).toEqual(before)
    expect(await platform.deps.config.get(configKey(1))).toBe(text)
  })

  it("publishes a new revision when the last one can neither be read nor made again", async ({ expect }) => {
    await platform.team("web")
    await platform.deps.artifacts.delete(documentKey(1))
    await platform.deps.config.delete("config/current")
    const renamed = {
      ...platform.deps,
      settings: { ...platform.deps.settings, passportIssuer: "https://other.example" },
    }
    await healPublication(renamed)
    expect((await platform.pointer())?.revision).toBe(2)
    expect((await platform.published()).passportIssuer).toBe("https://other.example")
  })

  it("ends at the newest revision when a publisher is so slow that another overtakes it", async ({ expect }) => {
    const slow = Promise.withResolvers<void>()
    const held = Promise.withResolvers<void>()
    platform = await startControlPlane((env) => ({
      config: new Proxy(env.CONFIG, {
        get(target, name) {
          const member = Reflect.get(target, name)
          if (name !== "put") return typeof member === "function" ? member.bind(target) : member
          return async (key: string, value: string) => {
            if (key === "config/current" && JSON.parse(value).revision === 1) {
              held.resolve()
              await slow.promise
            }
            await target.put(key, value)
          }
        },
      }),
    }))
    const first = platform.send("PUT /v1/teams/a", { body: PLAIN_TEAM })
    await held.promise
    const second = await platform.send("PUT /v1/teams/b", { body: PLAIN_TEAM })
    expect(second.headers.get("x-sallyport-config")).toBe("2")
    slow.resolve()
    expect((await first).headers.get("x-sallyport-config")).toBe("2")
    expect((await platform.pointer())?.revision).toBe(2)
  })

  it("brings the pointer forward again when a slower publisher put it back", async ({ expect }) => {
    await platform.send("PUT /v1/teams/a", { body: PLAIN_TEAM })
    const old = JSON.stringify(await platform.pointer())
    await platform.send("PUT /v1/teams/b", { body: PLAIN_TEAM })
    await platform.deps.config.put("config/current", old)
    await healPublication(platform.deps)
    expect((await platform.pointer())?.revision).toBe(2)
  })

  it("lets healing not set back what a change publishes while it is at it", async ({ expect }) => {
    await platform.team("a")
    await platform.deps.config.delete("config/current")
    let between: (() => Promise<unknown>) | null = () => platform.team("b")
    const interleaved = new Proxy(platform.deps.config, {
      get(target, name) {
        const member = Reflect.get(target, name)
        if (name !== "put") return typeof member === "function" ? member.bind(target) : member
        return async (key: string, value: string) => {
          const first = key === "config/current" ? between : null
          if (first !== null) between = null
          await first?.()
          await target.put(key, value)
        }
      },
    })
    await healPublication({ ...platform.deps, config: interleaved })
    expect((await platform.pointer())?.revision).toBe(2)
    expect(Object.keys((await platform.published()).teams)).toEqual(["a", "b"])
  })

  it("does not deny a change that is live only because a later one cannot be published", async ({ expect }) => {
    await platform.team("a")
    const kv = failingKv(Number.POSITIVE_INFINITY, /./)
    const blocked = { ...platform.deps, config: kv.over(platform.deps.config) }
    await expect(
      publishConfig("new issuer", SYSTEM, {
        ...blocked,
        settings: { ...blocked.settings, passportIssuer: "https://other.example" },
      }),
    ).rejects.toMatchObject({ code: "config.not-published" })
    expect(await publishLatest(blocked, { atLeast: 1 })).toBe(1)
    await expect(publishLatest(blocked, { atLeast: 2 })).rejects.toMatchObject({ code: "config.not-published" })
    await expect(publishLatest(blocked)).rejects.toMatchObject({ code: "config.not-published" })
  })

  it("does nothing on schedule when all is well", async ({ expect }) => {
    await platform.team("web")
    const kv = failingKv(0, /./)
    await healPublication({ ...platform.deps, config: kv.over(platform.deps.config) })
    expect(kv.state.order).toEqual([])
    await publishLatest({ ...platform.deps, config: kv.over(platform.deps.config) })
    expect(kv.state.order).toEqual([])
  })

  it("publishes a changed setting of the Worker when told to", async ({ expect }) => {
    await platform.team("web")
    const renamed = {
      ...platform.deps,
      settings: { ...platform.deps.settings, passportIssuer: "https://other.example" },
    }
    expect(await publishConfig("new issuer", SYSTEM, renamed)).toEqual({ revision: 2 })
    expect(await publishConfig("new issuer", SYSTEM, renamed)).toEqual({ revision: 2 })
  })
})

describe("publish: a registry that was set back", () => {
  /** Every number that KV's pointer was given, in order. */
  const named: number[] = []
  beforeEach(async () => {
    named.length = 0
    platform = await startControlPlane((env) => ({ config: recording(env.CONFIG) }))
    for (const name of ["a", "b", "c", "d"]) await platform.send(`PUT /v1/teams/${name}`, { body: PLAIN_TEAM })
  })

  const recording = (kv: KVNamespace) =>
    over(kv, "put", async (key, value) => {
      if (key === "config/current") named.push(JSON.parse(String(value)).revision)
    })

  /** KV with `before` run before each call of the method. */
  function over(kv: KVNamespace, method: "get" | "put", before: (...given: unknown[]) => Promise<unknown>) {
    return new Proxy(kv, {
      get(target, name) {
        const member = Reflect.get(target, name)
        if (typeof member !== "function") return member
        if (name !== method) return member.bind(target)
        return async (...given: unknown[]) => {
          await before(...given)
          return Reflect.apply(member, target, given)
        }
      },
    })
  }

  /** What D1 Time Travel does: the registry is as it was when `revision` was its newest. */
  async function setBackTo(revision: number) {
    const gone = ["a", "b", "c", "d"].slice(revision)
    await platform.deps.db.batch([
      platform.deps.db.prepare("DELETE FROM config_revisions WHERE revision > ?").bind(revision),
      ...gone.map((name) => platform.deps.db.prepare("DELETE FROM teams WHERE name = ?").bind(name)),
    ])
  }
  const alarms = () => platform.logs.filter(({ event }) => event === "publish.registry-set-back")

  it("publishes it under the number after KV's, says so, and goes on from there", async ({ expect }) => {
    await setBackTo(2)
    await healPublication(platform.deps)
    expect(named).toEqual([1, 2, 3, 4, 5])
    expect(await platform.published()).toMatchObject({ revision: 5, teams: { a: {}, b: {} } })
    expect(Object.keys((await platform.published()).teams)).toEqual(["a", "b"])
    expect(alarms()).toMatchObject([{ registry: 2, pointer: 4, revision: 5 }])
    const [record] = (await platform.send("GET /v1/audit?limit=1")).body.items
    expect(record).toMatchObject({ action: "config.renumber", actor: "system", detail: { registry: 2, pointer: 4 } })
    const next = await platform.send("PUT /v1/teams/e", { body: PLAIN_TEAM })
    expect(next.headers.get("x-sallyport-config")).toBe("6")
    await healPublication(platform.deps)
    expect(named).toEqual([1, 2, 3, 4, 5, 6])
    expect(await revisions()).toEqual([1, 2, 5, 6])
  })

  it("does so with the next change too, before the schedule comes", async ({ expect }) => {
    await setBackTo(2)
    const sent = await platform.send("PUT /v1/teams/e", { body: PLAIN_TEAM })
    expect([sent.status, sent.headers.get("x-sallyport-config")]).toEqual([201, "5"])
    expect(named).toEqual([1, 2, 3, 4, 5])
    expect(Object.keys((await platform.published()).teams)).toEqual(["a", "b", "e"])
    expect(alarms()).toHaveLength(1)
  })

  it("takes the number that KV names with another content for one that is taken", async ({ expect }) => {
    await setBackTo(3)
    const sent = await platform.send("PUT /v1/teams/e", { body: PLAIN_TEAM })
    expect(sent.headers.get("x-sallyport-config")).toBe("5")
    expect(named).toEqual([1, 2, 3, 4, 5])
    expect(Object.keys((await platform.published()).teams)).toEqual(["a", "b", "c", "e"])
  })

  const copyOf = async (revision: number) =>
    JSON.parse((await (await platform.deps.artifacts.get(documentKey(revision)))?.text()) ?? "null")
  /** KV whose pointer is read as it was at `revision`. */
  async function stalePointer(revision: number) {
    const document = (await platform.deps.config.get(configKey(revision))) ?? ""
    const sizeBytes = new TextEncoder().encode(document).byteLength
    const stale = JSON.stringify({ revision, digest: await sha256Hex(document), sizeBytes })
    return new Proxy(platform.deps.config, {
      get(target, name) {
        const member = Reflect.get(target, name)
        if (typeof member !== "function") return member
        if (name !== "get") return member.bind(target)
        return async (key: string, ...rest: unknown[]) =>
          key === "config/current" ? stale : Reflect.apply(member, target, [key, ...rest])
      },
    })
  }
  const putTeam = (name: string, deps: typeof platform.deps) =>
    change(deps, SYSTEM, () => {
      const team = { name, grants: [], egress: [], kill: null, createdAt: "2026-11-20T12:00:00.000Z" }
      return {
        edits: [{ table: "teams", put: team }],
        audit: { action: "team.put", target: `teams/${name}`, detail: {} },
        result: null,
      }
    })

  it("leaves the copy of a revision of before as it is", async ({ expect }) => {
    await setBackTo(3)
    await platform.send("PUT /v1/teams/e", { body: PLAIN_TEAM })
    expect(Object.keys((await copyOf(4)).teams)).toEqual(["a", "b", "c", "d"])
    expect(Object.keys((await copyOf(5)).teams)).toEqual(["a", "b", "c", "e"])
  })

  it.for([1, 2, 3])(
    "sees it by the copies where KV still shows the pointer of revision %d",
    async (shown, { expect }) => {
      await setBackTo(2)
      const config = await stalePointer(shown)
      expect(await putTeam("e", { ...platform.deps, config })).toEqual({ result: null, revision: 5 })
      expect(named).toEqual([1, 2, 3, 4, 5])
      expect(Object.keys((await platform.published()).teams)).toEqual(["a", "b", "e"])
      expect(Object.keys((await copyOf(3)).teams)).toEqual(["a", "b", "c"])
      expect(alarms()).toMatchObject([{ registry: 3, pointer: shown, revision: 5 }])
    },
  )

  it("sees it by the copies also when the process ended before the change was published", async ({ expect }) => {
    await setBackTo(2)
    const config = await stalePointer(2)
    const silent = new Proxy(platform.deps.artifacts, { get: () => () => Promise.reject(new Error("R2 is down")) })
    const down = over(config, "put", () => Promise.reject(new Error("KV is down")))
    await putTeam("e", { ...platform.deps, config: down, artifacts: silent }).catch(() => {})
    await healPublication({ ...platform.deps, config })
    expect(named).toEqual([1, 2, 3, 4, 5])
    expect(Object.keys((await copyOf(3)).teams)).toEqual(["a", "b", "c"])
  })

  it("takes a number above all copies, on however many pages they are listed", async ({ expect }) => {
    for (const revision of [9, 10, 77]) await platform.deps.artifacts.put(documentKey(revision), "{}")
    await platform.deps.artifacts.put("configs/notes.txt", "by hand")
    await setBackTo(2)
    const { artifacts } = platform.deps
    const paged = new Proxy(artifacts, {
      get(target, name) {
        const member = Reflect.get(target, name)
        if (name === "list") return (options: R2ListOptions) => target.list({ ...options, limit: 2 })
        return typeof member === "function" ? member.bind(target) : member
      },
    })
    await healPublication({ ...platform.deps, artifacts: paged })
    expect(named).toEqual([1, 2, 3, 4, 78])
  })

  it("takes no number while R2 does not say which are taken", async ({ expect }) => {
    await setBackTo(2)
    const silent = new Proxy(platform.deps.artifacts, { get: () => () => Promise.reject(new Error("R2 is down")) })
    await healPublication({ ...platform.deps, artifacts: silent }).catch(() => {})
    expect(named).toEqual([1, 2, 3, 4])
    await healPublication(platform.deps)
    expect(named).toEqual([1, 2, 3, 4, 5])
  })

  it("has each deployment name the revision that carries it", async ({ expect }) => {
    await platform.script("pay", "a", 1)
    await platform.script("old", "a", 1)
    const body = { releases: [{ version: 1, weightBps: 10_000 }] }
    const old = await platform.send("POST /v1/scripts/old/deployments", { body })
    expect(old.body.configRevision).toBe(5)
    await platform.deps.config.put("config/current", JSON.stringify({ ...(await platform.pointer()), revision: 50 }))
    const sent = await platform.send("POST /v1/scripts/pay/deployments", { body })
    expect([sent.headers.get("x-sallyport-config"), sent.body.configRevision]).toEqual(["51", 51])
    expect(named.at(-1)).toBe(51)
    const shown = await platform.send(`GET /v1/scripts/pay/deployments/${sent.body.id}`)
    expect(shown.body.configRevision).toBe(51)
    const before = await platform.send(`GET /v1/scripts/old/deployments/${old.body.id}`)
    expect(before.body.configRevision).toBe(5)
  })

  it("is finished by whoever comes next when the process ends before KV has it", async ({ expect }) => {
    await setBackTo(2)
    const down = over(platform.deps.config, "put", () => Promise.reject(new Error("KV is down")))
    await healPublication({ ...platform.deps, config: down }).catch(() => {})
    expect((await platform.pointer())?.revision).toBe(4)
    await healPublication(platform.deps)
    expect(named).toEqual([1, 2, 3, 4, 5])
    expect(await revisions()).toEqual([1, 2, 5])
  })

  it("is not what a pointer shows that somebody moved forward meanwhile", async ({ expect }) => {
    await platform.deps.db.prepare("UPDATE config_revisions SET live_at = NULL WHERE revision = 4").run()
    let isFirst = true
    const config = over(platform.deps.config, "get", async (key) => {
      if (key !== "config/current" || !isFirst) return
      isFirst = false
      await platform.send("PUT /v1/teams/e", { body: PLAIN_TEAM })
    })
    await healPublication({ ...platform.deps, config })
    expect(alarms()).toEqual([])
    expect(await revisions()).toEqual([1, 2, 3, 4, 5])
    expect(named.at(-1)).toBe(5)
  })

  it("writes over a pointer that no dispatcher could read", async ({ expect }) => {
    await platform.deps.config.put("config/current", '{"revision":"99"}')
    await healPublication(platform.deps)
    expect((await platform.pointer())?.revision).toBe(4)
    expect(alarms()).toEqual([])
  })
})

describe("publish: what KV keeps", () => {
  const MINUTE = 60_000
  let count = 0
  const publish = async () => {
    const sent = await platform.send(`PUT /v1/teams/t-${++count}`, { body: PLAIN_TEAM })
    return Number(sent.headers.get("x-sallyport-config"))
  }
  const tick = () => healPublication(platform.deps)
  const prefix = configKey(0).slice(0, -1)
  async function kept(): Promise<number[]> {
    const { keys } = await platform.deps.config.list({ prefix })
    return keys.map(({ name }) => Number(name.slice(prefix.length))).sort((a, b) => a - b)
  }
  /** As if so many more revisions had been committed, none of which was published: the next publication carries them. */
  async function coalesced(passedOver: number) {
    await platform.deps.db
      .prepare(
        "INSERT INTO config_revisions SELECT revision + ?, digest, content_digest, size_bytes, published_at, published_by, reason, NULL FROM config_revisions ORDER BY revision DESC LIMIT 1",
      )
      .bind(passedOver)
      .run()
  }
  /** KV with a method of its own. */
  const withKv = (methods: Partial<Record<"delete" | "list", unknown>>) => ({
    ...platform.deps,
    config: new Proxy(platform.deps.config, {
      get(target, name) {
        const member = Reflect.get(methods, name) ?? Reflect.get(target, name)
        return typeof member === "function" ? member.bind(target) : member
      },
    }),
  })
  const notRemoved = () => platform.logs.filter(({ event }) => event === "publish.not-removed")

  it("holds what the pointer named until a moment ago, however many changes one publication carried", async ({
    expect,
  }) => {
    await publish()
    await coalesced(299)
    expect(await publish()).toBe(301)
    await coalesced(250)
    expect(await publish()).toBe(552)
    await tick()
    expect(await kept()).toEqual([1, 301, 552])
  })

  it("loses a revision ten minutes after the next one went live, and never the newest that is live", async ({
    expect,
  }) => {
    await publish()
    platform.pass(20 * MINUTE)
    await publish()
    platform.pass(10 * MINUTE)
    await tick()
    expect(await kept()).toEqual([1, 2])
    platform.pass(1)
    await tick()
    expect(await kept()).toEqual([2])
    platform.pass(365 * 24 * 60 * MINUTE)
    await tick()
    expect(await kept()).toEqual([2])
    expect((await platform.published()).revision).toBe(2)
  })

  it("holds through a burst each revision that a pointer of the last ten minutes named, and after it the last alone", async ({
    expect,
  }) => {
    const shown: { readonly revision: number; readonly until: number }[] = []
    for (let round = 0; round < 30; round++) {
      if (round > 0) await coalesced(9)
      // Named until the next one is published, a minute later.
      shown.push({ revision: await publish(), until: platform.deps.clock.now() + 11 * MINUTE })
      platform.pass(MINUTE)
      await tick()
      const there = new Set(await kept())
      const due = shown.filter(({ until }) => until >= platform.deps.clock.now())
      expect(due.filter(({ revision }) => !there.has(revision))).toEqual([])
      expect(there.size).toBeLessThanOrEqual(14)
    }
    const last = await publish()
    platform.pass(10 * MINUTE + 1)
    await tick()
    expect(await kept()).toEqual([last])
  })

  it("holds what a slow publisher named after a newer one was live", async ({ expect }) => {
    await publish()
    await publish()
    const late = new Date(platform.deps.clock.now() + 9 * MINUTE).toISOString()
    await platform.deps.db.prepare("UPDATE config_revisions SET live_at = ? WHERE revision = 1").bind(late).run()
    platform.pass(11 * MINUTE)
    await tick()
    expect(await kept()).toEqual([1, 2])
    platform.pass(9 * MINUTE)
    await tick()
    expect(await kept()).toEqual([2])
  })

  it("is cleared of what a tick could not remove by the next, page by page, also of numbers that the registry does not know", async ({
    expect,
  }) => {
    for (let round = 0; round < 3; round++) await publish()
    for (const revision of [10, 11, 12, 200]) await platform.deps.config.put(configKey(revision), "{}")
    await coalesced(17)
    await publish()
    platform.pass(10 * MINUTE + 1)
    const refusing = { delete: () => Promise.reject(new Error("KV DELETE failed: 500")) }
    await healPublication(withKv(refusing))
    expect(await kept()).toEqual([1, 2, 3, 10, 11, 12, 21, 200])
    expect(notRemoved()).toHaveLength(1)
    await healPublication(withKv({ list: () => Promise.reject(new Error("KV LIST failed: 500")) }))
    expect(notRemoved()).toHaveLength(2)
    const { config } = platform.deps
    await healPublication(withKv({ list: (options: KVNamespaceListOptions) => config.list({ ...options, limit: 2 }) }))
    expect(await kept()).toEqual([21, 200])
    expect(notRemoved()).toHaveLength(2)
  })

  it("is cleared of 200 revisions at a time", async ({ expect }) => {
    await publish()
    await coalesced(999)
    await publish()
    for (let revision = 100; revision < 320; revision++) await platform.deps.config.put(configKey(revision), "{}")
    platform.pass(10 * MINUTE + 1)
    const left: number[] = []
    for (let round = 0; round < 3; round++) {
      await tick()
      left.push((await kept()).length)
    }
    expect(left).toEqual([22, 1, 1])
    expect(await kept()).toEqual([1001])
  })
})

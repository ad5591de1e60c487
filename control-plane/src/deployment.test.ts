import { beforeEach, describe, expect, it } from "vitest"
import { type CloudflareFixture, cloudflareFixture } from "../test/cloudflare-fixture.ts"
import { routeBody, startControlPlane, type TestControlPlane } from "../test/harness.ts"
import { overtakenDb } from "../test/overtaken-db.ts"
import { type Enveloped, putRequest, type UploadParts, uploadBody } from "../test/upload-request.ts"
import { SYSTEM } from "./actor.ts"
import { healPublication } from "./config/heal-publication.ts"
import { makeDependencies } from "./dependencies.ts"
import { resumeDeployments } from "./deployment.ts"

let plane: TestControlPlane
let cloudflare: CloudflareFixture
let token: string

beforeEach(async () => {
  cloudflare = cloudflareFixture()
  plane = await startControlPlane(() => ({ fetch: cloudflare.fetch }))
  token = await plane.team("web")
})

async function upload(parts: UploadParts = {}, script = "pages") {
  const response = await plane.fetch(putRequest(script, token, parts))
  return { status: response.status, body: await response.json<Enveloped>() }
}

async function route() {
  await plane.send("PUT /v1/hostnames/api.procore.com", { body: { team: "web", open: false } })
  const sent = await plane.send("PUT /v1/routes/pages", { token, body: routeBody({ script: "pages" }) })
  expect(sent.status).toBe(201)
}

const traffic = async () => (await plane.published())?.scripts.pages?.releases
const all = (version: number) => [{ version, weightBps: 10_000 }]

describe("an upload that another one overtakes while it looks at what it keeps", () => {
  const secret = (text: string) => ({ metadata: { bindings: [{ type: "secret_text", name: "TOKEN", text }] } })
  const code = (text: string) => ({ code: `export default "${text}"` })
  let overtake: (() => Promise<unknown>) | null = null
  beforeEach(async () => {
    overtake = null
    plane = await startControlPlane((env) => ({
      fetch: cloudflare.fetch,
      artifacts: overtaken(env.ARTIFACTS),
      settings: { ...makeDependencies(env).settings, artifactKey: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" },
    }))
    token = await plane.team("web")
    expect((await upload(secret("of before"))).status).toBe(200)
  })
  /** Runs `overtake`, once, before the next manifest is read. */
  const overtaken = (artifacts: R2Bucket) =>
    new Proxy(artifacts, {
      get(target, name) {
        const member = Reflect.get(target, name)
        if (typeof member !== "function") return member
        if (name !== "get") return member.bind(target)
        return async (key: string, ...rest: unknown[]) => {
          const found = await Reflect.apply(member, target, [key, ...rest])
          const first = key.startsWith("manifests/") ? overtake : null
          if (first !== null) overtake = null
          await first?.()
          return found
        }
      },
    })
  const tokenOf = (version: number) => {
    const placed = cloudflare.scripts.get(`pages--v${version}`)?.metadata.bindings as { name: string; text: string }[]
    return placed.find(({ name }) => name === "TOKEN")?.text
  }

  it("does not bring back the secret that the other replaced, and keeps the new one when it is sent again", async () => {
    overtake = () => upload(secret("of now"))
    const { status, body } = await upload(code("b"))
    expect([status, body.errors[0]?.message]).toEqual([503, expect.stringContaining("Upload it again")])
    expect(await plane.deps.store.versions.latest("pages")).toBe(2)
    expect((await upload(code("b"))).status).toBe(200)
    expect([tokenOf(1), tokenOf(2), tokenOf(3)]).toEqual(["of before", "of now", "of now"])
  })

  it("does not do so either as the same content as a version of before", async () => {
    await upload(code("b"))
    overtake = () => upload({ ...secret("of now"), ...code("b") })
    expect((await upload(code("b"))).status).toBe(503)
    const { releases } = (await plane.deps.store.deployments.current("pages")) ?? {}
    expect(releases).toEqual(all(3))
  })

  it("is that version when both are the same, and goes its way when it keeps nothing", async () => {
    overtake = () => upload(code("b"))
    expect((await upload(code("b"))).status).toBe(200)
    expect(await plane.deps.store.versions.latest("pages")).toBe(2)
    const bare = { bindings: [], keep_bindings: [] }
    expect((await upload({ ...code("d"), metadata: bare })).status).toBe(200)
    overtake = () => upload({ ...code("e"), metadata: bare })
    expect((await upload(code("f"))).status).toBe(200)
  })
})

describe("an upload", () => {
  it("becomes a version, is placed, verified and given all traffic", async () => {
    const { status, body } = await upload()
    expect(status).toBe(200)
    expect(body).toMatchObject({ success: true, errors: [], result: { id: "pages", startup_time_ms: 4 } })
    expect(body.result.deployment_id).toMatch(/^00000001[0-9a-f]{24}$/)
    expect(body.messages[0]?.message).toMatch(/^Version 1 of pages was published and receives all of its traffic/)
    await route()
    expect(await traffic()).toEqual(all(1))
    expect([...cloudflare.scripts.keys()]).toEqual(["pages--v1"])
    expect((await plane.deps.store.versions.get("pages", 1))?.state).toBe("verified")
  })

  it("of the same content is the same version, whatever its order, boundary and message", async () => {
    const modules = { "./a.txt": { type: "text/plain", text: "a" } }
    const first = await upload({ modules, metadata: { annotations: { "workers/message": "one" } } })
    const before = await plane.deps.store.deployments.current("pages")
    const again = await upload({
      modules,
      reversed: true,
      metadata: { annotations: { "workers/message": "two" }, compatibility_flags: null, usage_model: "standard" },
    })
    expect(again.body.result.deployment_id).toBe(first.body.result.deployment_id)
    expect(again.body.messages[0]?.message).toContain("was there already and receives all of its traffic, as before")
    expect(await plane.deps.store.versions.latest("pages")).toBe(1)
    expect(await plane.deps.store.deployments.current("pages")).toEqual(before)
    expect(cloudflare.scripts.get("pages--v1")?.puts).toBe(1)
  })

  it("of other content is another version and takes the traffic; the old one stays in place", async () => {
    await upload({ code: "export default 1" })
    await route()
    await upload({ code: "export default 2" })
    expect(await traffic()).toEqual(all(2))
    expect([...cloudflare.scripts.keys()]).toEqual(["pages--v1", "pages--v2"])
  })

  it("of an earlier version's content puts that version back in force", async () => {
    await upload({ code: "export default 1" })
    await route()
    await upload({ code: "export default 2" })
    await upload({ code: "export default 1" })
    expect(await traffic()).toEqual(all(1))
    expect(cloudflare.scripts.size).toBe(2)
  })

  it("does not end a canary: it is published only, and the answer says so", async () => {
    await upload({ code: "export default 1" })
    await route()
    await upload({ code: "export default 2" })
    const releases = [
      { version: 1, weightBps: 9000 },
      { version: 2, weightBps: 1000 },
    ]
    const canary = await plane.send("POST /v1/scripts/pages/deployments", { token, body: { releases } })
    expect(canary.status).toBe(201)
    const third = await upload({ code: "export default 3" })
    expect([third.status, third.body.success]).toEqual([409, false])
    expect(third.body.errors[0]?.message).toBe(
      "The version was published, but not deployed. It is version 3 of pages: a canary is running (version 1 90 %, version 2 10 %), " +
        "and an upload does not end it. To give it all traffic: `sallyport deployments create pages 3`.",
    )
    expect(await traffic()).toEqual(releases)
    expect((await plane.deps.store.versions.get("pages", 3))?.state).toBe("verified")
  })

  it("is published only where deployOnUpload is off", async () => {
    await plane.send("PUT /v1/scripts/pages", { token, body: { deployOnUpload: false } })
    const { body } = await upload()
    expect(body.messages[0]?.message).toContain("deployOnUpload is off")
    expect(await plane.deps.store.deployments.current("pages")).toBeNull()
  })

  it("is published only through /v1, and answered the same when sent again", async () => {
    await plane.script("pages", "web")
    const post = async () => {
      const headers = { authorization: `Bearer ${token}` }
      const url = "https://control-plane.example/v1/scripts/pages/versions"
      const response = await plane.fetch(new Request(url, { method: "POST", headers, body: uploadBody() }))
      return { status: response.status, body: await response.json() }
    }
    const first = await post()
    expect(first.status).toBe(201)
    expect(first.body).toMatchObject({
      script: "pages",
      version: 1,
      placedName: "pages--v1",
      state: "verified",
      created: true,
    })
    expect(await post()).toMatchObject({ status: 200, body: { version: 1, created: false } })
    expect(await plane.deps.store.deployments.current("pages")).toBeNull()
  })

  it("is placed again when the namespace lost it", async () => {
    await upload()
    cloudflare.scripts.clear()
    await upload()
    expect([...cloudflare.scripts.keys()]).toEqual(["pages--v1"])
  })

  it("writes an audit record before each effect", async () => {
    await upload()
    const { body } = await plane.send("GET /v1/audit?limit=100")
    const actions = body.items.map((each: { action: string }) => each.action).reverse()
    expect(actions.slice(actions.indexOf("script.claim"))).toEqual([
      "script.claim",
      "version.record",
      "deployment.create",
      "version.placed",
      "version.verified",
      "deployment.publish",
    ])
  })
})

describe("uploads at the same time", () => {
  it("of the same content are one version with one deployment in force", async () => {
    await claim()
    const answers = await Promise.all(Array.from({ length: 5 }, () => upload({ code: "export default 1" })))
    expect(answers.map((each) => each.status)).toEqual([200, 200, 200, 200, 200])
    expect(new Set(answers.map((each) => each.body.result.deployment_id)).size).toBe(1)
    expect(await plane.deps.store.versions.latest("pages")).toBe(1)
    expect(await plane.deps.store.deployments.unfinished()).toEqual([])
  })

  it("of different content are versions of their own; the last deployment begun has the traffic", async () => {
    await claim()
    const answers = await Promise.all([1, 2, 3, 4].map((each) => upload({ code: `export default ${each}` })))
    for (const { status, body } of answers)
      expect(status === 200 || body.errors[0]?.message.includes("a newer deployment came first")).toBe(true)
    expect(answers.some((each) => each.status === 200)).toBe(true)
    const { items } = await plane.deps.store.versions.list("pages", { limit: 10 })
    expect(items.map((each) => [each.number, each.state])).toEqual([4, 3, 2, 1].map((each) => [each, "verified"]))
    const deployments = (await plane.deps.store.deployments.list("pages", { limit: 10 })).items
    expect((await plane.deps.store.deployments.current("pages"))?.id).toBe(deployments[0]?.id)
    expect(deployments.filter((each) => each.phase === "recorded")).toEqual([])
  })

  it("do not make doubtful what the other has seen whole and is about to lead to", async () => {
    const gates = { look: gate(), verify: gate() }
    let [looks, verifications] = [0, 0]
    plane = await startControlPlane((env) => {
      const overtaken = overtakenDb(env.DB)
      const fetch: typeof globalThis.fetch = async (input, init) => {
        const request = new Request(input, init)
        if (request.method === "GET" && !request.url.endsWith("/bindings") && ++looks === 1) await gates.look.pass()
        if (request.url.endsWith("/bindings")) {
          // What the quicker one commits next is that the version is whole, and then its deployment: in between the slower one goes on as far as its own verification.
          if (++verifications === 1)
            void overtaken.next(async () => {
              void overtaken.next(async () => {
                gates.look.open()
                await gates.verify.reached
              })
            })
          else await gates.verify.pass()
        }
        return await cloudflare.fetch(request)
      }
      return { db: overtaken.db, fetch }
    })
    token = await plane.team("web")
    await claim()
    const slower = upload()
    await gates.look.reached
    const quicker = await upload()
    expect([quicker.status, quicker.body.errors]).toEqual([200, []])
    gates.verify.open()
    expect((await slower).status).toBe(200)
    expect(verifications).toBe(2)
  })

  /** Whoever comes to `pass` waits there until it is opened. */
  function gate() {
    const [reached, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const pass = () => {
      reached.resolve()
      return opened.promise
    }
    return { reached: reached.promise, open: opened.resolve, pass }
  }

  /** Claims the script first, so that the uploads race for versions alone. */
  const claim = () => plane.script("pages", "web")
})

describe("an upload that Cloudflare does not take", () => {
  it("leaves the traffic where it is, marks the version failed, and says Cloudflare's words", async () => {
    await upload({ code: "export default 1" })
    await route()
    const { status, body } = await upload({ code: "SYNTAX ERROR" })
    expect(status).toBe(400)
    expect(body.errors[0]).toMatchObject({
      code: 10021,
      message: "Cloudflare refused the script. Uncaught SyntaxError: Unexpected identifier\n  at index.js:1:8",
    })
    expect(await traffic()).toEqual(all(1))
    expect((await plane.deps.store.versions.get("pages", 2))?.state).toBe("failed")
    expect(await plane.deps.store.deployments.unfinished()).toEqual([])
  })

  it("is finished by the schedule when Cloudflare comes back", async () => {
    const busy = { kind: "status", status: 503 } as const
    cloudflare.failNext("PUT", busy, busy, busy, busy)
    const { status, body } = await upload()
    expect(status).toBe(503)
    expect(body.errors[0]?.message).not.toContain("internal words")
    await route()
    await resumeDeployments(plane.deps)
    expect(await traffic()).toBeNull()
    plane.pass(61_000)
    await resumeDeployments(plane.deps)
    expect(await traffic()).toEqual(all(1))
    expect(await plane.deps.store.deployments.unfinished()).toEqual([])
  })

  it("is finished by the same upload, without a second deployment", async () => {
    const busy = { kind: "status", status: 503 } as const
    cloudflare.failNext("PUT", busy, busy, busy, busy)
    await upload()
    expect((await upload()).status).toBe(200)
    expect((await plane.deps.store.deployments.list("pages", { limit: 10 })).items).toHaveLength(1)
  })

  it("is given up after a quarter of an hour", async () => {
    const busy = { kind: "status", status: 503 } as const
    cloudflare.failNext("PUT", ...Array.from({ length: 20 }, () => busy))
    await upload()
    plane.pass(16 * 60_000)
    await resumeDeployments(plane.deps)
    expect(await plane.deps.store.deployments.unfinished()).toEqual([])
    expect(plane.logs.map((each) => each.event)).toContain("deployment.resume-failed")
  })

  it("does not undo a newer deployment when it is taken up late", async () => {
    const busy = { kind: "status", status: 503 } as const
    cloudflare.failNext("PUT", busy, busy, busy, busy)
    await upload({ code: "export default 1" })
    await upload({ code: "export default 2" })
    await route()
    plane.pass(61_000)
    await resumeDeployments(plane.deps)
    expect(await traffic()).toEqual(all(2))
  })
})

describe("a deployment", () => {
  it("of placed versions makes no call to Cloudflare", async () => {
    await upload({ code: "export default 1" })
    await route()
    await upload({ code: "export default 2" })
    cloudflare.calls.length = 0
    const { status } = await plane.send("POST /v1/scripts/pages/rollback", { token, body: {} })
    expect(status).toBe(201)
    expect(await traffic()).toEqual(all(1))
    expect(cloudflare.calls).toEqual([])
  })

  it("of a version whose resource the team lost is refused, by rollback too, and names the grant", async () => {
    const grants = (list: string[]) => plane.send("PUT /v1/teams/web", { body: { grants: list, egress: [] } })
    await grants(["resource:queue:jobs"])
    await upload({ metadata: { bindings: [{ type: "queue", name: "Q", queue_name: "jobs" }] } })
    await route()
    await upload({ code: "export default 2" })
    await grants(["resource:queue:job"])
    for (const [line, body] of [
      ["POST /v1/scripts/pages/rollback", {}],
      ["POST /v1/scripts/pages/deployments", { releases: all(1) }],
      ["POST /v1/scripts/pages/pins", { version: 1 }],
    ] as const) {
      const sent = await plane.send(line, { token, body })
      expect([sent.status, sent.body.code], line).toEqual([403, "deployment.not-granted"])
      expect(sent.body.errors[0].detail).toContain("resource:queue:jobs")
    }
    const weighed = { token, body: routeBody({ script: "pages", releases: all(1) }) }
    const onRoute = await plane.send("PUT /v1/routes/pages", weighed)
    expect([onRoute.status, onRoute.body.code]).toEqual([403, "deployment.not-granted"])
    expect(await traffic()).toEqual(all(2))
    await grants(["resource:queue:jobs"])
    expect((await plane.send("PUT /v1/routes/pages", weighed)).status).toBe(200)
    await grants([])
    const kill = { mode: "enforce", reason: "incident" }
    const killed = { token, body: routeBody({ script: "pages", releases: all(1), kill }) }
    expect((await plane.send("PUT /v1/routes/pages", killed)).status).toBe(200)
    await grants(["resource:queue:jobs"])
    expect((await plane.send("POST /v1/scripts/pages/rollback", { token, body: {} })).status).toBe(201)
  })

  it("that is taken up after the team lost a resource of it is closed", async () => {
    await plane.send("PUT /v1/teams/web", { body: { grants: ["resource:queue:jobs"], egress: [] } })
    const busy = { kind: "status", status: 503 } as const
    cloudflare.failNext("PUT", busy, busy, busy, busy)
    await upload({ metadata: { bindings: [{ type: "queue", name: "Q", queue_name: "jobs" }] } })
    await plane.send("PUT /v1/teams/web", { body: { grants: [], egress: [] } })
    plane.pass(61_000)
    await resumeDeployments(plane.deps)
    expect(await plane.deps.store.deployments.unfinished()).toEqual([])
    expect(await plane.deps.store.deployments.current("pages")).toBeNull()
  })

  it("of a version that never got there places it first", async () => {
    const busy = { kind: "status", status: 503 } as const
    await plane.send("PUT /v1/scripts/pages", { token, body: { deployOnUpload: false } })
    cloudflare.failNext("PUT", busy, busy, busy, busy)
    await upload()
    const { status } = await plane.send("POST /v1/scripts/pages/deployments", { token, body: { releases: all(1) } })
    expect(status).toBe(201)
    expect(cloudflare.scripts.has("pages--v1")).toBe(true)
  })

  it("of a version that does not exist is refused and leaves nothing behind", async () => {
    await upload()
    const { status, body } = await plane.send("POST /v1/scripts/pages/deployments", {
      token,
      body: { releases: all(7) },
    })
    expect([status, body.code]).toEqual([404, "version.unknown"])
    expect((await plane.deps.store.deployments.list("pages", { limit: 10 })).items).toHaveLength(1)
  })
})

describe("a deployment that the schedule goes on with", () => {
  const record = (version: number, script = "pages") =>
    plane.deps.store.deployments.record(script, all(version), null, SYSTEM)
  const phaseOf = async (id: string) => (await plane.deps.store.deployments.get(id))?.phase
  /** The same with a KV that takes nothing. */
  const withoutKv = () => ({
    ...plane.deps,
    config: new Proxy(plane.deps.config, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name)
        if (typeof member !== "function") return member
        return name === "put" ? () => Promise.reject(new Error("KV PUT failed: 500")) : member.bind(target)
      },
    }),
  })
  beforeEach(async () => {
    await plane.script("pages", "web", 3)
    await plane.send("POST /v1/scripts/pages/deployments", { token, body: { releases: all(1) } })
  })

  it("is in force, and not given up, when KV takes nothing for longer than a quarter of an hour", async () => {
    const { id } = await record(2)
    plane.pass(16 * 60_000)
    await resumeDeployments(withoutKv())
    expect(plane.logs.at(-1)).toMatchObject({ event: "deployment.resume-failed", code: "config.not-published" })
    expect(await phaseOf(id)).toBe("published")
    await healPublication(plane.deps)
    expect(await traffic()).toEqual(all(2))
    await plane.send("POST /v1/scripts/pages/deployments", { token, body: { releases: all(3) } })
    const back = await plane.send("POST /v1/scripts/pages/rollback", { token, body: {} })
    expect([back.status, back.body.releases]).toEqual([201, all(2)])
  })

  it("fails only as long as it is not in force", async () => {
    const { deployments } = plane.deps.store
    const inForce = await deployments.current("pages")
    await deployments.fail(inForce?.id ?? "", SYSTEM)
    expect(await phaseOf(inForce?.id ?? "")).toBe("published")
    const begun = await record(2)
    await deployments.fail(begun.id, SYSTEM)
    expect(await phaseOf(begun.id)).toBe("failed")
    const { records } = await plane.deps.store.audit.verify()
    await deployments.fail(begun.id, SYSTEM)
    expect((await plane.deps.store.audit.verify()).records).toBe(records)
  })

  it("ends with the script, whoever has its name afterwards", async () => {
    const { id } = await record(2)
    await plane.script("other", "web", 1)
    const other = await record(1, "other")
    expect((await plane.send("DELETE /v1/scripts/pages?message=over", { token })).status).toBe(204)
    expect([await phaseOf(id), await phaseOf(other.id)]).toEqual(["failed", "recorded"])
    const [removal] = (await plane.send("GET /v1/audit?limit=1")).body.items
    expect(removal).toMatchObject({ action: "script.delete", detail: { message: "over", failed: [id] } })
    expect((await plane.send("PUT /v1/scripts/pages", { token, body: {} })).status).toBe(201)
    plane.pass(61_000)
    await resumeDeployments(plane.deps)
    expect((await plane.send("GET /v1/scripts/pages", { token })).body.releases).toBeNull()
    const again = await plane.send("POST /v1/scripts/pages/deployments", { token, body: { releases: all(2) } })
    expect([again.status, await traffic()]).toEqual([201, all(2)])
  })

  it("is closed when its team has no room for another script in service", async () => {
    await plane.script("idle", "web", 1)
    const { id } = await record(1, "idle")
    const other = await record(2)
    await plane.send("PUT /v1/hostnames/api.procore.com", { body: { team: "web", open: false } })
    await plane.deps.db
      .prepare(
        `WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 300)
         INSERT INTO routes (id, hostname, path, team, script, spec)
         SELECT printf('r-%d', i), 'api.procore.com', printf('/%0400d', i), 'web', 'pages', '{"auth":{"mode":"none","issuers":[],"scopes":[]},"open":false}' FROM n`,
      )
      .run()
    plane.pass(61_000)
    await resumeDeployments(plane.deps)
    expect(plane.logs.at(-1)).toMatchObject({ event: "deployment.resume-failed", code: "route.quota-exceeded" })
    expect([await phaseOf(id), await phaseOf(other.id)]).toEqual(["failed", "published"])
  })

  it("stays as it is when a deletion is only tried", async () => {
    const { id } = await record(2)
    expect((await plane.send("DELETE /v1/scripts/pages?dry_run=true", { token })).status).toBe(204)
    expect(await phaseOf(id)).toBe("recorded")
  })

  it("is not brought back by a repeat of its key once it has failed", async () => {
    const busy = { kind: "status", status: 503 } as const
    await plane.deps.store.versions.setState("pages", 2, "recorded", SYSTEM)
    cloudflare.failNext("PUT", ...Array.from({ length: 20 }, () => busy))
    const deploy = () =>
      plane.send("POST /v1/scripts/pages/deployments", {
        token,
        body: { releases: all(2) },
        headers: { "idempotency-key": "k" },
      })
    await deploy()
    const [begun] = (await plane.deps.store.deployments.list("pages", { limit: 1 })).items
    await plane.deps.store.deployments.fail(begun?.id ?? "", SYSTEM)
    await plane.deps.store.versions.setState("pages", 2, "verified", SYSTEM)
    const again = await deploy()
    expect([again.status, again.body.code]).toEqual([409, "api.conflict"])
    expect((await plane.deps.store.deployments.current("pages"))?.releases).toEqual(all(1))
  })
})

describe("a hundred unfinished deployments of others", () => {
  beforeEach(async () => {
    await upload({ code: "export default 1" })
    await route()
    await plane.deps.db
      .prepare(
        `WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 100)
         INSERT INTO scripts (name, team, settings, created_at) SELECT printf('other-%d', i), 'web', '{}', '' FROM n`,
      )
      .run()
    await plane.deps.db
      .prepare(
        `INSERT INTO deployments (id, script, releases, phase, created_by, created_at)
         SELECT 'd-' || name, name, '[{"version":1,"weightBps":10000}]', 'recorded', 'x', '2026-11-20T12:00:00.000Z' FROM scripts WHERE name LIKE 'other-%'`,
      )
      .run()
  })

  it("do not hide a canary that was begun from an upload", async () => {
    const releases = [
      { version: 1, weightBps: 9000 },
      { version: 2, weightBps: 1000 },
    ]
    await plane.deps.store.deployments.record("pages", releases, null, SYSTEM)
    const { status, body } = await upload({ code: "export default 2" })
    expect([status, body.errors[0]?.message]).toEqual([409, expect.stringContaining("The version was published")])
    expect(await traffic()).toEqual(all(1))
  })

  it("do not hide one from who would give the script's name away", async () => {
    await plane.team("store")
    await plane.script("idle", "web", 1)
    const give = () => plane.send("PUT /v1/scripts/idle", { body: { team: "store" } })
    const begun = await plane.deps.store.deployments.record("idle", all(1), null, SYSTEM)
    expect((await give()).body.code).toBe("script.owned-by-another-team")
    await plane.deps.store.deployments.fail(begun.id, SYSTEM)
    expect((await give()).body.team).toBe("store")
  })
})

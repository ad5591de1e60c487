/** Fault F18: the calls that Cloudflare takes in five minutes. A team that deploys in a loop leaves the others theirs and ops the rollback, and what was refused is lost for nobody. */
import { beforeEach, describe, it } from "vitest"
import { type CloudflareFixture, cloudflareFixture } from "../test/cloudflare-fixture.ts"
import { OPS_TOKEN, routeBody, startControlPlane, type TestControlPlane } from "../test/harness.ts"
import { type Enveloped, putRequest, uploadBody } from "../test/upload-request.ts"
import { SYSTEM } from "./actor.ts"
import { slotAt, WINDOW_MS } from "./call-window.ts"
import { type Dependencies, makeDependencies } from "./dependencies.ts"
import { resumeDeployments } from "./deployment.ts"
import { MAX_SCRIPTS_PER_TEAM } from "./store/scripts.ts"

/** For one team's uploads 24, for those of all 48, for all work of teams 54. An upload takes 4. */
const LIMIT = 60
const BUSY = { kind: "status", status: 503 } as const

let cloudflare: CloudflareFixture
let plane: TestControlPlane
let web: string
/** When each call went out. */
let sentAtMs: number[]
/** R2 takes nothing from here on. */
let isStoreDown: boolean

beforeEach(() => start(LIMIT))

async function start(callLimit: number): Promise<void> {
  cloudflare = cloudflareFixture()
  sentAtMs = []
  isStoreDown = false
  plane = await startControlPlane((env) => {
    const { settings } = makeDependencies(env)
    return {
      fetch: (...given) => {
        sentAtMs.push(plane.deps.clock.now())
        return cloudflare.fetch(...given)
      },
      wait: async (ms) => plane.pass(ms),
      artifacts: breakable(env.ARTIFACTS),
      settings: { ...settings, cloudflare: { ...settings.cloudflare, callLimit } },
    }
  })
  web = await plane.team("web")
}

const breakable = (artifacts: R2Bucket) =>
  new Proxy(artifacts, {
    get(target, name) {
      const member = Reflect.get(target, name)
      if (typeof member !== "function") return member
      return isStoreDown && name === "put" ? () => Promise.reject(new Error("R2 takes nothing")) : member.bind(target)
    },
  })

async function upload(code: string, script = "pages", token = web) {
  const response = await plane.fetch(putRequest(script, token, { code: `export default "${code}"` }))
  const body = await response.json<Enveloped>()
  const { code: number, message = "" } = body.errors[0] ?? {}
  return { status: response.status, number, message, retryAfterS: Number(response.headers.get("retry-after")) }
}

/** Uploads one new version after the other until one is refused for the calls that are left; says how many went in. */
async function uploadUntilRefused(script: string, token: string): Promise<number> {
  for (let version = 1; version < LIMIT; version++) {
    const { status } = await upload(`${script} ${version}`, script, token)
    if (status === 429) return version - 1
    if (status !== 200) throw new Error(`upload ${version} answered ${status}`)
  }
  throw new Error(`${LIMIT} uploads were all taken`)
}

const spent = async (team?: string | null) =>
  (await plane.deps.store.calls.usage(plane.deps.clock.now())).spent
    .filter((each) => team === undefined || each.team === team)
    .reduce((sum, { calls }) => sum + calls, 0)
const calls = async <T>(work: () => Promise<T>): Promise<{ answer: T; sent: number }> => {
  const before = sentAtMs.length
  return { answer: await work(), sent: sentAtMs.length - before }
}
const deploy = (version: number, token: string, line = "POST /v1/scripts/pages/deployments") =>
  plane.send(line, { token, body: { releases: [{ version, weightBps: 10_000 }] } })
const stateOf = async (version: number, script = "pages") =>
  (await plane.deps.store.versions.get(script, version))?.state
const versionsOf = async (script = "pages") => (await plane.deps.store.versions.list(script, { limit: 50 })).items
const unfinished = () => plane.deps.store.deployments.unfinished()

/** Takes a version out of the namespace, as the schedule does with what nobody uses, so that it has to be placed again. */
async function loseVersion(version: number, script = "pages"): Promise<void> {
  cloudflare.scripts.delete(`${script}--v${version}`)
  await plane.deps.store.versions.setState(script, version, "retired", SYSTEM)
}

/** All that is kept but the count itself. */
async function everything({ db, artifacts, config }: Dependencies = plane.deps) {
  const tables = ["scripts", "versions", "deployments", "script_current", "audit", "config_revisions"]
  const rows = await Promise.all(tables.map((table) => db.prepare(`SELECT * FROM ${table}`).all()))
  const [objects, keys] = await Promise.all([artifacts.list(), config.list()])
  return [rows.map((each) => each.results), objects.objects.map(({ key }) => key), keys.keys.map(({ name }) => name)]
}

describe("a team that deploys in a loop", () => {
  it("makes as many calls as one team has, and others deploy meanwhile", async ({ expect }) => {
    expect(await uploadUntilRefused("pages", web)).toBe(6)
    expect(sentAtMs).toHaveLength(0.4 * LIMIT)
    const shop = await plane.team("shop")
    expect((await upload("a", "cart", shop)).status).toBe(200)
    expect(await spent("shop")).toBe(4)
  })

  it("leaves ops a rollback that places a version again, however many teams do so", async ({ expect }) => {
    await upload("before")
    await plane.send("PUT /v1/hostnames/api.procore.com", { body: { team: "web", open: false } })
    await plane.send("PUT /v1/routes/pages", { token: web, body: routeBody({ script: "pages" }) })
    await upload("bad")
    plane.pass(2 * WINDOW_MS)
    for (const team of ["web", "shop", "docs"]) await uploadUntilRefused(`${team}-loop`, await plane.team(team))
    expect(await spent()).toBe(0.8 * LIMIT)
    await loseVersion(1)
    const { answer, sent } = await calls(() => plane.send("POST /v1/scripts/pages/rollback", { body: {} }))
    expect([answer.status, sent]).toEqual([201, 4])
    expect((await plane.published()).scripts.pages.releases).toEqual([{ version: 1, weightBps: 10_000 }])
    expect(cloudflare.scripts.has("pages--v1")).toBe(true)
    // And as many more as a fifth of the limit holds, none of them for a team.
    for (let again = 1; again < (0.2 * LIMIT) / 4; again++) {
      await loseVersion(1)
      expect((await deploy(1, OPS_TOKEN)).status).toBe(201)
    }
    expect((await upload("more")).status).toBe(429)
    await loseVersion(1)
    const over = await deploy(1, OPS_TOKEN)
    expect([over.status, over.body.code]).toEqual([429, "cloudflare.budget-spent"])
    expect(over.body.detail).toMatch(/ It was recorded and is gone on with meanwhile\.$/)
    expect(await spent()).toBe(LIMIT)
  })

  it("never has more calls go out in five minutes than Cloudflare takes, over a quarter of an hour, with failures and their repetitions", async ({
    expect,
  }) => {
    const tokens = { web, shop: await plane.team("shop"), docs: await plane.team("docs") }
    for (let minute = 0; minute < 15; minute++) {
      for (const [team, token] of Object.entries(tokens))
        for (let each = 0; each < 2; each++) {
          if (each === 0) cloudflare.failNext("PUT", BUSY, { kind: "lost-answer" })
          await upload(`${team} ${minute} ${each}`, `${team}-loop`, token)
        }
      plane.pass(60_000)
      await resumeDeployments(plane.deps)
    }
    const most = Math.max(
      ...sentAtMs.map((atMs) => sentAtMs.filter((each) => each <= atMs && each >= atMs - WINDOW_MS).length),
    )
    expect(most).toBeLessThanOrEqual(0.8 * LIMIT)
    expect(most).toBeGreaterThan(0.6 * LIMIT)
    expect((await plane.send("GET /v1/audit/verify")).body).toMatchObject({ intact: true })
  })

  it("has no way round by deploying what was refused, while ops have", async ({ expect }) => {
    await plane.script("pages", "web")
    await plane.send("PUT /v1/scripts/pages", { token: web, body: { deployOnUpload: false } })
    cloudflare.failNext("PUT", BUSY, BUSY, BUSY, BUSY)
    expect((await upload("x")).status).toBe(503)
    await uploadUntilRefused("loop", web)
    const asked = await calls(() => deploy(1, web))
    expect([asked.answer.status, asked.answer.body.code, asked.sent]).toEqual([429, "cloudflare.budget-spent", 0])
    expect((await deploy(1, OPS_TOKEN)).status).toBe(201)
  })
})

describe("a team whose uploads have spent their share", () => {
  const rollback = () => plane.send("POST /v1/scripts/pages/rollback", { token: web, body: {} })
  const pin = (version: number) => plane.send("POST /v1/scripts/pages/pins", { token: web, body: { version } })
  beforeEach(async () => {
    await upload("a")
    await upload("b")
    plane.pass(2 * WINDOW_MS)
    await uploadUntilRefused("loop", web)
    await loseVersion(1)
  })

  it("has its own rollback to a retired version yet, but not many", async ({ expect }) => {
    // Of the 27 that all its work may take, which is enough for one and not for two.
    await plane.deps.store.calls.giveBack(slotAt(plane.deps.clock.now()), "web", 1)
    expect((await rollback()).status).toBe(201)
    expect(await spent("web")).toBe(27)
    await loseVersion(2)
    const second = await deploy(2, web)
    expect([second.status, second.body.code]).toEqual([429, "cloudflare.budget-spent"])
  })

  it("has no calls for what leads no traffic: the pin of a retired version waits", async ({ expect }) => {
    await plane.deps.store.calls.giveBack(slotAt(plane.deps.clock.now()), "web", 1)
    const refused = await pin(1)
    expect([refused.status, refused.body.code]).toEqual([429, "cloudflare.budget-spent"])
    expect((await pin(2)).status).toBe(201)
    plane.pass(Number(refused.headers.get("retry-after")) * 1000)
    expect((await pin(1)).status).toBe(201)
  })
})

it("a retired version that was placed and could not be looked at goes on as the deployment it is for, and may be pinned", async ({
  expect,
}) => {
  await upload("a")
  await upload("b")
  plane.pass(2 * WINDOW_MS)
  await loseVersion(1)
  const { scripts } = cloudflare
  const set = scripts.set.bind(scripts)
  scripts.set = (name, script) => {
    scripts.set = set
    cloudflare.failNext("GET", BUSY, BUSY, BUSY, BUSY)
    return set(name, script)
  }
  expect((await deploy(1, web)).status).toBe(503)
  expect((await versionsOf()).find(({ number }) => number === 1)?.state).toBe("retired")
  for (const team of ["shop", "docs"]) await uploadUntilRefused(`loop-${team}`, await plane.team(team))
  plane.pass(61_000)
  await resumeDeployments(plane.deps)
  expect((await plane.deps.store.deployments.current("pages"))?.releases).toMatchObject([{ version: 1 }])
  expect((await plane.send("POST /v1/scripts/pages/pins", { token: web, body: { version: 1 } })).status).toBe(201)
})

describe("an upload for which no calls are left", () => {
  it("has written nothing anywhere and called nobody", async ({ expect }) => {
    await uploadUntilRefused("pages", web)
    const before = await everything()
    for (const script of ["pages", "new-one"]) {
      const { answer, sent } = await calls(() => upload("refused", script))
      expect([answer.status, sent]).toEqual([429, 0])
    }
    expect(await everything()).toEqual(before)
  })

  it("is the next version when it is sent again after Retry-After, and one", async ({ expect }) => {
    await uploadUntilRefused("pages", web)
    const { retryAfterS } = await upload("refused")
    plane.pass((retryAfterS - 1) * 1000)
    expect((await upload("refused")).status).toBe(429)
    plane.pass(1000)
    expect((await upload("refused")).status).toBe(200)
    expect((await upload("refused")).status).toBe(200)
    expect((await versionsOf()).map(({ number, state }) => [number, state])[0]).toEqual([7, "verified"])
    expect(await versionsOf()).toHaveLength(7)
    expect(cloudflare.scripts.get("pages--v7")?.puts).toBe(1)
  })

  it("is told why to wrangler's user, with a number that Cloudflare's clients know", async ({ expect }) => {
    await uploadUntilRefused("pages", web)
    const { number, message, retryAfterS } = await upload("refused")
    expect(number).toBe(971)
    // More than the minute for which wrangler would wait in silence.
    expect(retryAfterS).toBeGreaterThan(60)
    expect(message).toBe(
      "The calls to Cloudflare's API are spent for the moment. Team web has spent 24 of the 24 calls that one team may make for this in five minutes. " +
        `Send it again in ${retryAfterS} s. Nothing is made twice.`,
    )
  })

  it("is told so by /v1 as a problem", async ({ expect }) => {
    await uploadUntilRefused("pages", web)
    const url = "https://control-plane.example/v1/scripts/pages/versions"
    const headers = { authorization: `Bearer ${web}` }
    const response = await plane.fetch(new Request(url, { method: "POST", headers, body: uploadBody() }))
    expect(response.headers.get("content-type")).toBe("application/problem+json")
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(60)
    expect(await response.json()).toMatchObject({ status: 429, code: "cloudflare.budget-spent" })
  })

  it("is taken when ops send it", async ({ expect }) => {
    await uploadUntilRefused("pages", web)
    expect((await upload("by ops", "pages", OPS_TOKEN)).status).toBe(200)
    expect([await spent("web"), await spent(null)]).toEqual([24, 4])
  })
})

describe("an upload that ends without having made its calls", () => {
  /** Every such statement fails. */
  const breakD1 = (what: string) =>
    plane.deps.db.prepare(`CREATE TRIGGER broken BEFORE ${what} BEGIN SELECT RAISE(ABORT, 'broken'); END`).run()
  /** A team with as many names as one may have, `pages` among them. */
  async function holdAllNames(): Promise<void> {
    const insert = plane.deps.db.prepare(
      "INSERT INTO scripts (name, team, settings, created_at, deleted_at) VALUES (?, 'web', '{}', '', '')",
    )
    await plane.deps.db.batch(Array.from({ length: MAX_SCRIPTS_PER_TEAM - 1 }, (_, index) => insert.bind(`n-${index}`)))
  }
  const breakStore = () => {
    isStoreDown = true
  }
  /** A call to remove what is to be the second version is under way, as far as the registry knows. */
  const takeOut = () =>
    plane.deps.db
      .prepare("INSERT INTO removals (script, number, due_at_ms) VALUES ('pages', 2, ?)")
      .bind(plane.deps.clock.now() + WINDOW_MS)
      .run()
  const ENDS: readonly (readonly [string, number, () => unknown, { script?: string; sent?: number }])[] = [
    ["its team has no name left", 409, holdAllNames, { script: "beyond" }],
    ["its name cannot be claimed", 500, () => breakD1("INSERT ON scripts"), { script: "new-one" }],
    ["its version cannot be recorded", 500, () => breakD1("INSERT ON versions"), {}],
    ["its files cannot be stored", 500, () => breakStore(), {}],
    ["its deployment cannot be recorded", 500, () => breakD1("INSERT ON deployments"), {}],
    ["its placing cannot begin", 503, takeOut, {}],
    ["Cloudflare refuses it", 400, () => cloudflare.failNext("PUT", { kind: "status", status: 400 }), { sent: 2 }],
    ["what was placed cannot be written down", 500, () => breakD1("UPDATE OF state ON versions"), { sent: 2 }],
    ["its config cannot be recorded", 500, () => breakD1("INSERT ON config_revisions"), { sent: 4 }],
  ]

  it.for(ENDS)(
    "has spent what it made and no more: %s",
    async ([, status, arrange, { script, sent = 0 }], { expect }) => {
      await upload("before")
      await arrange()
      const before = await spent()
      const ended = await calls(() => upload("ended", script))
      expect([ended.answer.status, ended.sent, (await spent()) - before]).toEqual([status, sent, sent])
    },
  )

  it("however often, takes nothing from its team or from others", async ({ expect }) => {
    await upload("before")
    await holdAllNames()
    for (let name = 0; name < LIMIT / 4; name++) expect((await upload("x", `beyond-${name}`)).status).toBe(409)
    expect((await upload("after")).status).toBe(200)
    expect((await upload("a", "cart", await plane.team("shop"))).status).toBe(200)
    expect(await spent()).toBe(sentAtMs.length)
  })
})

describe("an upload whose calls run out on the way", () => {
  /** Eight calls for one team's uploads. */
  beforeEach(() => start(20))

  async function breakOff(): Promise<string> {
    if ((await upload("first")).status !== 200) throw new Error("the first has room")
    cloudflare.failNext("GET", BUSY)
    const { status, message } = await upload("second")
    if (status !== 429) throw new Error(`the second answered ${status}`)
    return message
  }

  it("is finished by the schedule once there is room, as one version with one deployment", async ({ expect }) => {
    await breakOff()
    expect(await unfinished()).toHaveLength(1)
    plane.pass(61_000)
    const early = await calls(() => resumeDeployments(plane.deps))
    expect([early.sent, (await unfinished()).length]).toEqual([0, 1])
    plane.pass(WINDOW_MS)
    await resumeDeployments(plane.deps)
    expect(await unfinished()).toEqual([])
    expect((await versionsOf()).map(({ number, state }) => [number, state])).toEqual([
      [2, "verified"],
      [1, "verified"],
    ])
    expect((await plane.deps.store.deployments.current("pages"))?.releases).toEqual([{ version: 2, weightBps: 10_000 }])
    expect(cloudflare.scripts.get("pages--v2")?.puts).toBe(1)
  })

  it("is told that it is gone on with, unless nobody does", async ({ expect }) => {
    expect(await breakOff()).toMatch(/ s\. Nothing is made twice\. It was recorded and is gone on with meanwhile\.$/)
    plane.pass(2 * WINDOW_MS)
    await plane.send("PUT /v1/scripts/pages", { token: web, body: { deployOnUpload: false } })
    await upload("third")
    cloudflare.failNext("GET", BUSY)
    const { status, message } = await upload("fourth")
    expect([status, message]).toEqual([429, expect.stringMatching(/ s\. Nothing is made twice\.$/)])
  })

  it("is finished by the same upload, without a second version or deployment", async ({ expect }) => {
    await breakOff()
    plane.pass(WINDOW_MS + 60_000)
    expect((await upload("second")).status).toBe(200)
    expect(await versionsOf()).toHaveLength(2)
    expect((await plane.deps.store.deployments.list("pages", { limit: 10 })).items).toHaveLength(2)
    expect(await unfinished()).toEqual([])
  })
})

describe("what was begun and the schedule goes on with", () => {
  it("takes the calls of the team that began it, and those of ops where they did", async ({ expect }) => {
    await plane.team("shop")
    const ops = await plane.send("POST /v1/tokens", { body: { role: "ops", label: "alice" } })
    await upload("a")
    await upload("b")
    await loseVersion(1)
    plane.pass(2 * WINDOW_MS)
    cloudflare.failNext("GET", BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY)
    expect((await deploy(1, ops.body.token)).status).toBe(503)
    expect((await upload("c", "other")).status).toBe(503)
    expect(await unfinished()).toHaveLength(2)
    plane.pass(2 * WINDOW_MS)
    await uploadUntilRefused("loop", web)
    await resumeDeployments(plane.deps)
    expect([await stateOf(1), await stateOf(1, "other")]).toEqual(["verified", "recorded"])
    expect([await spent("web"), await spent(null)]).toEqual([24, 4])
  })
})

describe("the count", () => {
  it("is of the calls that were made, a version that is there being looked at once", async ({ expect }) => {
    await upload("a")
    expect(await spent()).toBe(sentAtMs.length)
    const again = await calls(() => upload("a"))
    expect([again.answer.status, again.sent]).toEqual([200, 1])
    cloudflare.failNext("PUT", BUSY)
    await upload("b")
    expect(await spent()).toBe(sentAtMs.length)
  })

  it("is not asked by a deployment or rollback of what is in place", async ({ expect }) => {
    await upload("a")
    await upload("b")
    const before = await spent()
    const db = plane.deps.db
    await db.prepare("DROP TABLE cloudflare_calls").run()
    expect((await plane.send("POST /v1/scripts/pages/rollback", { token: web, body: {} })).status).toBe(201)
    expect(before).toBe(8)
  })

  it("that fails lets ops place a version again, and no upload in", async ({ expect }) => {
    await upload("a")
    await upload("b")
    await loseVersion(1)
    await plane.deps.db.prepare("DROP TABLE cloudflare_calls").run()
    const before = await everything()
    expect((await upload("c")).status).toBe(500)
    expect(await everything()).toEqual(before)
    expect((await plane.send("POST /v1/scripts/pages/rollback", { body: {} })).status).toBe(201)
    expect(cloudflare.scripts.has("pages--v1")).toBe(true)
    expect(plane.logs.map(({ event }) => event)).toContain("cloudflare.calls-uncounted")
  })
})

describe("Cloudflare's own 429", () => {
  const banned = { kind: "status", status: 429, headers: { "retry-after": "300" } } as const

  it("is met once: uploads after it are refused at once, ops try, and all goes on when it is over", async ({
    expect,
  }) => {
    const shop = await plane.team("shop")
    await upload("a")
    await upload("b")
    await loseVersion(1)
    cloudflare.failNext("GET", banned)
    expect(await calls(() => upload("c"))).toMatchObject({ answer: { status: 503 }, sent: 1 })
    const later = await calls(() => upload("d", "cart", shop))
    expect(later).toMatchObject({ answer: { status: 429, number: 971, retryAfterS: 300 }, sent: 0 })
    expect(later.answer.message).toContain("Cloudflare takes no calls of this platform at the moment")
    expect((await plane.send("POST /v1/scripts/pages/rollback", { body: {} })).status).toBe(201)
    plane.pass(299_999)
    expect((await upload("d", "cart", shop)).status).toBe(429)
    plane.pass(1)
    expect((await upload("d", "cart", shop)).status).toBe(200)
  })

  it("that passes within the call is waited for as before, and other failures are not remembered", async ({
    expect,
  }) => {
    cloudflare.failNext("GET", BUSY, BUSY, BUSY, BUSY)
    expect((await upload("a")).status).toBe(503)
    expect((await upload("a")).status).toBe(200)
    cloudflare.failNext("PUT", { kind: "status", status: 429, headers: { "retry-after": "1" } })
    expect((await upload("b")).status).toBe(200)
  })
})

import { beforeEach, describe, it } from "vitest"
import { routeBody, startControlPlane, type TestControlPlane } from "../../test/harness.ts"
import type { Actor } from "../actor.ts"

let platform: TestControlPlane
let alpha: string
let beta: string
beforeEach(async () => {
  platform = await startControlPlane()
  alpha = await platform.team("alpha")
  beta = await platform.team("beta")
})

function actorOf(team: string): Actor {
  return { tokenId: `t-${team}`, role: "team", team, name: `token:t-${team}` }
}

describe("scripts: works", () => {
  it("claims a name with the usual settings, and publishes nothing by it", async ({ expect }) => {
    const before = await platform.pointer()
    const sent = await platform.send("PUT /v1/scripts/files", { token: alpha, body: { message: "ours" } })
    expect(sent.status).toBe(201)
    expect(sent.body).toEqual({
      name: "files",
      team: "alpha",
      stickyBy: "company",
      limits: { cpuMs: 1000, subRequests: 50 },
      timeoutMs: 30_000,
      deployOnUpload: true,
      keepAssetVersions: 3,
      keepPlacedVersions: 10,
      access: null,
      kill: null,
      releases: null,
      latestVersion: null,
      createdAt: "2026-11-20T12:00:00.000Z",
    })
    expect(await platform.pointer()).toEqual(before)
  })

  it("changes the settings it is given and keeps the others", async ({ expect }) => {
    await platform.send("PUT /v1/scripts/files", { token: alpha, body: { timeoutMs: 500 } })
    const sent = await platform.send("PUT /v1/scripts/files", { token: alpha, body: { stickyBy: "subject" } })
    expect(sent.body).toMatchObject({ timeoutMs: 500, stickyBy: "subject" })
    expect((await platform.send("GET /v1/scripts/files", { token: alpha })).body).toEqual(sent.body)
  })

  it("publishes what a script asks of its callers and its kill switch, until they are taken back", async ({
    expect,
  }) => {
    await platform.script("files", "alpha", 1)
    await platform.send("POST /v1/scripts/files/deployments", {
      token: alpha,
      body: { releases: [{ version: 1, weightBps: 10_000 }] },
    })
    const access = { scopes: ["files:read"], kinds: ["service"] }
    const kill = { mode: "enforce", reason: "leak", retryAfterS: 30 }
    await platform.send("PUT /v1/scripts/files", { token: alpha, body: { access, kill } })
    expect((await platform.published()).scripts.files).toMatchObject({ access, kill })
    const sent = await platform.send("PUT /v1/scripts/files", { token: alpha, body: { kill: null } })
    expect(sent.body).toMatchObject({ access, kill: null })
    expect((await platform.published()).scripts.files).not.toHaveProperty("kill")
  })

  it("leaves a switch that ops threw to ops, also when the script is deleted and claimed again", async ({ expect }) => {
    const kill = { mode: "enforce", reason: "leak" }
    await platform.send("PUT /v1/scripts/files", { token: alpha, body: {} })
    await platform.send("PUT /v1/scripts/files", { body: { kill } })
    const put = (body: object) => platform.send("PUT /v1/scripts/files", { token: alpha, body })
    for (const changed of [null, { ...kill, mode: "log" }]) {
      const refused = await put({ kill: changed })
      expect(refused.status).toBe(403)
      expect(refused.body.code).toBe("api.forbidden")
    }
    expect((await put({ timeoutMs: 500 })).body).toMatchObject({ timeoutMs: 500, kill })
    await platform.send("DELETE /v1/scripts/files", { token: alpha })
    expect((await put({})).body).toMatchObject({ kill })
    await platform.send("DELETE /v1/scripts/files", { token: alpha })
    await platform.deps.store.scripts.claim("files", actorOf("alpha"))
    expect((await platform.send("GET /v1/scripts/files", { token: alpha })).body).toMatchObject({ kill })
    expect((await platform.send("PUT /v1/scripts/files", { body: { kill: null } })).body.kill).toBeNull()
    expect((await put({ kill })).body).toMatchObject({ kill })
    expect((await put({ kill: null })).body.kill).toBeNull()
  })

  it("lets a team write down again the switch that ops threw, which changes nothing", async ({ expect }) => {
    const kill = { mode: "enforce", reason: "leak" }
    await platform.send("PUT /v1/scripts/files", { token: alpha, body: {} })
    await platform.send("PUT /v1/scripts/files", { body: { kill } })
    const put = (body: object) => platform.send("PUT /v1/scripts/files", { token: alpha, body })
    expect((await put({ kill, timeoutMs: 500 })).body).toMatchObject({ timeoutMs: 500, kill })
    expect((await put({ kill: { ...kill, reason: "ours" } })).status).toBe(403)
    expect((await put({ kill: null })).status).toBe(403)
  })

  it("lets a team switch its script off while ops only watch it", async ({ expect }) => {
    await platform.send("PUT /v1/scripts/files", { token: alpha, body: {} })
    await platform.send("PUT /v1/scripts/files", { body: { kill: { mode: "log", reason: "who calls it?" } } })
    const put = (body: object) => platform.send("PUT /v1/scripts/files", { token: alpha, body })
    const kill = { mode: "enforce", reason: "ours" }
    expect((await put({ kill })).body).toMatchObject({ kill })
    expect((await put({ kill: null })).body.kill).toBeNull()
  })

  it("makes a team's switch ops' once they give it another reason, and not when they only send it along", async ({
    expect,
  }) => {
    const kill = { mode: "enforce", reason: "leak" }
    const lift = () => platform.send("PUT /v1/scripts/files", { token: alpha, body: { kill: null } })
    await platform.send("PUT /v1/scripts/files", { token: alpha, body: { kill } })
    await platform.send("PUT /v1/scripts/files", { body: { kill, timeoutMs: 500 } })
    expect((await lift()).status).toBe(200)
    await platform.send("PUT /v1/scripts/files", { token: alpha, body: { kill } })
    await platform.send("PUT /v1/scripts/files", { body: { kill: { ...kill, reason: "leak, incident 42" } } })
    expect((await lift()).status).toBe(403)
  })

  it("refuses conditions that no credential could meet", async ({ expect }) => {
    const sent = await platform.send("PUT /v1/scripts/files", {
      token: alpha,
      body: { access: { scopes: ["two words"], kinds: [], minLevel: 4, maxAuthAgeS: 29, sensitive: "yes" } },
    })
    expect(sent.status).toBe(400)
    expect(sent.body.errors.map((each: { pointer: string }) => each.pointer)).toEqual([
      "/access/scopes/0",
      "/access/kinds",
      "/access/minLevel",
      "/access/maxAuthAgeS",
      "/access/sensitive",
    ])
  })

  it("publishes the level, the age and the sensitivity that a script asks, and says nothing of what it does not ask", async ({
    expect,
  }) => {
    await platform.script("files", "alpha", 1)
    const releases = [{ version: 1, weightBps: 10_000 }]
    await platform.send("POST /v1/scripts/files/deployments", { token: alpha, body: { releases } })
    for (const asked of [{ minLevel: 3, maxAuthAgeS: 30, sensitive: true }, { minLevel: 1 }, {}]) {
      const access = { scopes: [], ...asked }
      const put = await platform.send("PUT /v1/scripts/files", { token: alpha, body: { access } })
      expect(put.body.access).toEqual(access)
      expect((await platform.published()).scripts.files.access).toEqual(access)
    }
  })

  it("shows what is deployed and the newest version", async ({ expect }) => {
    await platform.script("files", "alpha", 3)
    const releases = [
      { version: 1, weightBps: 9_000 },
      { version: 3, weightBps: 1_000 },
    ]
    await platform.send("POST /v1/scripts/files/deployments", { token: alpha, body: { releases } })
    const [listed] = (await platform.send("GET /v1/scripts", { token: alpha })).body.items
    expect(listed).toMatchObject({ releases, latestVersion: 3 })
    expect((await platform.published()).scripts.files.releases).toEqual(releases)
  })

  it("lists only the own scripts to a team", async ({ expect }) => {
    await platform.script("files", "alpha")
    await platform.script("pages", "beta")
    const names = async (token?: string) =>
      (await platform.send("GET /v1/scripts", token === undefined ? {} : { token })).body.items.map(
        (script: { name: string }) => script.name,
      )
    expect(await names(alpha)).toEqual(["files"])
    expect(await names(beta)).toEqual(["pages"])
    expect(await names()).toEqual(["files", "pages"])
  })

  it("deletes a script, and never gives its version numbers out again", async ({ expect }) => {
    await platform.script("files", "alpha", 2)
    await platform.send("POST /v1/scripts/files/deployments", {
      body: { releases: [{ version: 1, weightBps: 10_000 }] },
    })
    expect((await platform.send("DELETE /v1/scripts/files", { token: alpha })).status).toBe(204)
    expect((await platform.send("GET /v1/scripts/files", { token: alpha })).status).toBe(404)
    expect((await platform.published()).scripts).toEqual({})
    expect((await platform.send("PUT /v1/scripts/files", { token: alpha, body: {} })).body.releases).toBeNull()
    const content = { digest: "f".repeat(64), sizeBytes: 1, message: null, tag: null }
    expect((await platform.deps.store.versions.record("files", content, actorOf("alpha"))).version).toBe(3)
  })

  it("keeps a deleted script's name for its team", async ({ expect }) => {
    await platform.script("files", "alpha")
    await platform.send("DELETE /v1/scripts/files", { token: alpha })
    const sent = await platform.send("PUT /v1/scripts/files", { token: beta, body: {} })
    expect(sent.body.code).toBe("script.owned-by-another-team")
  })

  it("lets ops claim a name for a team, a reserved one too", async ({ expect }) => {
    const sent = await platform.send("PUT /v1/scripts/login", { body: { team: "beta" } })
    expect([sent.status, sent.body.team]).toEqual([201, "beta"])
    expect((await platform.send("PUT /v1/scripts/login", { token: beta, body: { timeoutMs: 900 } })).status).toBe(200)
  })
})

describe("scripts: refuses", () => {
  for (const name of ["login", "admin", "api", "sessions", "null"])
    it(`refuses a team the reserved name ${name}`, async ({ expect }) => {
      const sent = await platform.send(`PUT /v1/scripts/${name}`, { token: alpha, body: {} })
      expect(sent.body.code).toBe("script.name-invalid")
      await expect(platform.deps.store.scripts.claim(name, actorOf("alpha"))).rejects.toMatchObject({
        code: "script.name-invalid",
      })
    })
  for (const name of ["login-page", "apis", "nulls", "admin2"])
    it(`lets a team have ${name}, which is only near a reserved name`, async ({ expect }) => {
      expect((await platform.send(`PUT /v1/scripts/${name}`, { token: alpha, body: {} })).status).toBe(201)
    })
  for (const name of [
    "sallyport",
    "sallyport-x",
    "sallyports",
    "files--v1",
    "Files",
    "-files",
    "f".repeat(49),
    "1files",
  ])
    it(`refuses the name ${name} even to ops, for it is none`, async ({ expect }) => {
      const sent = await platform.send(`PUT /v1/scripts/${name}`, { body: { team: "alpha" } })
      expect([sent.status, sent.body.code]).toEqual([400, "script.name-invalid"])
      await expect(platform.deps.store.scripts.claim(name, actorOf("alpha"))).rejects.toMatchObject({
        code: "script.name-invalid",
      })
    })

  it("gives a name that many teams claim at once to exactly one, by either door", async ({ expect }) => {
    const claims = Array.from({ length: 10 }, (_, index) =>
      index % 2 === 0
        ? platform
            .send("PUT /v1/scripts/prize", { token: alpha, body: {} })
            .then((sent) => sent.body.team ?? sent.body.code)
        : platform.deps.store.scripts.claim("prize", actorOf("beta")).then(
            (row) => row.team,
            (refusal) => refusal.code,
          ),
    )
    const outcomes = await Promise.all(claims)
    const { team: winner } = (await platform.send("GET /v1/scripts/prize")).body
    const won = outcomes.filter((outcome) => outcome === winner)
    const lost = outcomes.filter((outcome) => outcome === "script.owned-by-another-team")
    expect([won.length, lost.length]).toEqual([5, 5])
    const { results } = await platform.deps.db.prepare("SELECT seq FROM audit WHERE action = 'script.claim'").all()
    expect(results).toHaveLength(1)
  })

  it("keeps 100 pairs of team and name apart under random concurrent claims", async ({ expect }) => {
    const names = Array.from({ length: 20 }, (_, index) => `name-${index}`)
    const owners = new Map<string, Set<string>>()
    for (let round = 0; round < 5; round++) {
      const claims = names.map(async (name, index) => {
        const team = (index * 7 + round) % 2 === 0 ? "alpha" : "beta"
        const owner = await platform.deps.store.scripts.claim(name, actorOf(team)).then(
          (row) => row.team,
          () => null,
        )
        if (owner === null) return
        expect(owner).toBe(team)
        owners.set(name, (owners.get(name) ?? new Set()).add(owner))
      })
      await Promise.all(claims)
    }
    for (const name of names) expect(owners.get(name)?.size).toBe(1)
  })

  it("refuses to give a live script to another team, by ops too", async ({ expect }) => {
    await platform.script("files", "alpha", 1)
    const releases = [{ version: 1, weightBps: 10_000 }]
    await platform.send("POST /v1/scripts/files/deployments", { body: { releases } })
    const sent = await platform.send("PUT /v1/scripts/files", { body: { team: "beta" } })
    expect(sent.body.code).toBe("script.owned-by-another-team")
    expect((await platform.send("PUT /v1/scripts/new", { token: alpha, body: { team: "beta" } })).status).toBe(403)
    expect((await platform.send("GET /v1/scripts/new")).status).toBe(404)
  })

  it("refuses ops a name without a team, or with one that does not exist", async ({ expect }) => {
    for (const body of [{}, { team: "nobody" }])
      expect((await platform.send("PUT /v1/scripts/new", { body })).body.errors[0].pointer).toBe("/team")
  })

  it("refuses to delete a script that has changed since it was read", async ({ expect }) => {
    await platform.script("files", "alpha", 1)
    const headers = { "if-match": (await platform.send("GET /v1/scripts/files")).headers.get("etag") ?? "" }
    await platform.send("POST /v1/scripts/files/deployments", {
      body: { releases: [{ version: 1, weightBps: 10_000 }] },
    })
    expect((await platform.send("DELETE /v1/scripts/files", { token: alpha, headers })).status).toBe(412)
    const now = { "if-match": (await platform.send("GET /v1/scripts/files")).headers.get("etag") ?? "" }
    expect((await platform.send("DELETE /v1/scripts/files", { token: alpha, headers: now })).status).toBe(204)
  })

  it("refuses to delete a script that routes lead to, and names only routes that one may read", async ({ expect }) => {
    await platform.script("files", "alpha")
    await platform.send("PUT /v1/hostnames/api.procore.com", { body: { team: null, open: true } })
    const body = routeBody({ script: "files" })
    await platform.send("PUT /v1/routes/foreign", { body: { ...body, path: "/foreign", team: "beta" } })
    const blind = await platform.send("DELETE /v1/scripts/files", { token: alpha })
    expect(blind.body.code).toBe("script.in-use")
    expect(blind.body.detail).not.toContain("foreign")
    await platform.send("PUT /v1/routes/own", { token: alpha, body: { ...body, path: "/own/*" } })
    expect((await platform.send("DELETE /v1/scripts/files", { token: alpha })).body.detail).toContain("own")
  })
})

describe("a name that changes hands", () => {
  const give = (name: string) => platform.send(`PUT /v1/scripts/${name}`, { body: { team: "beta" } })

  it("leaves nothing of the earlier team behind, and its version numbers are not used again", async ({ expect }) => {
    await platform.script("files", "alpha", 2)
    const releases = [{ version: 2, weightBps: 10_000 }]
    await platform.send("POST /v1/scripts/files/deployments", { body: { releases } })
    await platform.send("DELETE /v1/scripts/files", { token: alpha })
    expect(await give("files")).toMatchObject({
      status: 201,
      body: { team: "beta", releases: null, latestVersion: null },
    })
    for (const noun of ["versions", "deployments"])
      expect((await platform.send(`GET /v1/scripts/files/${noun}`, { token: beta })).body.items).toEqual([])
    const deployed = await platform.send("POST /v1/scripts/files/deployments", { token: beta, body: { releases } })
    expect(deployed.body.code).toBe("version.unknown")
    const content = { digest: "b".repeat(64), sizeBytes: 1, message: null, tag: null }
    await expect(platform.deps.store.versions.record("files", content, actorOf("alpha"))).rejects.toMatchObject({
      code: "script.owned-by-another-team",
    })
    expect((await platform.deps.store.versions.record("files", content, actorOf("beta"))).version).toBe(3)
    const [record] = (await platform.send("GET /v1/audit?limit=2")).body.items.slice(1)
    expect(record).toMatchObject({ action: "script.give", detail: { from: "alpha", team: "beta" } })
  })

  it("may be one that was claimed and never deployed, and is given by ops only", async ({ expect }) => {
    await platform.script("squatted", "alpha")
    expect((await platform.send("PUT /v1/scripts/squatted", { token: beta, body: { team: "beta" } })).status).toBe(403)
    expect((await give("squatted")).body.team).toBe("beta")
    expect((await platform.send("GET /v1/scripts/squatted", { token: alpha })).status).toBe(404)
  })

  it("is kept while a pin of the earlier team could still run", async ({ expect }) => {
    await platform.script("files", "alpha", 1)
    await platform.send("POST /v1/scripts/files/pins", { token: alpha, body: { version: 1 } })
    expect((await give("files")).body.detail).toContain("release pin")
    platform.pass(86_400_001)
    expect((await give("files")).body.team).toBe("beta")
  })
})

describe("the names of one team", () => {
  it("are at most 200, deleted ones included", async ({ expect }) => {
    const insert = platform.deps.db.prepare(
      "INSERT INTO scripts (name, team, settings, created_at, deleted_at) VALUES (?, 'alpha', '{}', '', '')",
    )
    await platform.deps.db.batch(Array.from({ length: 199 }, (_, index) => insert.bind(`held-${index}`)))
    expect((await platform.send("PUT /v1/scripts/last", { token: alpha, body: {} })).status).toBe(201)
    expect((await platform.send("PUT /v1/scripts/beyond", { token: alpha, body: {} })).body.code).toBe(
      "script.too-many",
    )
    await expect(platform.deps.store.scripts.claim("beyond", actorOf("alpha"))).rejects.toMatchObject({
      code: "script.too-many",
    })
    expect((await platform.send("PUT /v1/scripts/last", { token: alpha, body: { timeoutMs: 900 } })).status).toBe(200)
    expect((await platform.send("PUT /v1/scripts/beyond", { token: beta, body: {} })).status).toBe(201)
  })
})

describe("versions", () => {
  it("numbers concurrent new versions without a gap and gives equal content one number", async ({ expect }) => {
    await platform.script("files", "alpha")
    const contents = Array.from({ length: 12 }, (_, index) => String(index % 6).repeat(64))
    const recorded = await Promise.all(
      contents.map((digest) =>
        platform.deps.store.versions.record(
          "files",
          { digest, sizeBytes: 1, message: null, tag: null },
          actorOf("alpha"),
        ),
      ),
    )
    expect([...new Set(recorded.map((each) => each.version))].sort()).toEqual([1, 2, 3, 4, 5, 6])
    expect(recorded.filter((each) => each.created)).toHaveLength(6)
    for (const digest of new Set(contents)) {
      const numbers = recorded.filter((_, index) => contents[index] === digest).map((each) => each.version)
      expect(new Set(numbers).size).toBe(1)
    }
  })

  it("lists versions newest first, with their name in the namespace", async ({ expect }) => {
    await platform.script("files", "alpha", 2)
    const { items } = (await platform.send("GET /v1/scripts/files/versions", { token: alpha })).body
    expect(items).toMatchObject([
      { version: 2, placedName: "files--v2", state: "verified" },
      { version: 1, placedName: "files--v1", state: "verified" },
    ])
    expect((await platform.send("GET /v1/scripts/files/versions/3", { token: alpha })).body.code).toBe(
      "version.unknown",
    )
    expect((await platform.send("GET /v1/scripts/files/versions/01", { token: alpha })).body.code).toBe("api.not-found")
  })
})

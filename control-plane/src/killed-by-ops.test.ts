/** A route that ops switched off. Of scripts, which go by the same rule: api/scripts.test.ts. */
import { beforeEach, describe, it } from "vitest"
import { routeBody, startControlPlane, type TestControlPlane } from "../test/harness.ts"

const kill = { mode: "enforce", reason: "leak", retryAfterS: 30 }

let platform: TestControlPlane
let alpha: string
let beta: string
beforeEach(async () => {
  platform = await startControlPlane()
  alpha = await platform.team("alpha")
  beta = await platform.team("beta")
  await platform.script("a-script", "alpha", 2)
  await platform.script("a-other", "alpha", 1)
  await platform.script("b-script", "beta", 1)
  for (const hostname of ["a.example", "b.example"])
    await platform.send(`PUT /v1/hostnames/${hostname}`, { body: { team: "alpha", open: true } })
})

/** As the team, on /a/*. */
function put(fields: Readonly<Record<string, unknown>>, id = "a-route", token = alpha) {
  const body = routeBody({ hostname: "a.example", path: "/a/*", script: "a-script", ...fields })
  return platform.send(`PUT /v1/routes/${id}`, { body, token })
}
function putAsOps(fields: Readonly<Record<string, unknown>>) {
  const body = routeBody({ hostname: "a.example", path: "/a/*", script: "a-script", team: "alpha", ...fields })
  return platform.send("PUT /v1/routes/a-route", { body })
}
/** Of the route in force. */
async function killInForce(): Promise<unknown> {
  return (await platform.published()).hostnames["a.example"].routes[0].kill
}

describe("a route that ops switched off", () => {
  beforeEach(async ({ expect }) => {
    await put({})
    expect((await putAsOps({ kill })).status).toBe(200)
  })

  for (const [what, fields] of Object.entries({
    "a PUT without the switch": {},
    "a switch that only logs": { kill: { ...kill, mode: "log" } },
    "a switch with another reason": { kill: { ...kill, reason: "ours" } },
    "another path": { kill, path: "/b/*" },
    "another hostname": { kill, hostname: "b.example" },
  }))
    it(`stays off and where it is: its team is refused ${what}`, async ({ expect }) => {
      const sent = await put(fields)
      expect([sent.status, sent.body.code]).toEqual([403, "api.forbidden"])
      expect(sent.body.detail).toContain("Ops switched this route off")
      expect(await killInForce()).toEqual(kill)
    })

  it("stays attached: its team may not delete it and attach it anew", async ({ expect }) => {
    const sent = await platform.send("DELETE /v1/routes/a-route", { token: alpha })
    expect([sent.status, sent.body.code]).toEqual([403, "api.forbidden"])
    expect((await put({}, "a-second")).body.code).toBe("route.taken")
    expect(await killInForce()).toEqual(kill)
  })

  for (const path of ["/a", "/a/b", "/a/b/*"])
    it(`is not gone round by its team at ${path}, below it`, async ({ expect }) => {
      expect((await put({ path }, "a-below")).body.code).toBe("api.forbidden")
      await put({ path: "/elsewhere/*" }, "a-below")
      expect((await put({ path }, "a-below")).body.code).toBe("api.forbidden")
    })

  it("keeps its team from nothing but a move on a route that was below it before", async ({ expect }) => {
    await putAsOps({})
    await put({ path: "/a/b/*" }, "a-below")
    await putAsOps({ kill })
    expect((await put({ path: "/a/b/*", script: "a-other" }, "a-below")).status).toBe(200)
    for (const path of ["/a/c/*", "/a/b/c/*"])
      expect((await put({ path, script: "a-other" }, "a-below")).body.code).toBe("api.forbidden")
    expect((await put({ path: "/a/b/*", hostname: "b.example" }, "a-below")).status).toBe(200)
    expect((await put({ path: "/a/b/*" }, "a-below")).body.code).toBe("api.forbidden")
  })

  it("keeps nobody from what lies beside it, and no other team from what the place is open for", async ({ expect }) => {
    for (const path of ["/apiary/*", "/ab", "/b/*"]) expect((await put({ path }, `a-${path.length}`)).status).toBe(201)
    await putAsOps({ kill, open: true })
    expect((await put({ path: "/a/b/*", script: "b-script" }, "b-route", beta)).status).toBe(201)
  })

  it("may be changed by its team in all else, the switch being sent along", async ({ expect }) => {
    const releases = [{ version: 2, weightBps: 10_000 }]
    const sent = await put({ kill, timeoutMs: 500, script: "a-script", releases })
    expect(sent.body).toMatchObject({ timeoutMs: 500, releases, kill })
    expect((await put({ kill, script: "a-other" })).status).toBe(200)
    expect((await put({ kill: null })).status).toBe(400)
    expect((await put({})).status).toBe(403)
  })

  it("is switched on, moved and deleted by ops", async ({ expect }) => {
    expect((await putAsOps({ kill, path: "/b/*" })).status).toBe(200)
    expect((await put({ path: "/b/*" })).status).toBe(403)
    expect((await putAsOps({})).body).not.toHaveProperty("kill")
    expect((await put({ kill })).status).toBe(200)
    expect((await put({})).status).toBe(200)
    await putAsOps({ kill })
    expect((await platform.send("DELETE /v1/routes/a-route")).status).toBe(204)
    expect((await put({})).status).toBe(201)
  })

  it("says nothing to another team, which hears of the id alone", async ({ expect }) => {
    expect((await put({ script: "b-script" }, "a-route", beta)).body.code).toBe("api.conflict")
    expect((await platform.send("DELETE /v1/routes/a-route", { token: beta })).body.code).toBe("api.not-found")
  })

  it("does not say who switched it off, in the API or in the config", async ({ expect }) => {
    expect((await platform.send("GET /v1/routes/a-route")).body).not.toHaveProperty("killedByOps")
    expect((await platform.published()).hostnames["a.example"].routes[0]).not.toHaveProperty("killedByOps")
  })
})

describe("a route that its team switched off", () => {
  it("is switched on, moved and deleted by its team", async ({ expect }) => {
    await put({ kill })
    expect((await put({ kill, path: "/b/*" })).status).toBe(200)
    expect((await put({ path: "/b/c/*" }, "a-below")).status).toBe(201)
    expect((await put({ path: "/b/*" })).body).not.toHaveProperty("kill")
    await put({ path: "/b/*", kill })
    expect((await platform.send("DELETE /v1/routes/a-route", { token: alpha })).status).toBe(204)
  })

  it("stays its team's when ops change something else and send the switch along", async ({ expect }) => {
    await put({ kill })
    expect((await putAsOps({ kill, timeoutMs: 500 })).status).toBe(200)
    expect((await put({})).status).toBe(200)
    expect(await killInForce()).toBeUndefined()
  })

  it("is ops' once they give it another reason, or make a switch that only logs refuse", async ({ expect }) => {
    await put({ kill })
    await putAsOps({ kill: { ...kill, reason: "leak, incident 42" } })
    expect((await put({})).status).toBe(403)
    await putAsOps({})
    await put({ kill: { ...kill, mode: "log" } })
    await putAsOps({ kill })
    expect((await put({})).status).toBe(403)
  })

  it("is its team's in a row from before it was written down who threw it", async ({ expect }) => {
    await put({ kill })
    const sql = "UPDATE routes SET spec = json_remove(spec, '$.zoneByOps', '$.killedByOps')"
    await platform.deps.db.prepare(sql).run()
    expect((await put({})).body).not.toHaveProperty("kill")
  })
})

describe("a route that ops only watch", () => {
  it("is switched off, on and deleted by its team", async ({ expect }) => {
    await put({})
    await putAsOps({ kill: { ...kill, mode: "log" } })
    expect((await put({ kill })).body).toMatchObject({ kill })
    expect((await put({})).body).not.toHaveProperty("kill")
    await putAsOps({ kill: { ...kill, mode: "log" } })
    expect((await platform.send("DELETE /v1/routes/a-route", { token: alpha })).status).toBe(204)
  })
})

describe("a route to another team's script that ops switched off", () => {
  it("stays off for its team, which may else switch it", async ({ expect }) => {
    await platform.send("PUT /v1/routes/given", {
      body: routeBody({ hostname: "a.example", path: "/g/*", team: "beta", script: "a-script", kill }),
    })
    const sent = await put({ path: "/g/*" }, "given", beta)
    expect([sent.status, sent.body.code]).toEqual([403, "api.forbidden"])
    expect((await put({ path: "/g/*", kill, timeoutMs: 500 }, "given", beta)).status).toBe(200)
  })
})

describe("a route to its team's script that ops switched off", () => {
  const killScript = (fields: object, token?: string) =>
    platform.send("PUT /v1/scripts/a-script", { body: fields, ...(token === undefined ? {} : { token }) })
  beforeEach(async ({ expect }) => {
    await put({})
    await put({ path: "/c", script: "a-script" }, "a-exact")
    expect((await killScript({ kill })).status).toBe(200)
  })

  for (const [what, fields] of Object.entries({
    "to another script": { script: "a-other" },
    "to another path": { path: "/b/*" },
    "to another hostname": { hostname: "b.example" },
  }))
    it(`is not led ${what} by its team`, async ({ expect }) => {
      const sent = await put(fields)
      expect([sent.status, sent.body.code]).toEqual([403, "api.forbidden"])
      expect(sent.body.detail).toContain("Ops switched")
      expect((await putAsOps(fields)).status).toBe(200)
    })

  it("is neither detached by its team, nor gone round below it", async ({ expect }) => {
    const sent = await platform.send("DELETE /v1/routes/a-route", { token: alpha })
    expect([sent.status, sent.body.code]).toEqual([403, "api.forbidden"])
    expect((await put({ path: "/a/b", script: "a-other" }, "a-below")).body.code).toBe("api.forbidden")
    expect((await platform.send("DELETE /v1/routes/a-route")).status).toBe(204)
  })

  it("may be changed by its team in all else, and switched off and on by itself", async ({ expect }) => {
    expect((await put({ kill, timeoutMs: 500 })).status).toBe(200)
    expect((await put({})).status).toBe(200)
    expect(await killInForce()).toBeUndefined()
  })

  it("holds no place beside it: an exact path, nothing below", async ({ expect }) => {
    expect((await put({ path: "/c/*", script: "a-other" }, "a-beside")).status).toBe(201)
    expect((await put({ path: "/apiary/*", script: "a-other" }, "a-far")).status).toBe(201)
  })

  it("is free again once ops lift the switch, or throw one that only logs", async ({ expect }) => {
    await killScript({ kill: { ...kill, mode: "log" } })
    expect((await put({ script: "a-other" })).status).toBe(200)
    await put({})
    await killScript({ kill: null })
    expect((await put({ path: "/b/*" })).status).toBe(200)
  })

  it("is free where its team threw the switch of the script itself", async ({ expect }) => {
    await killScript({ kill: null })
    await killScript({ kill }, alpha)
    expect((await put({ script: "a-other" })).status).toBe(200)
    expect((await platform.send("DELETE /v1/routes/a-exact", { token: alpha })).status).toBe(204)
  })

  it("may be detached by another team, to which ops gave it and which is not the reason", async ({ expect }) => {
    await platform.send("PUT /v1/routes/given", {
      body: routeBody({ hostname: "a.example", path: "/g/*", team: "beta", script: "a-script" }),
    })
    expect((await platform.send("DELETE /v1/routes/given", { token: beta })).status).toBe(204)
  })
})

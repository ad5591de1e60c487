/** Who may say of a route that what comes by it is of a zone, and until when that is in force. */
import { beforeEach, describe, it } from "vitest"
import { routeBody, startControlPlane, type TestControlPlane } from "../test/harness.ts"

let platform: TestControlPlane
let alpha: string
beforeEach(async () => {
  platform = await startControlPlane()
  alpha = await platform.team("alpha")
  await platform.script("a-script", "alpha", 1)
  await platform.script("a-other", "alpha", 1)
  await platform.send("PUT /v1/hostnames/a.example", { body: { team: "alpha", open: false } })
  const names = ["uk", "uk01", "uk012"]
  await platform.send("PUT /v1/policy/audiences", {
    body: Object.fromEntries(names.map((name) => [`cell:${name}`, { origins: [`https://${name}.example`] }])),
  })
  const zones = names.map((name) => [name, { audience: `cell:${name}`, baseUrl: `https://${name}.example` }])
  await platform.send("PUT /v1/policy/directory", { body: { zones: Object.fromEntries(zones), companies: {} } })
})

const OPS = { team: "alpha" }

/** As the team, or as ops in its name when `fields` name it. */
function put(fields: Readonly<Record<string, unknown>>) {
  const body = routeBody({ hostname: "a.example", path: "/a/*", script: "a-script", ...fields })
  return platform.send("PUT /v1/routes/a-route", { body, ...("team" in fields ? {} : { token: alpha }) })
}
async function grant(...grants: string[]): Promise<void> {
  await platform.send("PUT /v1/teams/alpha", { body: { grants, egress: [] } })
}
/** Undefined when the route in force names none. */
async function zoneInForce(): Promise<string | undefined> {
  return (await platform.published()).hostnames["a.example"].routes[0].zone
}

describe("a team's route to a zone", () => {
  const cases: readonly [what: string, grants: readonly string[], zone: string | undefined, allowed: boolean][] = [
    ["the grant", ["zone:uk01"], "uk01", true],
    ["one grant of several", ["zone:uk", "zone:uk01", "zones:read"], "uk01", true],
    ["no grant", [], "uk01", false],
    ["a grant of another zone", ["zone:uk012"], "uk01", false],
    ["a grant of a zone whose name begins like it", ["zone:uk01"], "uk012", false],
    ["a grant of a zone that is the beginning of its name", ["zone:uk"], "uk01", false],
    ["a grant to ask where companies live", ["zones:read"], "uk01", false],
    ["the grant for the cell, which is no grant to speak for the zone", ["audience:cell:uk01"], "uk01", false],
    ["no grant and no zone", [], undefined, true],
  ]
  for (const [what, grants, zone, allowed] of cases)
    it(`is ${allowed ? "attached" : "refused"} with ${what}`, async ({ expect }) => {
      await grant(...grants)
      const sent = await put(zone === undefined ? {} : { zone })
      if (allowed) {
        expect(sent.status).toBe(201)
        expect(await zoneInForce()).toBe(zone)
        return
      }
      expect(sent.status).toBe(403)
      expect(sent.body).toMatchObject({ code: "api.forbidden", errors: [{ pointer: "/zone" }] })
      expect(sent.body.errors[0].detail).toContain(`zone:${zone}`)
      expect((await platform.send("GET /v1/routes/a-route")).status).toBe(404)
    })

  it("is refused to one that had none, or another zone", async ({ expect }) => {
    await put({})
    expect((await put({ zone: "uk01" })).status).toBe(403)
    await grant("zone:uk")
    expect((await put({ zone: "uk" })).status).toBe(200)
    expect((await put({ zone: "uk01" })).status).toBe(403)
    expect(await zoneInForce()).toBe("uk")
  })
})

describe("a zone that ops gave a route", () => {
  beforeEach(async ({ expect }) => {
    expect((await put({ ...OPS, zone: "uk01" })).status).toBe(201)
  })

  it("is kept, whatever else of the route its team changes", async ({ expect }) => {
    expect((await put({ zone: "uk01", timeoutMs: 500 })).status).toBe(200)
    expect((await put({ zone: "uk01", auth: { mode: "optional", issuers: [], accept: ["service-key"] } })).status).toBe(
      200,
    )
    expect(await zoneInForce()).toBe("uk01")
  })

  it("may be given up by its team, and not taken back", async ({ expect }) => {
    expect((await put({})).status).toBe(200)
    expect(await zoneInForce()).toBeUndefined()
    expect((await put({ zone: "uk01" })).status).toBe(403)
  })

  for (const [what, fields] of Object.entries({
    "to another path": { path: "/b/*" },
    "to another script": { script: "a-other" },
  }))
    it(`does not go along ${what} without the grant`, async ({ expect }) => {
      expect((await put({ zone: "uk01", ...fields })).body.errors).toMatchObject([{ pointer: "/zone" }])
      await grant("zone:uk01")
      expect((await put({ zone: "uk01", ...fields })).status).toBe(200)
    })

  it("stays theirs when they move it, also where the team holds the grant", async ({ expect }) => {
    await grant("zone:uk01")
    expect((await put({ ...OPS, zone: "uk01", path: "/b/*" })).status).toBe(200)
    await grant()
    expect(await zoneInForce()).toBe("uk01")
  })

  it("does not come again with a route that is deleted and attached anew", async ({ expect }) => {
    await platform.send("DELETE /v1/routes/a-route", { token: alpha })
    expect((await put({ zone: "uk01" })).status).toBe(403)
  })

  it("stays in force whatever becomes of the team's grants", async ({ expect }) => {
    await grant("zone:uk01")
    await grant()
    expect(await zoneInForce()).toBe("uk01")
  })

  it("stays in force in a row from before it was written down who gave it", async ({ expect }) => {
    const sql = "UPDATE routes SET spec = json_remove(spec, '$.zoneByOps', '$.killedByOps')"
    await platform.deps.db.prepare(sql).run()
    await grant("zones:read")
    expect(await zoneInForce()).toBe("uk01")
    expect((await put({ zone: "uk01" })).status).toBe(200)
  })
})

describe("a zone that a team named by its grant", () => {
  beforeEach(async ({ expect }) => {
    await grant("zone:uk01")
    expect((await put({ zone: "uk01" })).status).toBe(201)
  })

  it("falls with the grant, in the same revision, and is back with it", async ({ expect }) => {
    await grant("zone:uk012")
    expect(await zoneInForce()).toBeUndefined()
    expect((await platform.send("GET /v1/routes/a-route", { token: alpha })).body.zone).toBe("uk01")
    await grant("zone:uk01")
    expect(await zoneInForce()).toBe("uk01")
  })

  it("keeps its team from nothing once it has fallen, and nothing brings it back", async ({ expect }) => {
    await grant()
    const kill = { mode: "enforce", reason: "wrong answers" }
    expect((await put({ zone: "uk01", kill })).status).toBe(200)
    expect(await zoneInForce()).toBeUndefined()
    expect((await put({ zone: "uk01", path: "/b/*" })).status).toBe(403)
  })

  it("still falls with the grant after ops changed something else of the route, or moved it", async ({ expect }) => {
    const kill = { mode: "enforce", reason: "wrong answers" }
    for (const fields of [{ kill }, { path: "/b/*" }, { path: "/b/*", script: "a-other" }]) {
      expect((await put({ ...OPS, zone: "uk01", ...fields })).status).toBe(200)
      await grant()
      expect(await zoneInForce()).toBeUndefined()
      await grant("zone:uk01")
    }
  })

  it("does not come back when ops switch the route off after it has fallen", async ({ expect }) => {
    await grant()
    const kill = { mode: "enforce", reason: "wrong answers" }
    expect((await put({ ...OPS, zone: "uk01", kill })).status).toBe(200)
    expect(await zoneInForce()).toBeUndefined()
  })

  it("is ops' once they take it off and give it, or move the route where the grant is missing", async ({ expect }) => {
    await put(OPS)
    await put({ ...OPS, zone: "uk01" })
    await grant()
    expect(await zoneInForce()).toBe("uk01")
    await grant("zone:uk01", "zone:uk")
    await put({ zone: "uk" })
    await grant()
    expect(await zoneInForce()).toBeUndefined()
    expect((await put({ ...OPS, zone: "uk", path: "/b/*" })).status).toBe(200)
    expect(await zoneInForce()).toBe("uk")
  })

  it("is ops' once they change it, even to one that the team holds the grant for", async ({ expect }) => {
    await grant("zone:uk01", "zone:uk")
    await put({ ...OPS, zone: "uk" })
    await grant()
    expect(await zoneInForce()).toBe("uk")
  })

  it("shows nobody who gave it", async ({ expect }) => {
    const { body } = await platform.send("GET /v1/routes/a-route", { token: alpha })
    expect(Object.keys(body)).not.toContain("zoneByOps")
    expect((await platform.published()).hostnames["a.example"].routes[0]).not.toHaveProperty("zoneByOps")
  })
})

import { describe, it } from "vitest"
import { type Actor, SYSTEM } from "../actor.ts"
import type { Registry } from "../store/registry.ts"
import { DEFAULT_SETTINGS, type RouteRow, type ScriptRow } from "../store/rows.ts"
import { admitSize, QUOTA } from "./quota.ts"

const WEB: Actor = { tokenId: "t", role: "team", team: "web", name: "token:t" }
const OPS: Actor = { tokenId: "o", role: "ops", team: null, name: "token:o" }

function routeOf(id: string, fields: Partial<RouteRow> = {}): RouteRow {
  const auth = { mode: "none" as const, issuers: [], scopes: [] }
  const spec = { id, hostname: "api.procore.com", path: `/${id}`, team: "web", script: "pages", auth, open: false }
  return { ...spec, killedByOps: false, zoneByOps: false, ...fields }
}

function registryOf(routes: readonly RouteRow[]): Registry {
  const [teams, scripts, hostnames, policy, current] = [new Map(), new Map(), new Map(), new Map(), new Map()]
  return {
    ...{
      teams,
      scripts,
      hostnames,
      policy,
      current,
      passportKeys: new Map(),
      issuerKeys: new Map(),
      latestRevision: null,
    },
    routes: new Map(routes.map((route) => [route.id, route])),
  }
}

/** A script that asks for as much as one may: about 1,400 bytes. */
function askingScript(name: string, fields: Partial<ScriptRow> = {}): ScriptRow {
  const access = { scopes: Array.from({ length: 20 }, (_, index) => `${index}`.padEnd(64, "a")) }
  const settings = { ...DEFAULT_SETTINGS, access }
  return { name, team: "web", settings, createdAt: "2026-11-22T10:00:00.000Z", deletedAt: null, ...fields }
}

function plainScript(name: string, fields: Partial<ScriptRow> = {}): ScriptRow {
  return { ...askingScript(name, fields), settings: DEFAULT_SETTINGS }
}

function withScripts(registry: Registry, scripts: readonly ScriptRow[], deployed: readonly ScriptRow[]): Registry {
  const releases = [{ version: 1, weightBps: 10_000 }]
  const current = deployed.map(({ name }) => [name, { script: name, deploymentId: "d", seq: 1, releases }] as const)
  return { ...registry, scripts: new Map(scripts.map((each) => [each.name, each])), current: new Map(current) }
}

const many = (count: number, fields: Partial<RouteRow> = {}) =>
  Array.from({ length: count }, (_, index) => routeOf(`r-${index}`, fields))
const small = 1_000

describe("admitSize", () => {
  it("lets a team have its quota of routes, and not one more", ({ expect }) => {
    const full = many(QUOTA.routesPerTeam)
    const before = registryOf(full.slice(1))
    expect(() => admitSize(before, registryOf(full), small, WEB)).not.toThrow()
    const over = registryOf([...full, routeOf("over")])
    expect(() => admitSize(registryOf(full), over, small, WEB)).toThrow("route.quota-exceeded")
    expect(() => admitSize(registryOf(full), over, small, OPS)).not.toThrow()
    expect(() => admitSize(registryOf(full), over, small, SYSTEM)).toThrow("route.quota-exceeded")
  })

  it("counts each team's routes alone", ({ expect }) => {
    const others = many(QUOTA.routesPerTeam, { team: "other" })
    const after = registryOf([...others, routeOf("own")])
    expect(() => admitSize(registryOf(others), after, small, WEB)).not.toThrow()
  })

  it("bounds the bytes of a team's routes, not their characters", ({ expect }) => {
    const scopes = ["a".repeat(64)]
    const fat = { auth: { mode: "required" as const, issuers: [], scopes: Array<string>(20).fill("a".repeat(64)) } }
    const before = registryOf(many(50, fat))
    expect(() => admitSize(before, registryOf([...many(50, fat), routeOf("more")]), small, WEB)).not.toThrow()
    const over = registryOf([...many(100, fat), routeOf("more", { auth: { ...fat.auth, scopes } })])
    expect(() => admitSize(before, over, small, WEB)).toThrow("route.quota-exceeded")
  })

  it("counts what a script asks of callers from when it is in the config, however it comes there", ({ expect }) => {
    const scripts = Array.from({ length: 120 }, (_, index) => askingScript(`s-${index}`))
    const idle = withScripts(registryOf([]), scripts, [])
    const nearly = withScripts(registryOf([]), scripts, scripts.slice(1, 80))
    const over = withScripts(registryOf([]), scripts, scripts.slice(0, 110))
    expect(() => admitSize(idle, nearly, small, WEB)).not.toThrow()
    expect(() => admitSize(nearly, over, small, WEB)).toThrow("route.quota-exceeded")
    expect(() => admitSize(over, over, small, WEB)).not.toThrow()
  })

  it("counts nothing of deleted scripts", ({ expect }) => {
    const deletedAt = "2026-11-23T10:00:00.000Z"
    const deleted = Array.from({ length: 120 }, (_, index) => askingScript(`s-${index}`, { deletedAt }))
    const before = withScripts(registryOf([]), deleted, [])
    const after = withScripts(registryOf([routeOf("a")]), deleted, [])
    expect(() => admitSize(before, after, small, WEB)).not.toThrow()
  })

  it("lets a team that is over its quota switch off, shorten and remove", ({ expect }) => {
    const over = many(QUOTA.routesPerTeam + 10)
    const [first, ...rest] = over
    if (first === undefined) throw new Error("no route")
    const kill = { mode: "enforce" as const, reason: "x".repeat(200), retryAfterS: 30 }
    for (const changed of [[{ ...first, kill }], [{ ...first, path: "/" }], []])
      expect(() => admitSize(registryOf(over), registryOf([...changed, ...rest]), small, WEB)).not.toThrow()
  })

  it("lets a full config shrink and be switched off, and grow by ops alone", ({ expect }) => {
    const before = registryOf([routeOf("a"), routeOf("b")])
    const grown = registryOf([routeOf("a"), routeOf("b"), routeOf("c")])
    const at = (after: Registry, sizeBytes: number, actor: Actor) => () => admitSize(before, after, sizeBytes, actor)
    expect(at(grown, QUOTA.nearlyFullBytes, WEB)).toThrow("config.nearly-full")
    expect(at(grown, QUOTA.nearlyFullBytes - 1, WEB)).not.toThrow()
    expect(at(grown, QUOTA.nearlyFullBytes, OPS)).not.toThrow()
    expect(at(registryOf([routeOf("a")]), QUOTA.nearlyFullBytes, WEB)).not.toThrow()
    const other = registryOf([routeOf("a", { script: "idle" }), routeOf("b")])
    expect(at(other, QUOTA.nearlyFullBytes, WEB)).toThrow("config.nearly-full")
  })

  it("counts scripts in service with all that the config holds of them, and kill switches", ({ expect }) => {
    const scripts = Array.from({ length: 200 }, (_, index) => plainScript(`script-${index}`))
    const kill = { mode: "enforce" as const, reason: "x".repeat(200), retryAfterS: 30 }
    const adds = (before: Registry) => () => {
      const routes = new Map(before.routes).set("one-more", routeOf("one-more"))
      admitSize(before, { ...before, routes }, small, WEB)
    }
    const usual = withScripts(registryOf(many(350)), scripts, scripts)
    expect(adds(usual)).not.toThrow()
    const released = Array.from({ length: 8 }, (_, index) => ({ version: 999_999_990 + index, weightBps: 1_250 }))
    const current = new Map([...usual.current].map(([name, row]) => [name, { ...row, releases: released }] as const))
    expect(adds({ ...usual, current })).toThrow("route.quota-exceeded")
    const killed = scripts.map((each) => ({ ...each, settings: { ...each.settings, kill } }))
    expect(adds(withScripts(registryOf(many(350)), killed, killed))).toThrow("route.quota-exceeded")
    expect(adds(withScripts(registryOf(many(350)), killed, []))).not.toThrow()
    expect(adds(withScripts(registryOf(many(400, { kill })), scripts, []))).toThrow("route.quota-exceeded")
  })

  it("lets a script without any access into service only within the quota", ({ expect }) => {
    const scripts = Array.from({ length: 50 }, (_, index) => plainScript(`script-${index}`))
    const fat = { auth: { mode: "required" as const, issuers: [], scopes: Array<string>(20).fill("a".repeat(64)) } }
    const enters = (routes: number) => () => {
      const before = withScripts(registryOf(many(routes, fat)), scripts, scripts.slice(1))
      admitSize(before, withScripts(before, scripts, scripts), small, WEB)
    }
    expect(enters(70)).not.toThrow()
    expect(enters(90)).toThrow("route.quota-exceeded")
  })

  it("lets switches be thrown and weights be moved whatever is full, and no switch be stuffed", ({ expect }) => {
    const scripts = Array.from({ length: 200 }, (_, index) => plainScript(`script-${index}`))
    const full = withScripts(registryOf(many(QUOTA.routesPerTeam, { path: `/${"p".repeat(300)}` })), scripts, scripts)
    const [route] = full.routes.values()
    const [script] = scripts
    if (route === undefined || script === undefined) throw new Error("nothing there")
    const killOf = (reason: string) => ({ mode: "enforce" as const, reason, retryAfterS: 86_400 })
    const onRoute = (reason: string): Registry => ({
      ...full,
      routes: new Map(full.routes).set(route.id, { ...route, kill: killOf(reason) }),
    })
    const onScript = (reason: string): Registry => ({
      ...full,
      scripts: new Map(full.scripts).set(script.name, {
        ...script,
        settings: { ...script.settings, kill: killOf(reason) },
      }),
    })
    const releases = Array.from({ length: 8 }, (_, index) => ({ version: 999_999_990 + index, weightBps: 1_250 }))
    const moved = { script: script.name, deploymentId: "d-2", seq: 2, releases }
    const weights: Registry = { ...full, current: new Map(full.current).set(script.name, moved) }
    for (const sizeBytes of [small, QUOTA.nearlyFullBytes]) {
      const at = (after: Registry) => () => admitSize(full, after, sizeBytes, WEB)
      for (const after of [onRoute("x".repeat(200)), onScript("x".repeat(200)), onRoute("漢".repeat(66)), weights])
        expect(at(after)).not.toThrow()
      // 200 bytes in the reason, six times as many in the config.
      for (const after of [onRoute("\u0001".repeat(200)), onScript("\u0001".repeat(200))]) expect(at(after)).toThrow()
    }
  })

  it("is nearly full by the number of routes and of scripts too", { timeout: 60_000 }, ({ expect }) => {
    const others = Array.from({ length: QUOTA.nearlyFullRoutes - 2 }, (_, index) =>
      routeOf(`o-${index}`, { team: `team-${index % 400}` }),
    )
    const before = registryOf(others)
    const plus = (...ids: string[]) => registryOf([...others, ...ids.map((id) => routeOf(id))])
    expect(() => admitSize(before, plus("a"), small, WEB)).not.toThrow()
    expect(() => admitSize(plus("a"), plus("a", "b"), small, WEB)).toThrow("config.nearly-full")
    expect(() => admitSize(plus("a"), plus("a", "b"), small, OPS)).not.toThrow()
    const full = plus("a", "b", "c")
    const kill = { mode: "enforce" as const, reason: "incident", retryAfterS: 30 }
    const off: Registry = { ...full, routes: new Map(full.routes).set("a", routeOf("a", { kill })) }
    expect(() => admitSize(full, off, small, WEB)).not.toThrow()
    expect(() => admitSize(full, plus("a", "b"), small, WEB)).not.toThrow()

    const scripts = Array.from({ length: QUOTA.nearlyFullScripts }, (_, index) =>
      plainScript(`s-${index}`, { team: `team-${index % 400}` }),
    )
    const idle = (count: number) => withScripts(registryOf([]), scripts, scripts.slice(count))
    expect(() => admitSize(idle(2), idle(1), small, WEB)).not.toThrow()
    expect(() => admitSize(idle(1), idle(0), small, WEB)).toThrow("config.nearly-full")
  })
})

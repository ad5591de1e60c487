import { describe, it } from "vitest"
import { parseDispatchConfig } from "../../../contracts/dispatch-config.ts"
import { canonicalJson } from "../canonical-json.ts"
import type { Registry } from "../store/registry.ts"
import { DEFAULT_SETTINGS } from "../store/rows.ts"
import { buildContent, documentOf } from "./build.ts"

const at = "2026-11-20T12:00:00.000Z"
const auth = { mode: "none" as const, issuers: [], scopes: [] }

/** The same registry, its rows in the order given or in reverse. */
function registry(turn: <T>(rows: T[]) => T[]): Registry {
  const route = (id: string, path: string) => ({
    id,
    path,
    hostname: "api.procore.com",
    script: "router",
    team: "web",
    auth,
    open: false,
    killedByOps: false,
    zoneByOps: false,
  })
  const script = (name: string, deletedAt: string | null = null) => ({
    name,
    team: "web",
    settings: DEFAULT_SETTINGS,
    createdAt: at,
    deletedAt,
  })
  const releases = [{ version: 1, weightBps: 10_000 }]
  return {
    teams: new Map(
      turn(["web", "alpha"]).map((name) => [name, { name, grants: [], egress: [], kill: null, createdAt: at }]),
    ),
    scripts: new Map(
      turn([script("router"), script("pages"), script("claimed"), script("gone", at)]).map((row) => [row.name, row]),
    ),
    hostnames: new Map(
      turn(["app.procore.com", "api.procore.com"]).map((hostname) => [
        hostname,
        { hostname, team: null, open: true, createdAt: at },
      ]),
    ),
    routes: new Map(turn([route("b", "/b"), route("a", "/a/*"), route("z", "/")]).map((row) => [row.id, row])),
    policy: new Map([
      [
        "flags",
        {
          section: "flags" as const,
          document: Object.fromEntries(
            turn([
              ["b", 1],
              ["a", 2],
              ["10", 3],
              ["9", 4],
            ]),
          ),
        },
      ],
    ]),
    current: new Map([["pages", { script: "pages", deploymentId: "d-1", seq: 1, releases }]]),
    passportKeys: new Map(),
    issuerKeys: new Map(),
    latestRevision: null,
  }
}

describe("buildContent", () => {
  const forth = buildContent(
    registry((rows) => rows),
    "https://passports.example",
  )

  it("gives the same text whatever order the rows come in, and a valid one", ({ expect }) => {
    const back = buildContent(
      registry((rows) => [...rows].reverse()),
      "https://passports.example",
    )
    const text = documentOf(forth, 7, at)
    expect(documentOf(back, 7, at)).toBe(text)
    expect(parseDispatchConfig(text)).toMatchObject({ ok: true, value: { revision: 7, publishedAt: at } })
  })

  it("names tracing, which a dispatcher of before refuses, only while it says something", ({ expect }) => {
    const traced = (document: object) => {
      const policy: Registry["policy"] = new Map([["tracing", { section: "tracing", document }]])
      return buildContent({ ...registry((rows) => rows), policy }, "https://passports.example").tracing
    }
    expect(documentOf(forth, 7, at)).not.toContain('"tracing"')
    expect(traced({ sampleBps: 0, incoming: "restart" })).toBeUndefined()
    expect(traced({ sampleBps: 5, incoming: "restart" })).toEqual({ sampleBps: 5, incoming: "restart" })
  })

  it("orders routes by path and shows their hostname only as the key", ({ expect }) => {
    const routes = forth.hostnames["api.procore.com"]?.routes ?? []
    expect(routes.map((route) => route.path)).toEqual(["/", "/a/*", "/b"])
    expect(routes[0]).not.toHaveProperty("hostname")
    expect(forth.hostnames["app.procore.com"]).toEqual({ team: null, routes: [] })
  })

  it("holds the scripts that a request can reach: routed or deployed, and not deleted", ({ expect }) => {
    expect(Object.keys(forth.scripts).sort()).toEqual(["pages", "router"])
    expect(forth.scripts.router?.releases).toBeNull()
    expect(forth.scripts.pages).toEqual({
      team: "web",
      releases: [{ version: 1, weightBps: 10_000 }],
      stickyBy: "company",
      limits: { cpuMs: 1000, subRequests: 50 },
      timeoutMs: 30_000,
    })
  })
})

describe("canonicalJson", () => {
  it("sorts keys by code unit, number-like ones too, and keeps arrays", ({ expect }) => {
    const value = { b: [3, 1, { z: null, a: "ü" }], "9": true, "10": 1.5, a: undefined, é: 0 }
    expect(canonicalJson(value)).toBe('{"10":1.5,"9":true,"b":[3,1,{"a":"ü","z":null}],"é":0}')
  })
})

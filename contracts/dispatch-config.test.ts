import { describe, expect, it } from "vitest"
import { exampleConfig } from "../dispatcher/src/example-config.ts"
import { CONFIG_LIMITS, type DispatchConfig, parseDispatchConfig } from "./dispatch-config.ts"

const ZONE = { audience: "cell:us01", baseUrl: "https://app.example.com" }
const route = { id: "r", path: "/a/*", script: "files", team: "storage", auth: { mode: "none" } }

function faultsOf(change: (config: Record<string, never>) => void): string[] {
  const config = structuredClone(exampleConfig()) as unknown as Record<string, never>
  change(config)
  const parsed = parseDispatchConfig(JSON.stringify(config))
  return parsed.ok ? [] : parsed.faults.map((fault) => fault.pointer)
}

function withRoute(changes: object): string[] {
  return faultsOf((config) => {
    ;(config as unknown as DispatchConfig).hostnames["api.example.com"] = {
      team: null,
      routes: [{ ...route, ...changes } as never],
    }
  })
}

describe("parseDispatchConfig", () => {
  it("accepts the example, and what it writes parses to the same again", () => {
    const first = parseDispatchConfig(JSON.stringify(exampleConfig()))
    if (!first.ok) throw new Error(JSON.stringify(first.faults))
    expect(parseDispatchConfig(JSON.stringify(first.value))).toEqual(first)
  })

  it("reads a config of before there were traces as one that records none", () => {
    const { tracing: _, ...before } = exampleConfig()
    const parsed = parseDispatchConfig(JSON.stringify(before))
    expect(parsed.ok && parsed.value.tracing).toEqual({ incoming: "restart", sampleBps: 0 })
  })

  it.each([[{ incoming: "ask" }], [{ sampleBps: 10_001 }], [{ sampleBps: 0.5 }], [{ sampled: true }]])(
    "refuses the tracing %j",
    (tracing) => {
      const faults = faultsOf((config) => Object.assign(config, { tracing }))
      expect(faults.length === 1 && faults[0]?.startsWith("/tracing")).toBe(true)
    },
  )

  it.each([
    ["an override to a zone that is not there", { overrides: { "1": "moon" } }, "/directory/overrides/1"],
    ["a company id that is no digits", { overrides: { "1e3": "us01" } }, "/directory/overrides/1e3"],
    ["an unknown way of moving", { moving: { "1": { mode: "open" } } }, "/directory/moving/1/mode"],
    [
      "a wait of no seconds",
      { moving: { "1": { mode: "closed", retryAfterS: 0 } } },
      "/directory/moving/1/retryAfterS",
    ],
    ["a zone for no country", { zones: { us01: { ...ZONE, countries: [] } } }, "/directory/zones/us01/countries"],
    [
      "a country in lower case",
      { zones: { us01: { ...ZONE, countries: ["us"] } } },
      "/directory/zones/us01/countries/0",
    ],
  ])("refuses a directory with %s", (_what, changes, pointer) => {
    const faults = faultsOf((config) => Object.assign((config as unknown as DispatchConfig).directory, changes))
    expect(faults).toEqual([pointer])
  })

  it("accepts a directory with overrides, companies on the move and a zone for one country", () => {
    const overrides = { "99999999999999999999": "us01" }
    const moving = { "1": { mode: "read-only" }, "2": { mode: "closed", retryAfterS: 86_400 } }
    const changes = { overrides, moving, zones: { us01: { ...ZONE, countries: ["US"] } } }
    const faults = faultsOf((config) => Object.assign((config as unknown as DispatchConfig).directory, changes))
    expect(faults).toEqual([])
  })

  it.each(["", "null", "[]", "{", "42", '"text"', "{}"])("refuses %j without throwing", (text) => {
    expect(parseDispatchConfig(text).ok).toBe(false)
  })

  it("refuses a document over the size limit before it reads it", () => {
    expect(parseDispatchConfig(" ".repeat(CONFIG_LIMITS.bytes + 1))).toMatchObject({
      ok: false,
      faults: [{ pointer: "", detail: expect.stringContaining("larger") }],
    })
  })

  it.each(["/", "/a", "/a/*", "/*", "/a/b.c/*", "/rest/v1.0/companies/*", "/.well-known/x"])(
    "accepts the path %s",
    (path) => {
      expect(withRoute({ path })).toEqual([])
    },
  )

  it.each([
    "",
    "a",
    "/a/",
    "//",
    "/a//b",
    "/a/../b",
    "/./a",
    "/a*",
    "/a/*/b",
    "/a%2fb",
    "/a b",
    "/.sallyport/x",
    "/.well-known/jwks.json",
  ])("refuses the path %j, and says where", (path) => {
    expect(withRoute({ path })).toContain("/hostnames/api.example.com/routes/0/path")
  })

  it.each(["API.example.com", "api.example.com.", "127.0.0.1", "1", "a..b", "-a.example", "a_b.example", "a/b"])(
    "refuses the hostname %j",
    (hostname) => {
      const faults = faultsOf((config) => {
        Object.assign((config as unknown as DispatchConfig).hostnames, { [hostname]: { team: null, routes: [] } })
      })
      expect(faults.length).toBeGreaterThan(0)
    },
  )

  it.each<[string, object, string]>([
    ["a script that is not there", { script: "nope" }, "/script"],
    ["a team that is not there", { team: "nope" }, "/team"],
    ["a zone that is not there", { zone: "nope" }, "/zone"],
    ["an issuer that is not there", { auth: { mode: "required", issuers: ["nope"] } }, "/auth/issuers"],
    ["no issuer though a credential is required", { auth: { mode: "required" } }, "/auth/issuers"],
    ["weights that do not sum up", { releases: [{ version: 1, weightBps: 9_999 }] }, "/releases"],
    ["no release at all", { releases: [] }, "/releases"],
    [
      "one version twice",
      {
        releases: [
          { version: 1, weightBps: 5_000 },
          { version: 1, weightBps: 5_000 },
        ],
      },
      "/releases",
    ],
  ])("refuses a route with %s", (_what, changes, where) => {
    expect(withRoute(changes)).toContain(`/hostnames/api.example.com/routes/0${where}`)
  })

  it.each<[string, object, string]>([
    [
      "21 scopes",
      { auth: { mode: "required", issuers: ["example-idp"], scopes: Array(21).fill("a") } },
      "/auth/scopes",
    ],
    [
      "a scope of 65 characters",
      { auth: { mode: "required", issuers: ["example-idp"], scopes: ["a".repeat(65)] } },
      "/auth/scopes/0",
    ],
    [
      "a kill reason of 201 bytes in 67 characters",
      { kill: { mode: "enforce", reason: "漢".repeat(67) } },
      "/kill/reason",
    ],
  ])("refuses a route with %s", (_what, changes, where) => {
    expect(withRoute(changes)).toEqual([`/hostnames/api.example.com/routes/0${where}`])
  })

  it("accepts a route at these bounds", () => {
    const auth = { mode: "required", issuers: ["example-idp"], scopes: Array(20).fill("a".repeat(64)) }
    expect(withRoute({ auth, kill: { mode: "log", reason: `${"漢".repeat(66)}ab` } })).toEqual([])
  })

  it("refuses two routes of one hostname with the same path", () => {
    const faults = faultsOf((config) => {
      const routes = [route, { ...route, id: "other" }] as never
      ;(config as unknown as DispatchConfig).hostnames["api.example.com"] = { team: null, routes }
    })
    expect(faults).toEqual(["/hostnames/api.example.com/routes/1/path"])
  })

  it.each<[string, object]>([
    ["a private key", { d: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU" }],
    ["a symmetric key", { kty: "oct", k: "AAAA" }],
    ["another curve", { crv: "P-384" }],
    ["an alg that is not the key's", { alg: "RS256" }],
  ])("refuses an issuer with %s", (_what, changes) => {
    const faults = faultsOf((config) => {
      const [key] = (config as unknown as DispatchConfig).issuers["example-idp"]?.jwks.keys ?? []
      Object.assign(key ?? {}, changes)
    })
    expect(faults.some((pointer) => pointer.startsWith("/issuers/example-idp/jwks/keys"))).toBe(true)
  })

  it("refuses an issuer with one kid twice", () => {
    const faults = faultsOf((config) => {
      const keys = (config as unknown as DispatchConfig).issuers["example-idp"]?.jwks.keys ?? []
      keys.push(structuredClone(keys[0]) as never)
    })
    expect(faults).toContain("/issuers/example-idp/jwks/keys")
  })

  it.each([
    ["https://idp.example/jwks", true],
    ["http://127.0.0.1:8801/jwks", true],
    ["http://localhost:8801/jwks", true],
    ["http://[::1]:8801/jwks", false],
    ["http://idp.example/jwks", false],
    ["http://localhost.example/jwks", false],
    ["http://127.0.0.1:80@idp.example/jwks", false],
    ["http://localhost:x@idp.example/jwks", false],
    ["https://user:secret@idp.example/jwks", false],
    ["ftp://127.0.0.1/jwks", false],
    ["data:application/json,{}", false],
  ])("says of an issuer's key set at %s that it may be read: %s", (jwksUri, isGood) => {
    const faults = faultsOf((config) => {
      Object.assign((config as unknown as DispatchConfig).issuers["example-idp"] ?? {}, { jwksUri })
    })
    expect(faults).toEqual(isGood ? [] : ["/issuers/example-idp/jwksUri"])
  })

  it("refuses more companies than the limit", () => {
    const faults = faultsOf((config) => {
      const companies = Object.fromEntries(
        Array.from({ length: CONFIG_LIMITS.companies + 1 }, (_, id) => [String(id), "us01"]),
      )
      Object.assign((config as unknown as DispatchConfig).directory, { companies })
    })
    expect(faults).toContain("/directory/companies")
  })

  const required = { mode: "required", issuers: ["example-idp"], accept: ["session"] }
  it.each<[string, object]>([
    [
      "sessions with all that can be asked of them",
      { ...required, minLevel: 3, maxAuthAgeS: 30, sensitive: true, login: "/login" },
    ],
    ["service keys and no issuer", { mode: "required", accept: ["service-key"] }],
    [
      "every credential, for one audience",
      { ...required, accept: ["bearer", "session", "service-key"], audiences: ["a"] },
    ],
  ])("accepts a route that takes %s", (_what, auth) => {
    expect(withRoute({ auth })).toEqual([])
  })

  it.each<[string, object, string]>([
    ["a level of tokens", { ...required, accept: ["bearer"], minLevel: 1 }, "/accept"],
    ["an age of whatever comes by default", { mode: "required", issuers: ["example-idp"], maxAuthAgeS: 60 }, "/accept"],
    ["sessions of no issuer", { mode: "required", accept: ["session"] }, "/issuers"],
    ["sessions though none are looked at", { mode: "none", accept: ["session"] }, "/mode"],
    ["a login though none is needed", { mode: "none", login: "/login" }, "/mode"],
    ["audiences though no token is looked at", { mode: "none", audiences: ["https://files.example"] }, "/mode"],
    ["what is sensitive of nobody", { mode: "none", sensitive: true }, "/mode"],
    ["level 0, which everybody has", { ...required, minLevel: 0 }, "/minLevel"],
    ["a login on another host", { ...required, login: "//evil.example" }, "/login"],
    ["a login by a way back", { ...required, login: "/login/../x" }, "/login"],
    ["a login with a query", { ...required, login: "/login?a" }, "/login"],
  ])("refuses a route that asks for %s", (_what, auth, where) => {
    expect(withRoute({ auth })).toEqual([`/hostnames/api.example.com/routes/0/auth${where}`])
  })

  it.each<[string, object, string[]]>([
    ["all that can be asked", { scopes: ["a"], kinds: ["user"], minLevel: 3, maxAuthAgeS: 30, sensitive: true }, []],
    ["level 0, which everybody has", { minLevel: 0 }, ["/minLevel"]],
    ["a level that there is not", { minLevel: 4 }, ["/minLevel"]],
    ["an age that no login could keep", { maxAuthAgeS: 29 }, ["/maxAuthAgeS"]],
    ["a login, which is a route's", { login: "/login" }, ["/login"]],
  ])("of a script whose access names %s it says where it is wrong, if it is", (_what, access, where) => {
    const faults = faultsOf((config) => {
      Object.assign((config as unknown as DispatchConfig).scripts.files ?? {}, { access })
    })
    expect(faults).toEqual(where.map((each) => `/scripts/files/access${each}`))
  })

  it.each(["service-accounts", "passports"])("refuses an issuer that is called %s, which means another thing", (id) => {
    const faults = faultsOf((config) => {
      const { issuers } = config as unknown as DispatchConfig
      Object.assign(issuers, { [id]: issuers["example-idp"], [`${id}s`]: issuers["example-idp"] })
    })
    expect(faults).toEqual([`/issuers/${id}`])
  })

  it("refuses a subject of which a passport could not tell everything, and none at the bound", () => {
    const companies = (digits: number) => Array.from({ length: 200 }, (_, index) => String(index).padStart(digits, "9"))
    const faults = (digits: number) =>
      faultsOf((config) => {
        Object.assign(config, { subjects: { "example-idp/alice": { companies: companies(digits) } } })
      })
    expect(faults(16)).toEqual([])
    expect(faults(17)).toEqual(["/subjects/example-idp~1alice"])
  })
})

import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type RouteConfig, route } from "../../../contracts/dispatch-config.ts"
import { growsFasterThan } from "../../../kit/testing/growth.ts"
import { RouteTable } from "./route-table.ts"

function tableOf(...paths: string[]): RouteTable {
  const routes = paths.map((path, index) =>
    route.parse({ id: `r${index}`, path, script: "files", team: "storage", auth: { mode: "none" } }),
  )
  return new RouteTable({ "api.example.com": { team: null, routes } })
}

function pathFound(table: RouteTable, path: string): string | null {
  const match = table.find("api.example.com", path)
  return typeof match === "string" ? null : match.config.path
}

describe("RouteTable", () => {
  const table = tableOf("/*", "/api/*", "/api/v1", "/api/v1/files/*", "/health")

  it.each([
    ["/api/v1/files/7", "/api/v1/files/*"],
    ["/api/v1/files", "/api/v1/files/*"],
    ["/api/v1", "/api/v1"],
    ["/api/v1/", "/api/*"],
    ["/api", "/api/*"],
    ["/api/other", "/api/*"],
    ["/apiary", "/*"],
    ["/health/alive", "/*"],
    ["/health", "/health"],
    ["/", "/*"],
    ["/API", "/*"],
  ])("matches %s by %s", (path, expected) => {
    expect(pathFound(table, path)).toBe(expected)
  })

  it("matches nothing outside its patterns", () => {
    expect(tableOf("/api/*").find("api.example.com", "/apiary")).toBe("none")
    expect(tableOf("/api").find("api.example.com", "/api/x")).toBe("none")
  })

  it.each(["example.com", "x.api.example.com", "api.example.com.", "constructor", "__proto__"])(
    "does not know the hostname %s",
    (hostname) => {
      expect(table.find(hostname, "/")).toBe("unknown")
    },
  )

  it("finds the first of those that match, whatever the routes and the path", () => {
    const segment = fc.constantFrom("a", "b", "aa", "")
    const path = fc.array(segment, { maxLength: 5 }).map((segments) => `/${segments.join("/")}`)
    const pattern = fc
      .tuple(path, fc.boolean())
      .map(([base, isPrefix]) => (isPrefix ? `${base.replace(/\/$/, "")}/*` : base))
    fc.assert(
      fc.property(fc.uniqueArray(pattern, { maxLength: 6 }), path, (patterns, asked) => {
        const routes = patterns.map((each) => ({ path: each }) as RouteConfig)
        const made = new RouteTable({ "api.example.com": { team: null, routes } })
        expect(pathFound(made, asked)).toBe(made.matching("api.example.com", asked)[0]?.config.path ?? null)
      }),
      { numRuns: 500 },
    )
  })

  it("takes time by the length of the path alone, however many segments it has", () => {
    for (const made of [tableOf("/x/*"), tableOf("/*"), tableOf("/x"), tableOf("/a/a/a/a/*")])
      expect(growsFasterThan(262_144, (length) => made.find("api.example.com", `/b${"/a".repeat(length / 2)}`))).toBe(
        false,
      )
  })

  it("lists every matching route, most specific first", () => {
    const paths = table.matching("api.example.com", "/api/v1/files/7").map((match) => match.config.path)
    expect(paths).toEqual(["/api/v1/files/*", "/api/*", "/*"])
  })
})

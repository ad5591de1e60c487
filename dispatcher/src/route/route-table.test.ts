import { describe, expect, it } from "vitest"
import { route } from "../../../contracts/dispatch-config.ts"
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

  it("lists every matching route, most specific first", () => {
    const paths = table.matching("api.example.com", "/api/v1/files/7").map((match) => match.config.path)
    expect(paths).toEqual(["/api/v1/files/*", "/api/*", "/*"])
  })
})

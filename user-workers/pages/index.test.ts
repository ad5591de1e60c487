import { env as bound } from "cloudflare:workers"
import { describe, it } from "vitest"
import type { PlatformApi } from "../../contracts/platform.ts"
import { makeTestPassports } from "../../kit/sign-test-passport.ts"
import pages from "./index.ts"

const passports = await makeTestPassports()
const context = { waitUntil() {} } as unknown as ExecutionContext
const env = {
  ASSETS: (bound as unknown as { ASSETS: Fetcher }).ASSETS,
  PLATFORM: { keys: passports.keys } as unknown as PlatformApi,
}

describe("pages: files", () => {
  for (const path of ["/webclients/", "/webclients", "/webclients/request", "/webclients/any/deep/link"])
    it(`answers ${path} with the application's page`, async ({ expect }) => {
      const response = await get(path)
      expect(response.status).toBe(200)
      expect(response.headers.get("content-type")).toMatch(/^text\/html/)
      expect(await response.text()).toContain('src="/webclients/app.js"')
    })

  for (const [path, type] of [
    ["/webclients/app.js", /javascript/],
    ["/webclients/app.css", /^text\/css/],
    ["/webclients/icon.svg", /^image\/svg/],
  ] as const)
    it(`serves ${path} as what it is`, async ({ expect }) => {
      const response = await get(path)
      expect(response.status).toBe(200)
      expect(response.headers.get("content-type")).toMatch(type)
    })

  it("answers 404, not the page, for a file that is not there", async ({ expect }) => {
    const response = await get("/webclients/app.js.map")
    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({ code: "route.not-found" })
  })

  it("answers 304 to a browser that has the file", async ({ expect }) => {
    const etag = (await get("/webclients/app.js")).headers.get("etag") ?? ""
    const again = await get("/webclients/app.js", { headers: { "if-none-match": etag } })
    expect(again.status).toBe(304)
  })

  it("refuses to be written to", async ({ expect }) => {
    const response = await get("/webclients/", { method: "POST" })
    expect(response.status).toBe(405)
    expect(response.headers.get("allow")).toBe("GET, HEAD")
  })
})

describe("pages: content security policy", () => {
  for (const path of ["/webclients/", "/webclients/app.js", "/webclients/request.json"])
    it(`allows nothing inline, foreign or framed on ${path}`, async ({ expect }) => {
      const response = await get(path)
      const policy = response.headers.get("content-security-policy") ?? ""
      expect(policy).toMatch(/^default-src 'none'; /)
      expect(policy).toContain("frame-ancestors 'none'")
      expect(policy).not.toMatch(/unsafe|\*|https?:|data:|blob:/)
      expect(response.headers.get("x-content-type-options")).toBe("nosniff")
    })

  it("serves a page that needs nothing the policy forbids", async ({ expect }) => {
    const page = await (await get("/webclients/")).text()
    const scripts = page.match(/<script\b[^>]*>[\s\S]*?<\/script>/g) ?? []
    expect(scripts).toHaveLength(1)
    for (const script of scripts) expect(script).toMatch(/ src="\/webclients\/[^"]+"><\/script>$/)
    expect(page).not.toMatch(/<style|\sstyle=|\son[a-z]+=|javascript:|<base|<form/i)
  })
})

describe("pages: request.json", () => {
  it("tells a browser what the passport says, and never the passport", async ({ expect }) => {
    const response = await get("/webclients/request.json")
    const text = await response.text()
    expect(JSON.parse(text)).toMatchObject({ route: "example", kind: "user", country: "GB", tls: "TLSv1.3" })
    expect(text).not.toContain("ey")
    expect(response.headers.get("cache-control")).toBe("no-store")
  })

  it("refuses without a passport made for this script", async ({ expect }) => {
    const url = "https://app.procore.com/webclients/request.json"
    for (const request of [new Request(url), await passports.request(url, "router")])
      expect((await pages.fetch(request, env, context)).status).toBe(401)
  })
})

async function get(path: string, init: RequestInit = {}): Promise<Response> {
  return pages.fetch(await passports.request(`https://app.procore.com${path}`, "pages", init), env, context)
}

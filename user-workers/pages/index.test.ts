import { env as bound } from "cloudflare:workers"
import { describe, it } from "vitest"
import type { PlatformApi } from "../../contracts/platform.ts"
import { cspHash } from "../../kit/csp.ts"
import { makeTestPassports } from "../../kit/sign-test-passport.ts"
import { APPS, BOOT_HASH, REPORT_PATH } from "./apps.ts"
import pages from "./index.ts"

const passports = await makeTestPassports()
const context = { waitUntil() {} } as unknown as ExecutionContext
const env = {
  ASSETS: (bound as unknown as { ASSETS: Fetcher }).ASSETS,
  PLATFORM: { keys: passports.keys } as unknown as PlatformApi,
}
const SCRIPT = /<script type="module" src="([^"]+)" nonce(?:="[^"]*")?><\/script>/

describe("pages: addresses", () => {
  for (const [path, title] of [
    ["/webclients", "Example web client"],
    ["/webclients/", "Example web client"],
    ["/webclients/request", "Example web client"],
    ["/webclients/any/deep/link", "Example web client"],
    ["/webclients/projectsx", "Example web client"],
    ["/webclients/projects", "Projects"],
    ["/webclients/projects/", "Projects"],
    ["/webclients/projects/9007199254740993", "Projects"],
    ["/webclients/projects/assetsx", "Projects"],
    ["/webclients/drawings/A-101", "Drawings"],
  ] as const)
    it(`answers ${path} with the page of ${title}`, async ({ expect }) => {
      const response = await get(path)
      expect(response.status).toBe(200)
      expect(response.headers.get("content-type")).toMatch(/^text\/html/)
      expect(await response.text()).toContain(`<title>${title}</title>`)
    })

  it("has the start page's files under names that do not change", async ({ expect }) => {
    expect(await (await get("/webclients/")).text()).toContain('src="/webclients/app.js"')
    for (const path of ["/webclients/app.js", "/webclients/app.css", "/webclients/icon.svg"])
      expect((await get(path)).headers.get("cache-control")).toMatch(/max-age=0|no-cache/)
  })

  for (const path of [
    "/webclients/app.js.map",
    "/webclients/projects/app.js",
    "/webclients/projects/assets/app-AAAAAAAA.js",
    "/webclients/projects/assets/app",
    "/webclients/projects/assets/",
    "/webclients/projects/assets/deep/link",
    "/webclients/projects/v1.2",
  ])
    it(`answers 404 and no page for ${path}`, async ({ expect }) => {
      const response = await get(path)
      expect(response.status).toBe(404)
      expect(response.headers.get("content-type")).toBe("application/problem+json")
      expect(response.headers.get("cache-control")).toBe("no-store")
      expect(await response.json()).toMatchObject({ code: "route.not-found" })
    })

  for (const path of ["/", "/webclientsx/", "/other"])
    it(`knows nothing of ${path}`, async ({ expect }) => {
      expect((await get(path)).status).toBe(404)
    })

  for (const method of ["POST", "PUT", "DELETE"])
    it(`refuses ${method}`, async ({ expect }) => {
      const response = await get("/webclients/projects/", { method })
      expect(response.status).toBe(405)
      expect(response.headers.get("allow")).toBe("GET, HEAD")
    })

  it("answers HEAD with the headers of GET and no body", async ({ expect }) => {
    const [head, full] = [await get("/webclients/projects/", { method: "HEAD" }), await get("/webclients/projects/")]
    expect([head.status, await head.text()]).toEqual([200, ""])
    expect(head.headers.get("etag")).toBe(full.headers.get("etag"))
  })
})

describe("pages: what browsers keep", () => {
  for (const app of ["projects", "drawings"])
    it(`has every file that the page of ${app} names, for a year and without asking`, async ({ expect }) => {
      const page = await (await get(`/webclients/${app}/`)).text()
      const files = [...page.matchAll(/(?:src|href)="(\/webclients\/[^"]+\/assets\/[^"]+)"/g)].map(
        ([, path = ""]) => path,
      )
      expect(files.length).toBeGreaterThanOrEqual(3)
      for (const path of files) {
        expect(path).toMatch(/-[A-Z0-9]{8}\.(js|css)$/)
        const response = await get(path)
        expect(response.status).toBe(200)
        expect(response.headers.get("content-type")).toMatch(path.endsWith(".js") ? /javascript/ : /^text\/css/)
        expect(response.headers.get("cache-control")).toBe("public, max-age=31536000, immutable")
      }
    })

  it("asks for the page each time, and is told when it is the same", async ({ expect }) => {
    const first = await get("/webclients/projects/1001")
    expect(first.headers.get("cache-control")).toBe("no-cache")
    const etag = first.headers.get("etag") ?? ""
    expect(etag).not.toBe("")
    const again = await get("/webclients/projects/1002", { headers: { "if-none-match": etag } })
    expect(again.status).toBe(304)
    expect(again.headers.get("content-security-policy")).toContain(BOOT_HASH)
    expect((await get("/webclients/projects/", { headers: { "if-none-match": '"other"' } })).status).toBe(200)
  })

  it("keeps no page whose policy is by nonce", async ({ expect }) => {
    const { headers } = await get("/webclients/drawings/")
    expect(headers.get("cache-control")).toBe("no-store")
    expect(headers.has("etag")).toBe(false)
  })

  it("is told of the page's style sheet before the page, and of one that is there", async ({ expect }) => {
    const link = (await get("/webclients/projects/")).headers.get("link") ?? ""
    const path = /^<([^>]+)>; rel=preload; as=style$/.exec(link)?.[1] ?? ""
    expect((await get(path)).headers.get("content-type")).toMatch(/^text\/css/)
  })
})

describe("pages: content security policy", () => {
  for (const { base } of APPS)
    for (const path of [`${base}/`, `${base}/missing.js`])
      it(`allows nothing foreign or framed on ${path}`, async ({ expect }) => {
        const { headers } = await get(path)
        const policy = headers.get("content-security-policy") ?? ""
        expect(policy).toMatch(/^default-src 'none'; /)
        expect(policy).toContain("frame-ancestors 'none'")
        expect(policy).toContain(`report-to csp`)
        expect(policy).not.toMatch(/unsafe|\*|https?:|data:/)
        expect(headers.get("reporting-endpoints")).toBe(`csp="${REPORT_PATH}"`)
        expect(headers.get("x-content-type-options")).toBe("nosniff")
      })

  it("names the hash of the one inline script that the page has", async ({ expect }) => {
    const response = await get("/webclients/projects/")
    const inline = [...(await response.text()).matchAll(/<script[^>]*>([^<]+)<\/script>/g)].map(([, text = ""]) => text)
    expect(await Promise.all(inline.map(cspHash))).toEqual([BOOT_HASH])
    expect(response.headers.get("content-security-policy")).toContain(`'${BOOT_HASH}'`)
  })

  it("marks scripts and preloads with the nonce of the answer", async ({ expect }) => {
    const response = await get("/webclients/drawings/")
    const nonce = /'nonce-([^']+)'/.exec(response.headers.get("content-security-policy") ?? "")?.[1]
    const page = await response.text()
    const marked = [...page.matchAll(/<(?:script|link rel="modulepreload")[^>]*>/g)].map(([tag]) => tag)
    expect(marked.length).toBeGreaterThanOrEqual(3)
    for (const tag of marked) expect(tag).toContain(`nonce="${nonce}"`)
  })

  it("has pages that need nothing the policies forbid", async ({ expect }) => {
    for (const { base } of APPS) {
      const page = await (await get(`${base}/`)).text()
      expect(page).toMatch(SCRIPT)
      expect(page).not.toMatch(/<style|\sstyle=|\son[a-z]+=|javascript:|<base|<form/i)
    }
  })

  it("lets each app have its own", async ({ expect }) => {
    const policyOf = async (path: string) => (await get(path)).headers.get("content-security-policy") ?? ""
    expect(await policyOf("/webclients/drawings/")).toContain("img-src 'self' blob:;")
    expect(await policyOf("/webclients/projects/")).toContain("img-src 'self';")
    const trial = (path: string) => get(path).then(({ headers }) => headers.has("content-security-policy-report-only"))
    expect([await trial("/webclients/"), await trial("/webclients/projects/")]).toEqual([true, false])
  })
})

describe("pages: reports", () => {
  const report = JSON.stringify([{ type: "csp-violation", body: { effectiveDirective: "script-src-elem" } }])

  it("takes a browser's report", async ({ expect }) => {
    const headers = { "content-type": "application/reports+json" }
    expect((await get(REPORT_PATH, { method: "POST", headers, body: report })).status).toBe(204)
  })

  it("refuses what is none, and is no page", async ({ expect }) => {
    expect((await get(REPORT_PATH, { method: "POST", body: report })).status).toBe(415)
    const read = await get(REPORT_PATH)
    expect([read.status, read.headers.get("allow")]).toEqual([405, "POST"])
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

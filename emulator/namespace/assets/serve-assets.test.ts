import { describe, expect, it } from "vitest"
import { dispatch, uploaded } from "../testing/test-namespace.ts"
import type { TestScript } from "../testing/test-store.ts"

const SITE = {
  "/index.html": "home",
  "/about.html": "about",
  "/docs/index.html": "docs",
  "/404.html": "nothing here",
  "/app.js": "export {}",
  "/data.bin": "bytes",
  "/a b.txt": "spaced",
}

async function site(script: TestScript = {}) {
  const name = await uploaded({ code: null, assets: SITE, ...script })
  return async (path: string, init: RequestInit = {}) => {
    const request = new Request(`http://app.procore.com${path}`, { redirect: "manual", ...init })
    const response = await dispatch(name, request)
    return {
      status: response.status,
      text: await response.text(),
      location: response.headers.get("location"),
      type: response.headers.get("content-type"),
      headers: response.headers,
    }
  }
}

describe("an assets-only script", () => {
  it("serves files under the types that were uploaded with them", async () => {
    const get = await site()
    expect(await get("/app.js")).toMatchObject({
      status: 200,
      text: "export {}",
      type: "text/javascript; charset=utf-8",
    })
    expect(await get("/data.bin")).toMatchObject({ status: 200, text: "bytes", type: null })
    expect(await get("/a%20b.txt")).toMatchObject({ status: 200, text: "spaced" })
  })

  it("answers HEAD without a body and refuses other methods", async () => {
    const get = await site()
    expect(await get("/app.js", { method: "HEAD" })).toMatchObject({ status: 200, text: "" })
    expect(await get("/app.js", { method: "POST" })).toMatchObject({ status: 405 })
  })

  it("names the content in its ETag and answers 304 to whoever has it", async () => {
    const get = await site()
    const etag = (await get("/app.js")).headers.get("etag") ?? ""
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/)
    expect(await get("/app.js", { headers: { "if-none-match": etag } })).toMatchObject({ status: 304, text: "" })
    expect(await get("/app.js", { headers: { "if-none-match": '"other"' } })).toMatchObject({ status: 200 })
  })

  it("is not found where there is no file", async () => {
    expect(await (await site())("/nowhere")).toMatchObject({ status: 404 })
  })
})

describe("html_handling", () => {
  it.each([
    ["auto-trailing-slash", "/", 200, "home", null],
    ["auto-trailing-slash", "/about", 200, "about", null],
    ["auto-trailing-slash", "/about.html", 307, "", "/about"],
    ["auto-trailing-slash", "/about/", 307, "", "/about"],
    ["auto-trailing-slash", "/docs/", 200, "docs", null],
    ["auto-trailing-slash", "/docs", 307, "", "/docs/"],
    ["force-trailing-slash", "/about/", 200, "about", null],
    ["force-trailing-slash", "/about", 307, "", "/about/"],
    ["drop-trailing-slash", "/docs", 200, "docs", null],
    ["drop-trailing-slash", "/docs/", 307, "", "/docs"],
    ["none", "/about.html", 200, "about", null],
    ["none", "/about", 404, "", null],
  ])("%s: %s is %i", async (html_handling, path, status, text, location) => {
    const get = await site({ assetConfig: { html_handling } })
    expect(await get(path)).toMatchObject({ status, text, location })
  })
})

describe("not_found_handling", () => {
  it("serves the nearest 404 page, or the single page", async () => {
    const withPage = await site({ assetConfig: { not_found_handling: "404-page" } })
    expect(await withPage("/docs/nowhere")).toMatchObject({ status: 404, text: "nothing here" })
    const singlePage = await site({ assetConfig: { not_found_handling: "single-page-application" } })
    expect(await singlePage("/any/path")).toMatchObject({ status: 200, text: "home" })
  })
})

describe("_headers and _redirects", () => {
  it("apply as uploaded", async () => {
    const get = await site({
      assetConfig: {
        _headers: "/*\n  X-Frame-Options: DENY\n/app.js\n  Cache-Control: max-age=60\n  ! X-Frame-Options\n",
        _redirects: "/old /about 301\n/blog/* /docs/:splat\n/inside /about 200\n",
      },
    })
    expect((await get("/about")).headers.get("x-frame-options")).toBe("DENY")
    const script = (await get("/app.js")).headers
    expect([script.get("x-frame-options"), script.get("cache-control")]).toEqual([null, "max-age=60"])
    expect(await get("/old")).toMatchObject({ status: 301, location: "/about" })
    expect(await get("/blog/a/b")).toMatchObject({ status: 302, location: "/docs/a/b" })
    expect(await get("/inside")).toMatchObject({ status: 200, text: "about" })
  })
})

describe("assets beside code", () => {
  const code = `export default { async fetch(request, env) {
    const { pathname } = new URL(request.url)
    if (pathname === "/api/page") return env.ASSETS.fetch("http://assets.example/about")
    return new Response("code " + pathname)
  } }`
  const bindings = [{ type: "assets", name: "ASSETS" }]

  it("come first, and the code answers what they do not", async () => {
    const get = await site({ code, bindings })
    expect((await get("/app.js")).text).toBe("export {}")
    expect((await get("/api/x")).text).toBe("code /api/x")
  })

  it("are reached by the code through its binding", async () => {
    const get = await site({ code, bindings })
    expect(await get("/api/page")).toMatchObject({ status: 200, text: "about" })
  })

  it("come second with run_worker_first", async () => {
    const get = await site({ code, bindings, assetConfig: { run_worker_first: true } })
    expect((await get("/app.js")).text).toBe("code /app.js")
  })

  it("come second for the patterns of run_worker_first, less its exceptions", async () => {
    const run_worker_first = ["/docs/*", "!/docs/index.html"]
    const get = await site({ code, bindings, assetConfig: { run_worker_first, html_handling: "none" } })
    expect((await get("/docs/index.html")).text).toBe("docs")
    expect((await get("/docs/other")).text).toBe("code /docs/other")
    expect((await get("/app.js")).text).toBe("export {}")
  })

  it("let navigation fall through to the code unless the single page is to answer it", async () => {
    const navigation = { headers: { "sec-fetch-mode": "navigate" } }
    const get = await site({ code, bindings, assetConfig: { not_found_handling: "single-page-application" } })
    expect((await get("/some/view", navigation)).text).toBe("home")
    expect((await get("/some/view")).text).toBe("code /some/view")
  })
})

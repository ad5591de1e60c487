import { Hono } from "hono"
import { describe, it } from "vitest"
import { type CspOptions, type CspPolicy, csp, cspHash, policyApplier, policyText } from "./csp.ts"
import { refuse } from "./problem.ts"
import { worker } from "./worker.ts"

const NONCE = "A".repeat(24)
const BOOT = "document.documentElement.dataset.theme = 'dark'"
const HASH = await cspHash(BOOT)

describe("policyText", () => {
  it("allows files of the own origin and nothing else, unless told otherwise", ({ expect }) => {
    expect(policyText({ scripts: "self" })).toBe(
      "default-src 'none'; script-src 'self'; object-src 'none'; base-uri 'none'; style-src 'self'; img-src 'self'; font-src 'self'; " +
        "connect-src 'self'; media-src 'none'; manifest-src 'self'; worker-src 'none'; frame-src 'none'; form-action 'none'; " +
        "frame-ancestors 'none'; require-trusted-types-for 'script'",
    )
  })

  it("names the hashes of inline scripts beside the own origin's files", ({ expect }) => {
    expect(policyText({ scripts: [HASH] })).toContain(`script-src 'self' '${HASH}';`)
  })

  it("names the nonce, and lets what carries it load more", ({ expect }) => {
    expect(policyText({ scripts: "nonce" }, { nonce: NONCE })).toContain(
      `script-src 'nonce-${NONCE}' 'strict-dynamic' 'self';`,
    )
  })

  it("sends reports both ways, old and new", ({ expect }) => {
    expect(policyText({ scripts: "self" }, { reportPath: "/a/csp" })).toMatch(/; report-uri \/a\/csp; report-to csp$/)
  })

  for (const [directive, source] of [
    ["connect-src", "https://api.example.com"],
    ["connect-src", "wss://*.example.com:8443/live"],
    ["img-src", "data:"],
    ["img-src", "blob:"],
    ["font-src", "data:"],
    ["frame-ancestors", "'self'"],
  ] as const)
    it(`takes ${source} for ${directive}`, ({ expect }) => {
      expect(policyText({ scripts: "self", directives: { [directive]: [source] } })).toContain(
        `${directive} ${source};`,
      )
    })

  it("takes hashes of inline styles", ({ expect }) => {
    expect(policyText({ scripts: "self", directives: { "style-src": [HASH] } })).toContain(`style-src '${HASH}';`)
  })

  it("says none for an empty list", ({ expect }) => {
    expect(policyText({ scripts: "self", directives: { "img-src": [] } })).toContain("img-src 'none';")
  })

  for (const [directive, source] of [
    ["style-src", "'unsafe-inline'"],
    ["connect-src", "*"],
    ["connect-src", "https:"],
    ["connect-src", "https://*"],
    ["connect-src", "https://*.com"],
    ["connect-src", "https://localhost"],
    ["connect-src", "https://a.*.example.com"],
    ["connect-src", "http://api.example.com"],
    ["connect-src", "api.example.com"],
    ["connect-src", "https://api.example.com; script-src *"],
    ["connect-src", "https://api.example.com, default-src *"],
    ["connect-src", "https://api.example.com\n"],
    ["connect-src", "https://api.example.com evil.example"],
    ["connect-src", "data:"],
    ["connect-src", "self"],
    ["connect-src", HASH],
    ["worker-src", "blob:"],
    ["style-src", "data:"],
    ["style-src", `'${HASH}'`],
    ["connect-src", ""],
  ] as const)
    it(`refuses ${JSON.stringify(source)} for ${directive}`, ({ expect }) => {
      expect(() => policyText({ scripts: "self", directives: { [directive]: [source] } })).toThrow(TypeError)
    })

  for (const directive of [
    "script-src",
    "default-src",
    "object-src",
    "base-uri",
    "conect-src",
    "__proto__",
    "toString",
  ])
    it(`refuses to set ${directive}`, ({ expect }) => {
      const directives = JSON.parse(`{"${directive}":["'self'"]}`)
      expect(() => policyText({ scripts: "self", directives })).toThrow(/cannot set/)
    })

  it.for([
    ["no list", undefined],
    ["an empty list", []],
    ["another word", "unsafe-inline"],
    ["a hash in quotes", [`'${HASH}'`]],
    ["a hash that is too short", [HASH.slice(0, -2)]],
    ["a hash of an algorithm that browsers do not know", [HASH.replace("sha256", "sha1")]],
    ["a source instead of a hash", ["https://cdn.example.com"]],
    ["a nonce without one", "nonce"],
  ] as const)("refuses %s for scripts", ([, scripts], { expect }) => {
    expect(() => policyText({ scripts } as CspPolicy)).toThrow(TypeError)
  })

  for (const nonce of ["", "short", `${NONCE}' *`, `${NONCE};`])
    it(`refuses the nonce ${JSON.stringify(nonce)}`, ({ expect }) => {
      expect(() => policyText({ scripts: "nonce" }, { nonce })).toThrow(TypeError)
    })

  for (const reportPath of ["reports", "//evil.example/csp", "https://evil.example/", "/a b", '/a"', "/a;b", "/"])
    it(`refuses ${reportPath} as a path for reports`, ({ expect }) => {
      expect(() => policyText({ scripts: "self" }, { reportPath })).toThrow(TypeError)
    })

  it("refuses a policy that no header can hold", ({ expect }) => {
    const many = Array.from({ length: 300 }, (_, index) => `https://a${index}.example.com`)
    expect(() => policyText({ scripts: "self", directives: { "connect-src": many } })).toThrow(/characters/)
  })
})

describe("cspHash", () => {
  it("is the hash that browsers take of the text", async ({ expect }) => {
    // The example of CSP 3 §8.4 (hash of `alert('Hello, world.');`).
    expect(await cspHash("alert('Hello, world.');")).toBe("sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=")
  })
})

describe("policyApplier", () => {
  for (const [what, options] of [
    ["no policy", {}],
    ["a trial without a path for its reports", { reportOnly: { scripts: "self" } }],
    ["a wrong source", { enforce: { scripts: "self", directives: { "img-src": ["*"] } } }],
    ["a wrong source in the trial", { reportOnly: { scripts: ["x"] }, reportPath: "/csp" }],
    ["a wrong source beside a nonce", { enforce: { scripts: "nonce", directives: { "img-src": ["*"] } } }],
  ] as const)
    it(`refuses ${what} when it is made`, ({ expect }) => {
      expect(() => policyApplier(options as CspOptions)).toThrow(TypeError)
    })

  it("sets both policies, where reports go, and further headers", ({ expect }) => {
    const apply = policyApplier({
      enforce: { scripts: "self" },
      reportOnly: { scripts: [HASH] },
      reportPath: "/csp",
      headers: { "x-content-type-options": "nosniff" },
    })
    const { headers } = apply(new Response("hi"))
    expect(headers.get("content-security-policy")).toMatch(/script-src 'self'; .*report-to csp$/)
    expect(headers.get("content-security-policy-report-only")).toContain(`script-src 'self' '${HASH}'`)
    expect(headers.get("reporting-endpoints")).toBe('csp="/csp"')
    expect(headers.get("x-content-type-options")).toBe("nosniff")
  })

  it("replaces a policy that the response brought along, and keeps its other headers and status", async ({
    expect,
  }) => {
    const headers = { "content-security-policy": "default-src *", etag: '"1"', "content-type": "text/html" }
    const answer = policyApplier({ enforce: { scripts: "self" } })(new Response("hi", { status: 203, headers }))
    expect(answer.headers.get("content-security-policy")).toMatch(/^default-src 'none'; /)
    expect([answer.status, answer.headers.get("etag"), await answer.text()]).toEqual([203, '"1"', "hi"])
  })

  it("marks what carries a nonce attribute with the nonce of the policy, and nothing else", async ({ expect }) => {
    const { headers, html } = await byNonce()
    const nonce = /'nonce-([^']+)'/.exec(headers.get("content-security-policy") ?? "")?.[1]
    expect(nonce).toMatch(/^[A-Za-z0-9+/]{24}$/)
    expect(html).toBe(
      `<script nonce="${nonce}">1</script><script>2</script><style nonce="${nonce}"></style><link nonce="${nonce}" rel="modulepreload"><p nonce></p>`,
    )
  })

  it("gives every response another nonce", async ({ expect }) => {
    const seen = new Set<string | null>()
    for (let i = 0; i < 20; i++) seen.add((await byNonce()).headers.get("content-security-policy"))
    expect(seen.size).toBe(20)
  })

  it("lets nobody store or revalidate a page with a nonce", async ({ expect }) => {
    const { headers } = await byNonce()
    expect(headers.get("cache-control")).toBe("no-store")
    expect([headers.has("etag"), headers.has("last-modified")]).toEqual([false, false])
  })

  it("leaves a 304 with the policy it was stored with, where that has a nonce", ({ expect }) => {
    const unchanged = () => new Response(null, { status: 304 })
    const apply = policyApplier({ enforce: { scripts: "nonce" } })
    expect(apply(unchanged()).headers.has("content-security-policy")).toBe(false)
    expect(policyApplier({ enforce: { scripts: "self" } })(unchanged()).headers.has("content-security-policy")).toBe(
      true,
    )
  })

  for (const type of ["application/json", "text/html-not", "text/javascript"])
    it(`leaves ${type} as it is under a nonce`, async ({ expect }) => {
      const headers = { "content-type": type, etag: '"1"' }
      const answer = policyApplier({ enforce: { scripts: "nonce" } })(
        new Response("<script nonce></script>", { headers }),
      )
      expect([await answer.text(), answer.headers.get("etag")]).toEqual(["<script nonce></script>", '"1"'])
    })

  async function byNonce() {
    const html =
      '<script nonce>1</script><script>2</script><style nonce=x></style><link nonce rel="modulepreload"><p nonce></p>'
    const headers = {
      "content-type": "text/html; charset=utf-8",
      etag: '"1"',
      "last-modified": "x",
      "cache-control": "public",
    }
    const answer = policyApplier({ enforce: { scripts: "nonce" } })(new Response(html, { headers }))
    return { headers: answer.headers, html: await answer.text() }
  }
})

describe("the length of a page by nonce", () => {
  const page = '<!doctype html><script nonce="x">1</script>'
  const headers = { "content-type": "text/html", "content-length": String(page.length), etag: '"1"' }
  const apply = policyApplier({ enforce: { scripts: "nonce" } })

  it("is not said to HEAD, nor to GET: neither knows that of the page with its nonce", ({ expect }) => {
    for (const body of [null, page]) {
      const answer = apply(new Response(body, { headers }))
      expect(answer.headers.get("content-length")).toBeNull()
      expect(answer.headers.get("content-type")).toBe("text/html")
    }
  })

  it("is said of what stays as it is: another type, another policy, and nothing modified", ({ expect }) => {
    const length = (answer: Response) => answer.headers.get("content-length")
    const asJson = { ...headers, "content-type": "application/json" }
    expect(length(apply(new Response(null, { headers: asJson })))).toBe(headers["content-length"])
    expect(length(apply(new Response(null, { status: 304, headers })))).toBe(headers["content-length"])
    const bySelf = policyApplier({ enforce: { scripts: "self" } })
    expect(length(bySelf(new Response(null, { headers })))).toBe(headers["content-length"])
  })
})

describe("csp", () => {
  it("puts the policy on answers and on refusals, and takes off what a nonce forbids", async ({ expect }) => {
    const app = worker()
    app.use(csp({ enforce: { scripts: "nonce" } }))
    app.get("/page", (c) => c.html("<p>hi</p>", 200, { etag: '"1"' }))
    app.get("/gone", () => {
      throw refuse("route.not-found")
    })
    const page = await app.request("/page")
    expect(page.headers.get("content-security-policy")).toContain("'nonce-")
    expect(page.headers.has("etag")).toBe(false)
    const gone = await app.request("/gone")
    expect([gone.status, gone.headers.get("content-type")]).toEqual([404, "application/problem+json"])
    expect(gone.headers.get("content-security-policy")).toContain("'nonce-")
  })

  it("works on responses whose headers cannot be changed", async ({ expect }) => {
    const app = new Hono()
    app.use(csp({ enforce: { scripts: "self" } }))
    app.get("/", () => Response.redirect("https://app.example.com/x", 302))
    const answer = await app.request("/")
    expect([answer.status, answer.headers.has("content-security-policy")]).toEqual([302, true])
  })
})

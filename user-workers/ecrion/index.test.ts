import { env as bound } from "cloudflare:workers"
import { afterEach, describe, it, vi } from "vitest"
import type { PassportClaims } from "../../contracts/passport.ts"
import type { PlatformApi } from "../../contracts/platform.ts"
import { scoreboardPage } from "../../kit/scoreboard-page.ts"
import { makeTestPassports } from "../../kit/sign-test-passport.ts"
import ecrion from "./index.ts"
import { requestTo } from "./request-to.ts"

const passports = await makeTestPassports()
const ENTRANCE = "https://documents.procore.com"
const operator = { scope: "ecrion:read ecrion:write" }

afterEach(() => {
  vi.unstubAllGlobals()
})

interface Circumstances {
  readonly service?: (request: Request) => Response | Promise<Response>
  readonly vars?: Readonly<Record<string, string | undefined>>
}

/** One request through ecrion, with its background work done. */
async function call(
  path: string,
  init: RequestInit = {},
  claims: Partial<PassportClaims> = {},
  given: Circumstances = {},
) {
  const sent: Request[] = []
  const asked: string[] = []
  vi.stubGlobal("fetch", async (request: Request) => {
    sent.push(request)
    return given.service?.(request) ?? Response.json({ at: sent.length, name: "same" })
  })
  const background: Promise<unknown>[] = []
  const context = { waitUntil: (work: Promise<unknown>) => background.push(work) } as unknown as ExecutionContext
  const platform: Pick<PlatformApi, "keys" | "originsOf"> = {
    keys: passports.keys,
    originsOf: async (audience) => {
      asked.push(audience)
      return { audience, origins: [`https://${audience.slice("ecrion:".length)}.example`], revision: 1 }
    },
  }
  const environment = { ...(bound as object), RULES_REFRESH_MS: "0", ...given.vars, PLATFORM: platform }
  const request = await passports.request(ENTRANCE + path, "ecrion", init, claims)
  const response = await ecrion.fetch(request, environment, context)
  for (const work of background) await work
  return { response, sent, asked, own: request.headers.get("x-passport") }
}

async function put(body: string, headers: Record<string, string> = {}, claims: Partial<PassportClaims> = operator) {
  const current = (await call("/.strangler/rules", {}, operator)).response.headers.get("etag") ?? ""
  const length = String(new TextEncoder().encode(body).length)
  const all = { "content-type": "application/json", "content-length": length, "if-match": current, ...headers }
  return (await call("/.strangler/rules", { method: "PUT", body, headers: all }, claims)).response
}
async function setRules(...rules: object[]): Promise<void> {
  const response = await put(JSON.stringify({ rules }))
  if (response.status !== 204) throw new Error(await response.text())
}
const sides = (sent: readonly Request[]) => sent.map(({ url }) => new URL(url).hostname.split(".")[0])

describe("ecrion: to the services", () => {
  it("takes every path to the legacy service while there are no rules, with the passport that it came with", async ({
    expect,
  }) => {
    await setRules()
    const { response, sent, asked, own } = await call("/documents/1?a=b")
    expect([response.status, response.headers.get("x-strangler")]).toEqual([200, "legacy"])
    expect([sent.map(({ url }) => url), asked]).toEqual([["https://legacy.example/documents/1?a=b"], ["ecrion:legacy"]])
    expect(own).toMatch(/^ey/)
    expect(sent[0]?.headers.get("x-passport")).toBe(own)
  })

  it("goes by the company that the passport vouches for, not by one that the request names", async ({ expect }) => {
    await setRules({ path: "/cohort/*", mode: "split", cohorts: { companies: ["42"] } })
    const naming = { headers: { "procore-company-id": "42" } }
    expect(sides((await call("/cohort/1", naming, { company: "7" })).sent)).toEqual(["legacy"])
    expect(sides((await call("/cohort/1", {}, { company: "42" })).sent)).toEqual(["new"])
    expect(sides((await call("/cohort/1", naming)).sent)).toEqual(["new"])
  })

  it("compares in the background, and counts it", async ({ expect }) => {
    await setRules({ path: "/shadowed/*", mode: "shadow", round: 7 })
    const { response, sent } = await call("/shadowed/1")
    expect(response.headers.get("x-strangler")).toBe("legacy")
    expect(sides(sent)).toEqual(["legacy", "new", "legacy"])
    expect(sent.map(({ headers }) => headers.get("x-strangler-copy"))).toEqual([null, "1", "1"])
    const scores = (await call("/.strangler/scoreboard", {}, operator)).response
    expect(await scores.json()).toMatchObject({
      rules: [
        {
          path: "/shadowed/*",
          round: 7,
          compared: 1,
          matchPercent: 0,
          noiseAdjustedMatchPercent: 100,
          fields: [{ field: "/at", verdict: "noise" }],
        },
      ],
    })
  })

  it("counts a new service that never answers, or never ends, as one that differs", async ({ expect }) => {
    const open = () => new ReadableStream({ start: (stream) => stream.enqueue(new Uint8Array(1)) })
    for (const [round, answer] of [
      [1, () => new Promise<Response>(() => {})],
      [2, () => new Response(open())],
    ] as const) {
      await setRules({ path: "/silent/*", mode: "shadow", round })
      const service = (request: Request) => {
        if (new URL(request.url).hostname !== "new.example") return Response.json({})
        const ended = new Promise<never>((_, reject) =>
          request.signal.addEventListener("abort", () => reject(request.signal.reason)),
        )
        return Promise.race([answer(), ended])
      }
      const { sent } = await call("/silent/1", {}, {}, { service, vars: { NEW_TIMEOUT_MS: "20" } })
      expect(sides(sent)).toEqual(["legacy", "new", "legacy"])
      const scores = (await call("/.strangler/scoreboard", {}, operator)).response
      const { rules } = (await scores.json()) as { rules: { path: string; round: number }[] }
      expect(rules.find((each) => each.path === "/silent/*" && each.round === round)).toMatchObject({
        compared: 1,
        skipped: 0,
        noiseAdjustedMatchPercent: 0,
        fields: [{ field: "status", examples: [{ new: "no answer" }] }],
      })
    }
  })

  it("never mirrors what is unsafe", async ({ expect }) => {
    await setRules({ path: "/shadowed/*", mode: "shadow" })
    for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
      expect(sides((await call("/shadowed/1", { method })).sent)).toEqual(["legacy"])
  })

  it("refuses without a passport, or with another script's", async ({ expect }) => {
    for (const request of [new Request(ENTRANCE), await passports.request(ENTRANCE, "gateway", {}, {})]) {
      const environment = { ...(bound as object), PLATFORM: { keys: passports.keys } }
      const response = await ecrion.fetch(request, environment, { waitUntil() {} } as unknown as ExecutionContext)
      expect(response.status).toBe(401)
    }
  })

  it("does not let safe requests wait for a new service that is silent, rule by rule", async ({ expect }) => {
    await setRules({ path: "/mute/*", mode: "new" }, { path: "/lively/*", mode: "new" })
    const silent = (request: Request) =>
      new Promise<Response>((resolve, reject) => {
        const { hostname, pathname } = new URL(request.url)
        if (hostname !== "new.example" || !pathname.startsWith("/mute/")) return resolve(new Response("fine"))
        request.signal.addEventListener("abort", () => reject(request.signal.reason))
      })
    const given = { service: silent, vars: { NEW_TIMEOUT_MS: "20", NEW_OPEN_MS: "60000" } }
    const asked = async (path: string, init: RequestInit = {}) => sides((await call(path, init, {}, given)).sent)
    for (let count = 0; count < 3; count++) expect(await asked("/mute/1")).toEqual(["new", "legacy"])
    expect(await asked("/mute/1")).toEqual(["legacy"])
    expect(await asked("/mute/1", { method: "POST", body: "x" })).toEqual(["new"])
    expect(await asked("/lively/1")).toEqual(["new"])
  })

  for (const name of ["LEGACY_TIMEOUT_MS", "NEW_TIMEOUT_MS", "NEW_OPEN_MS", "RULES_REFRESH_MS"])
    it(`asks nobody where ${name} is no number, which would be no time at all`, async ({ expect }) => {
      for (const value of ["", " ", "5s", "-1", undefined]) {
        const { response, sent } = await call("/documents/1", {}, {}, { vars: { [name]: value } })
        expect([response.status, sent.length]).toEqual([500, 0])
      }
    })

  it("keeps what belongs to one connection from the client", async ({ expect }) => {
    const headers = { connection: "keep-alive", "keep-alive": "timeout=5" }
    const { response } = await call("/", {}, {}, { service: () => new Response("a", { headers }) })
    expect([...response.headers.keys()].filter((name) => name.includes("alive") || name === "connection")).toEqual([])
  })
})

describe("requestTo", () => {
  const access = { audience: "ecrion:legacy", origin: "https://legacy.example" }
  const { signal } = new AbortController()

  it("keeps an odd path on the origin, and says by which hostname the request entered", ({ expect }) => {
    const headers = {
      "x-forwarded-host": "evil.example",
      "x-strangler-copy": "1",
      connection: "x-mine",
      "x-mine": "1",
      "x-passport": "opaque",
    }
    const request = new Request("https://evil.example//other.example/a?b", { headers })
    const made = requestTo(access, request, "documents.procore.com", { signal, isCopy: false })
    expect(made.url).toBe("https://legacy.example//other.example/a?b")
    expect(made.redirect).toBe("manual")
    expect(Object.fromEntries(made.headers)).toEqual({
      "x-passport": "opaque",
      "x-forwarded-host": "documents.procore.com",
      "x-forwarded-proto": "https",
      "x-sallyport-audience": "ecrion:legacy",
    })
    expect(requestTo(access, request, undefined, { signal, isCopy: false }).headers.has("x-forwarded-host")).toBe(false)
  })

  it("gives a copy no body, and marks it", ({ expect }) => {
    const headers = { "content-length": "4" }
    const request = new Request("https://a.example/", { method: "POST", body: "body", headers })
    const copy = requestTo(access, request, undefined, { signal, isCopy: true })
    expect([copy.body, copy.headers.get("x-strangler-copy"), request.bodyUsed]).toEqual([null, "1", false])
    expect(copy.headers.has("content-length")).toBe(false)
  })
})

describe("ecrion: rules", () => {
  it("are read and written as text, each on top of the one before", async ({ expect }) => {
    const text = '{ "rules": [ { "path": "/a", "mode": "new" } ] }'
    expect((await put(text)).status).toBe(204)
    const { response } = await call("/documents/.strangler/rules", {}, operator)
    expect([await response.text(), response.headers.get("cache-control")]).toEqual([text, "no-store"])
  })

  for (const [name, body, headers, status, code] of [
    ["no JSON by its type", "{}", { "content-type": "text/plain" }, 415, "api.media-type"],
    ["no If-Match", "{}", { "if-match": "" }, 412, "api.precondition-failed"],
    ["any revision", "{}", { "if-match": "*" }, 412, "api.precondition-failed"],
    ["a weak ETag", "{}", { "if-match": 'W/"1"' }, 412, "api.precondition-failed"],
    ["an older revision", '{"rules":[]}', { "if-match": '"0"' }, 412, "api.precondition-failed"],
    ["more text than is taken", "{}", { "content-length": "262145" }, 413, "api.too-large"],
    ["a fault", '{"rules":[{"path":"/a","mode":"sideways"}]}', {}, 400, "api.body-invalid"],
  ] as const)
    it(`refuses ${name}`, async ({ expect }) => {
      await setRules()
      const response = await put(body, headers)
      expect(response.status).toBe(status)
      expect(await response.json()).toMatchObject({
        code,
        ...(status === 400 ? { errors: [{ pointer: "/rules/0/mode" }] } : {}),
      })
    })

  /** Without saying how long it is. */
  async function putStreamed(chunks: Iterable<Uint8Array>) {
    const left = chunks[Symbol.iterator]()
    const body = new ReadableStream<Uint8Array>({
      pull(stream) {
        const next = left.next()
        if (next.done === true) stream.close()
        else stream.enqueue(next.value)
      },
    })
    const etag = (await call("/.strangler/rules", {}, operator)).response.headers.get("etag") ?? ""
    const headers = { "content-type": "application/json", "if-match": etag }
    const init = { method: "PUT", body, headers }
    return (await call("/.strangler/rules", init, operator)).response
  }
  const sized = (text: string, sizeBytes: number) => new TextEncoder().encode(text.padEnd(sizeBytes, " "))

  it("are taken from a body of unstated length, to the last byte that they may have", async ({ expect }) => {
    const text = '{"rules":[{"path":"/streamed","mode":"new"}]}'
    expect((await putStreamed([sized(text, 100), sized("", 100)])).status).toBe(204)
    expect(await (await call("/.strangler/rules", {}, operator)).response.text()).toBe(text.padEnd(200))
    expect((await putStreamed([sized(text, 200_000), sized("", 62_144)])).status).toBe(204)
  })

  it("are refused a byte beyond that, without hearing the rest", async ({ expect }) => {
    let sent = 0
    function* endless() {
      for (; sent < 100; sent++) yield sized("{", 100_000)
    }
    for (const chunks of [[sized("{}", 200_000), sized("", 62_145)], endless()]) {
      const response = await putStreamed(chunks)
      expect([response.status, await response.json()]).toMatchObject([413, { code: "api.too-large" }])
    }
    expect(sent).toBeLessThan(10)
  })

  for (const claims of [
    {},
    { scope: "ecrion:read" },
    { scope: "ecrion:writer" },
    { ...operator, kind: "anonymous" },
  ] as const)
    it(`refuses ${JSON.stringify(claims)}`, async ({ expect }) => {
      expect((await put('{"rules":[]}', {}, claims)).status).toBe(403)
      expect((await call("/.strangler/rules", {}, claims)).response.status).toBe(403)
    })

  it("refuses everybody where no scope is named, and every other method", async ({ expect }) => {
    const { response } = await call("/.strangler/rules", {}, { scope: "a  b" }, { vars: { RULES_SCOPE: "" } })
    expect(response.status).toBe(403)
    for (const method of ["POST", "DELETE", "PATCH"])
      expect((await call("/.strangler/rules", { method }, operator)).response.headers.get("allow")).toBe(
        "GET, HEAD, PUT",
      )
  })
})

describe("ecrion: scoreboard", () => {
  it("belongs to those with its scope alone, and is only read", async ({ expect }) => {
    for (const claims of [
      {},
      { scope: "ecrion:write" },
      { scope: "ecrion:readers" },
      { ...operator, kind: "anonymous" as const },
    ])
      expect((await call("/.strangler/scoreboard", {}, claims)).response.status).toBe(403)
    const posted = await call("/.strangler/scoreboard", { method: "POST" }, operator)
    expect([posted.response.status, posted.response.headers.get("allow")]).toEqual([405, "GET, HEAD"])
    expect(posted.sent).toEqual([])
  })

  it("does not take a path that merely ends alike", async ({ expect }) => {
    expect((await call("/x.strangler/scoreboard")).sent).toHaveLength(1)
    expect((await call("/.strangler/scoreboards")).sent).toHaveLength(1)
  })

  it("is a page for those who ask for one, and JSON for others", async ({ expect }) => {
    const page = await call("/.strangler/scoreboard", { headers: { accept: "text/html,*/*" } }, operator)
    expect(page.response.headers.get("content-type")).toBe("text/html; charset=utf-8")
    const data = await call("/.strangler/scoreboard", { headers: { accept: "*/*" } }, operator)
    expect(data.response.headers.get("content-type")).toMatch(/^application\/json/)
    for (const { response } of [page, data])
      expect([response.headers.get("cache-control"), response.headers.get("vary")]).toEqual(["no-store", "accept"])
  })
})

describe("scoreboardPage", () => {
  const hostile = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
  const field = {
    kind: hostile,
    verdict: "different",
    matchPercent: 0,
    noiseAdjustedMatchPercent: 0,
    onlyNew: 1,
    onlyAgain: 0,
    inBoth: 0,
  } as const
  const rule = {
    round: 1,
    compared: 1,
    matchPercent: 0,
    noiseAdjustedMatchPercent: 0,
    comparedWithoutBody: 0,
    skipped: 0,
    fallbacks: 0,
    areFieldsFull: true,
  }
  const examples = [{ legacy: hostile, new: hostile, requestId: hostile }]
  const page = () =>
    scoreboardPage([{ ...rule, path: hostile, seenAt: hostile, fields: [{ ...field, field: hostile, examples }] }])

  it("writes what services named as text", async ({ expect }) => {
    const text = await (await page()).text()
    expect(text).not.toMatch(/<script|<img/i)
    expect(text.match(/&quot;&gt;&lt;script&gt;/g)?.length).toBe(8)
  })

  it("lets in its own style and nothing else", async ({ expect }) => {
    const response = await page()
    const style = /<style>(.*?)<\/style>/s.exec(await response.text())?.[1] ?? ""
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(style)))
    expect(response.headers.get("content-security-policy")).toBe(
      `default-src 'none'; style-src 'sha256-${btoa(String.fromCharCode(...digest))}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    )
  })

  it("says so when nothing was compared", async ({ expect }) => {
    expect(await (await scoreboardPage([])).text()).toContain("Nothing has been compared yet.")
  })
})

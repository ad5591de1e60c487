import { trace } from "@opentelemetry/api"
import { afterEach, expect as assert, describe, it, vi } from "vitest"
import type { PlatformApi, ZoneOfCompany } from "../../contracts/platform.ts"
import { hmacUrl } from "../../kit/hmac-url.ts"
import { makeTestPassports } from "../../kit/sign-test-passport.ts"
import files from "./index.ts"

const STORE = "https://store.example"
const FUS = "http://fus-us01.example"
const PUT_KEY = "cHV0IGtleSBvZiBtb3JlIHRoYW4gMzIgYnl0ZXMgbG9uZw"
const GET_KEY = "Z2V0IGtleSBvZiBtb3JlIHRoYW4gMzIgYnl0ZXMgbG9uZw"
const UPLOAD = "/rest/v2.1/companies/9007199254740993/uploads/01JEXAMPLE"
const CONTENT = "content of seven and twenty"
const SHA256 = await sha256(CONTENT)

const passports = await makeTestPassports()
const links = hmacUrl({ keys: PUT_KEY, parameters: ["expires_at", "user_id"] })
const asking = hmacUrl({ keys: GET_KEY, parameters: ["expires_at", "user_id", "claim"] })
const burning = hmacUrl({ keys: GET_KEY, parameters: ["expires_at", "user_id", "claim", "etag"] })

afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

describe("files: an upload", () => {
  for (const path of [
    UPLOAD,
    `${UPLOAD}/parts/1`,
    `${UPLOAD}/parts/10000`,
    "/rest/v2.1/companies/100/projects/18446744073709551615/uploads/01JEXAMPLE",
    "/rest/v2.1/companies/100/projects/2/uploads/01JEXAMPLE/parts/7",
  ])
    it(`of ${path} is claimed, streamed and burnt, and answered with the ETag and nothing else`, async ({ expect }) => {
      const { response, fus, stored } = await upload({ path })
      expect(response.status).toBe(200)
      expect(await response.text()).toBe("")
      expect(response.headers.get("etag")).toBe('"0x8D"')
      expect(stored).toEqual([CONTENT])
      expect(fus.map(({ method, path }) => `${method} ${path}`)).toEqual([`GET ${path}/url`, `PATCH ${path}/url`])
      const [claimed, burnt] = fus
      expect(await asking.verify("GET", claimed?.url ?? "")).toMatchObject({
        ok: true,
        parameters: { user_id: "1234" },
      })
      const verdict = await burning.verify("PATCH", burnt?.url ?? "")
      expect(verdict.ok && verdict.parameters.claim).toBe(claimed?.query.get("claim"))
      expect(verdict.ok && atob(verdict.parameters.etag ?? "")).toBe('"0x8D"')
    })

  it("asks the service of the company's zone, with its own passport to be exchanged for that service's", async ({
    expect,
  }) => {
    const { fus, asked, own } = await upload({ path: UPLOAD.replace("9007199254740993", "9007199254740992") })
    expect(asked).toEqual(["zone of 9007199254740992", "origins of fus:us01"])
    expect(fus[0]?.headers.get("x-passport")).toBe(own)
    expect(fus[0]?.headers.get("x-sallyport-audience")).toBe("fus:us01")
    expect(fus[0]?.headers.get("authorization")).toBeNull()
  })

  it("burns and gives back by the claim alone, so that no upload outlasts what it needs", async ({ expect }) => {
    const burnt = await upload()
    const givenBack = await upload({ headers: { "content-length": "1" } })
    const after = [...burnt.fus, ...givenBack.fus].filter(({ method }) => method !== "GET")
    expect(after.map(({ method }) => method)).toEqual(["PATCH", "DELETE"])
    for (const { headers } of after) expect([...headers]).toEqual([])
  })

  it("answers what the platform refuses of its caller, and claims nothing", async ({ expect }) => {
    const { response, fus } = await upload({ claimRefused: "zone.country-refused" })
    await expectProblem(response, 403, "zone.country-refused")
    expect(fus.map(({ method }) => method)).toEqual(["GET", "DELETE"])
  })

  it("says what it did in the span's attributes", async ({ expect }) => {
    const attributes: Record<string, unknown> = {}
    const span = trace.wrapSpanContext({ traceId: "1".repeat(32), spanId: "1".repeat(16), traceFlags: 0 })
    const setAttribute = (name: string, value: unknown) => {
      attributes[name] = value
      return span
    }
    vi.spyOn(trace, "getActiveSpan").mockReturnValue(Object.assign(span, { setAttribute }))
    await upload({ path: `${UPLOAD}/parts/3` })
    expect(attributes).toEqual({
      "upload.company_id": "9007199254740993",
      "upload.upload_id": "01JEXAMPLE",
      "upload.is_standard": false,
      "upload.fetch_cloud_storage_url_duration_ms": expect.any(Number),
      "upload.stream_to_cloud_storage_duration_ms": expect.any(Number),
    })
  })

  it("is burnt a second time when the first had no answer, and is good then", async ({ expect }) => {
    const { response, fus } = await upload({ burnAnswers: [null, 204] })
    expect(response.status).toBe(200)
    expect(fus.map(({ method }) => method)).toEqual(["GET", "PATCH", "PATCH"])
    expect(fus[1]?.query.get("claim")).toBe(fus[2]?.query.get("claim"))
  })

  for (const burnAnswers of [[409], [500, 500], [null, null]])
    it(`does not count when burning is answered by ${burnAnswers}, and keeps its claim, for it may have been burnt`, async ({
      expect,
    }) => {
      const { response, fus } = await upload({ burnAnswers })
      await expectProblem(response, 503, "upload.not-recorded")
      expect(fus.map(({ method }) => method)).not.toContain("DELETE")
    })
})

describe("files: refuses", () => {
  it("a URL that was not signed so, before it asks anybody", async ({ expect }) => {
    const { asked, fus, response } = await upload({ change: (url) => url.replace("user_id=1234", "user_id=1235") })
    await expectProblem(response, 403, "upload.signature-invalid")
    expect(asked).toEqual([])
    expect(fus).toEqual([])
  })

  it("a URL without query, and any other path without signature", async () => {
    for (const change of [(url: string) => url.split("?")[0] ?? "", () => "https://storage.procore.com/other"])
      await expectProblem((await upload({ change })).response, 403, "upload.signature-invalid")
  })

  for (const method of ["GET", "HEAD", "POST", "DELETE", "PATCH", "OPTIONS"])
    it(`a signed URL that is used with ${method}, as any other change of what was signed`, async ({ expect }) => {
      const { response, asked, fus, stored } = await upload({ method })
      expect(response.status).toBe(403)
      if (method !== "HEAD") await expectProblem(response, 403, "upload.signature-invalid")
      expect([asked, fus, stored]).toEqual([[], [], []])
    })

  for (const method of ["GET", "POST", "DELETE"])
    it(`to upload with ${method}, though the URL was signed for that`, async ({ expect }) => {
      const { response, asked } = await upload({ method, signedFor: method })
      await expectProblem(response, 404, "route.not-found")
      expect(asked).toEqual([])
    })

  it("another method of a caller who brought no passport, or a credential, for that reason alone", async () => {
    const without = { "x-passport": "none" }
    await expectProblem((await upload({ method: "GET", headers: without })).response, 401, "platform.passport-required")
    await expectProblem((await upload({ method: "GET", kind: "user" })).response, 400, "upload.credential-unexpected")
  })

  it("a URL that has expired", async () => {
    await expectProblem((await upload({ expires_at: "1700000000" })).response, 403, "upload.url-expired")
  })

  const wrongIds: Record<string, string> = {
    "a company that is no number": UPLOAD.replace("9007199254740993", "1e3"),
    "a company of 21 digits": UPLOAD.replace("9007199254740993", "1".repeat(21)),
    "a project that is no number": UPLOAD.replace("/uploads", "/projects/x/uploads"),
    "an upload with a dot": `${UPLOAD}.1`,
    "an upload of 65 characters": UPLOAD.replace("01JEXAMPLE", "a".repeat(65)),
    "part 0": `${UPLOAD}/parts/0`,
    "part 01": `${UPLOAD}/parts/01`,
    "part 10001": `${UPLOAD}/parts/10001`,
  }
  for (const [name, path] of Object.entries(wrongIds))
    it(`${name}, though it was signed`, async ({ expect }) => {
      const { response, asked } = await upload({ path })
      await expectProblem(response, 400, "upload.id-invalid")
      expect(asked).toEqual([])
    })

  for (const path of [`${UPLOAD}/parts`, `${UPLOAD}/url`, "/rest/v2.1/uploads/01J", UPLOAD.replace("v2.1", "v2.0")])
    it(`the path ${path}, though it was signed`, async () => {
      await expectProblem((await upload({ path })).response, 404, "route.not-found")
    })

  it("a request without a passport", async () => {
    await expectProblem(
      (await upload({ headers: { "x-passport": "none" } })).response,
      401,
      "platform.passport-required",
    )
  })

  it("a caller who brought a credential", async () => {
    await expectProblem((await upload({ kind: "user" })).response, 400, "upload.credential-unexpected")
  })

  it("a company that the directory does not know", async () => {
    const path = UPLOAD.replace("9007199254740993", "404")
    await expectProblem((await upload({ path })).response, 404, "company.unknown")
  })

  it("a company that is moving between zones", async () => {
    const path = UPLOAD.replace("9007199254740993", "500")
    await expectProblem((await upload({ path })).response, 503, "company.moving")
  })

  it("a body of unstated length", async () => {
    await expectProblem((await upload({ headers: { "content-length": null } })).response, 411, "upload.length-required")
  })

  const announced: Record<string, [Record<string, unknown>, number, string]> = {
    "another length than announced": [{ content_length: 99 }, 400, "upload.length-mismatch"],
    "a missing header of those that were given": [{ client_headers: { "x-a": "1" } }, 400, "upload.headers-mismatch"],
    "content with another digest": [{ sha256: "0".repeat(64) }, 422, "upload.digest-mismatch"],
    "a store on another host": [{ url: "https://store.example.evil.example/k" }, 502, "upload.target-refused"],
    "a store on another port": [{ url: `${STORE}:8443/k` }, 502, "upload.target-refused"],
    "a store without TLS": [{ url: "http://store.example/k" }, 502, "upload.target-refused"],
    "a store's URL with userinfo": [{ url: "https://a:b@store.example/k" }, 502, "upload.target-refused"],
    "a store's URL that is none": [{ url: "/k" }, 502, "upload.target-refused"],
    "a target for another method": [{ method: "POST" }, 502, "upload.service-failed"],
    "a length that is no number": [{ content_length: "27" }, 502, "upload.service-failed"],
    "a length of 0": [{ content_length: 0 }, 502, "upload.service-failed"],
    "a digest in capitals": [{ sha256: SHA256.toUpperCase() }, 502, "upload.service-failed"],
    "no word on the digest": [{ sha256: undefined }, 502, "upload.service-failed"],
    "headers that are none": [{ headers: { a: 1 } }, 502, "upload.service-failed"],
    "a header with a line break": [{ headers: { a: "1\r\nb: 2" } }, 502, "upload.service-failed"],
    "a client's header of no name": [{ client_headers: { "a b": "1" } }, 502, "upload.service-failed"],
  }
  for (const [name, [change, status, code]] of Object.entries(announced))
    it(`${name}, storing nothing and giving the claim back`, async ({ expect }) => {
      const { response, stored, fus } = await upload({ announced: change })
      expect((await response.clone().text()).includes("secret")).toBe(false)
      await expectProblem(response, status, code)
      expect(stored).toEqual([])
      expect(fus.map(({ method }) => method)).toEqual(["GET", "DELETE"])
      expect((await asking.verify("DELETE", fus[1]?.url ?? "")).ok).toBe(true)
    })

  const parts: Record<string, Record<string, unknown>> = {
    "without a digest": { sha256: null },
    "of 5 MiB that is not the last": { content_length: 5 * 1024 * 1024, is_last: false },
    "of more than 100 MiB": { content_length: 100 * 1024 * 1024 + 1, is_last: true },
  }
  for (const [name, change] of Object.entries(parts))
    it(`a part ${name}, which the service may not announce`, async () => {
      const { response } = await upload({ path: `${UPLOAD}/parts/1`, announced: change })
      await expectProblem(response, 502, "upload.service-failed")
    })

  const answers: [number | null, unknown, number, string][] = [
    [404, {}, 404, "upload.unknown"],
    [409, { code: "in-progress" }, 409, "upload.in-progress"],
    [409, { code: "used" }, 409, "upload.already-used"],
    [403, { code: "signature" }, 502, "upload.service-failed"],
    [500, "no JSON", 502, "upload.service-failed"],
    [302, {}, 502, "upload.service-failed"],
    [200, null, 502, "upload.service-failed"],
    [null, null, 502, "upload.service-failed"],
  ]
  for (const [claimStatus, claimBody, status, code] of answers)
    it(`what the service answers with ${claimStatus} ${JSON.stringify(claimBody)}, as ${code}`, async ({ expect }) => {
      const { response, stored, fus } = await upload({ claimStatus, claimBody })
      await expectProblem(response, status, code)
      expect(stored).toEqual([])
      // Where there is no claim, nothing is given back: who sends a used URL again and again costs one request each.
      const isUnclaimed = claimStatus === 404 || claimStatus === 409
      expect(fus.map(({ method }) => method)).toEqual(isUnclaimed ? ["GET"] : ["GET", "DELETE"])
    })

  it("what a silent service leaves open, after the time for one answer, and gives the claim back behind that", async ({
    expect,
  }) => {
    const { response, stored, fus } = await upload({ isServiceSilent: true })
    await expectProblem(response, 504, "upload.service-timeout")
    expect(stored).toEqual([])
    // The second request has neither answer nor end yet: nobody waited for it.
    expect(fus.map(({ method, signal }) => `${method} ${signal.aborted}`)).toEqual(["GET true", "DELETE false"])
  })
})

describe("files: beside uploads", () => {
  it("answers for its health", async ({ expect }) => {
    const request = new Request("https://storage.procore.com/rest/v2.1/uploads/health")
    const response = await files.fetch(request, environment([]), executionContext)
    expect(await response.json()).toEqual({ status: "ok" })
  })

  it("answers a preflight of its web application, and no other's", async ({ expect }) => {
    const preflight = (origin: string) =>
      files.fetch(
        new Request(`https://storage.procore.com${UPLOAD}`, {
          method: "OPTIONS",
          headers: { origin, "access-control-request-method": "PUT" },
        }),
        environment([]),
        executionContext,
      )
    expect((await preflight("https://app.example")).headers.get("access-control-allow-methods")).toContain("PUT")
    expect((await preflight("https://app.example.evil.example")).headers.has("access-control-allow-origin")).toBe(false)
  })
})

describe("files: variables", () => {
  const preflight = (CORS_ORIGINS: string) =>
    files.fetch(
      new Request(`https://storage.procore.com${UPLOAD}`, {
        method: "OPTIONS",
        headers: { origin: "https://app.example", "access-control-request-method": "PUT" },
      }),
      { ...environment([]), CORS_ORIGINS },
      executionContext,
    )

  for (const CORS_ORIGINS of ["", "  "])
    it(`serve no web application while CORS_ORIGINS is ${JSON.stringify(CORS_ORIGINS)}, and all else as ever`, async ({
      expect,
    }) => {
      const { response, stored } = await upload({ vars: { CORS_ORIGINS } })
      expect([response.status, stored]).toEqual([200, [CONTENT]])
      expect((await preflight(CORS_ORIGINS)).headers.has("access-control-allow-origin")).toBe(false)
    })

  for (const CORS_ORIGINS of [
    " https://app.example",
    "https://app.example\n",
    "https://other.example  https://app.example",
  ])
    it(`name origins between any blanks: ${JSON.stringify(CORS_ORIGINS)}`, async ({ expect }) => {
      expect((await upload({ vars: { CORS_ORIGINS } })).response.status).toBe(200)
      expect((await preflight(CORS_ORIGINS)).headers.get("access-control-allow-origin")).toBe("https://app.example")
    })

  it("stop everything where CORS_ORIGINS names what is no origin", async ({ expect }) => {
    expect((await upload({ vars: { CORS_ORIGINS: "https://app.example/" } })).response.status).toBe(500)
  })

  it("let uploads go to no store while STORE_ORIGINS is empty, and to those between any blanks", async ({ expect }) => {
    for (const STORE_ORIGINS of ["", " "])
      await expectProblem((await upload({ vars: { STORE_ORIGINS } })).response, 502, "upload.target-refused")
    expect((await upload({ vars: { STORE_ORIGINS: `  ${STORE}\n` } })).response.status).toBe(200)
  })

  for (const name of ["SERVICE_TIMEOUT_MS", "STORE_TIMEOUT_MS", "UPLOAD_TIMEOUT_MS"])
    it(`stop an upload before anything is claimed where ${name} is no number, and blame no service`, async ({
      expect,
    }) => {
      for (const value of ["", " ", "1s", "-1", undefined]) {
        const { response, fus } = await upload({ vars: { [name]: value } })
        await expectProblem(response, 500, "internal")
        expect(fus).toEqual([])
      }
    })
})

interface Circumstances {
  readonly path?: string
  /** Default PUT, for both. */
  readonly method?: string
  readonly signedFor?: string
  readonly expires_at?: string
  readonly change?: (url: string) => string
  /** Null takes one away. */
  readonly headers?: Readonly<Record<string, string | null>>
  readonly kind?: "user" | "anonymous"
  readonly announced?: Readonly<Record<string, unknown>>
  /** Null is no answer at all. */
  readonly claimStatus?: number | null
  readonly claimBody?: unknown
  /** By the outbound Worker, so that the service hears nothing of it. */
  readonly claimRefused?: string
  readonly burnAnswers?: readonly (number | null)[]
  /** It takes requests and answers none. */
  readonly isServiceSilent?: boolean
  readonly vars?: Readonly<Record<string, string | undefined>>
}

async function upload(given: Circumstances = {}) {
  const { path = UPLOAD, change = (url: string) => url, kind = "anonymous", burnAnswers = [204] } = given
  const { method = "PUT", signedFor = "PUT" } = given
  const expires_at = given.expires_at ?? String(Math.floor(Date.now() / 1000) + 600)
  const url = await links.sign(signedFor, `https://storage.procore.com${path}`, { expires_at, user_id: "1234" })
  const body = ["GET", "HEAD"].includes(method) ? null : CONTENT
  const init = { method, body, headers: { "content-length": String(CONTENT.length) } }
  const request = await passports.request(change(url), "files", init, { kind })
  for (const [name, value] of Object.entries(given.headers ?? {}))
    value === null ? request.headers.delete(name) : request.headers.set(name, value)

  const stored: string[] = []
  const fus: {
    method: string
    url: string
    path: string
    query: URLSearchParams
    headers: Headers
    signal: AbortSignal
  }[] = []
  const left = [...burnAnswers]
  const answerOf = (status: number | null | undefined, body: unknown) => {
    if (status === null || status === undefined) throw new Error("no answer of http://fus?sig=secret")
    return new Response(status === 204 ? null : JSON.stringify(body), { status })
  }
  const announced = {
    url: `${STORE}/key?signature=secret`,
    method: "PUT",
    headers: { "content-type": "image/png" },
    client_headers: {},
    content_length: CONTENT.length,
    sha256: SHA256,
    md5: null,
    is_last: true,
    ...given.announced,
  }
  vi.stubGlobal("fetch", async (asked: string, init: RequestInit) => {
    const sent = new Request(asked, init)
    const { origin, pathname, searchParams } = new URL(asked)
    if (origin !== FUS) {
      stored.push(new TextDecoder().decode(await sent.arrayBuffer()))
      return new Response(null, { headers: { etag: '"0x8D"' } })
    }
    const { method, headers, signal } = sent
    fus.push({ method, url: asked, path: pathname, query: searchParams, headers, signal })
    if (given.isServiceSilent === true)
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))
    if (given.claimRefused !== undefined && method === "GET")
      return new Response(null, { status: 403, headers: { "x-sallyport-egress-problem": given.claimRefused } })
    if (sent.method === "PATCH") return answerOf(left.shift(), {})
    if (sent.method === "DELETE") return answerOf(204, null)
    return "claimStatus" in given ? answerOf(given.claimStatus, given.claimBody) : answerOf(200, announced)
  })
  const asked: string[] = []
  const silent = given.isServiceSilent === true ? { SERVICE_TIMEOUT_MS: "20" } : {}
  const env = { ...environment(asked), ...silent, ...given.vars }
  const response = await files.fetch(request, env, executionContext)
  return { response, stored, fus, asked, own: request.headers.get("x-passport") }
}

const executionContext = { waitUntil() {}, passThroughOnException() {}, props: {} } as unknown as ExecutionContext

function environment(asked: string[]) {
  const PLATFORM = {
    keys: passports.keys,
    zoneOf: async (company: string): Promise<ZoneOfCompany | null> => {
      asked.push(`zone of ${company}`)
      if (company === "404") return null
      const moving = company === "500" ? { mode: "read-only" as const, retryAfterS: 5 } : null
      return {
        zone: "us01",
        audience: "cell:us01",
        baseUrl: "https://app.example",
        countries: null,
        moving,
        revision: 1,
      }
    },
    originsOf: async (audience: string) => {
      asked.push(`origins of ${audience}`)
      return { audience, origins: [FUS], revision: 1 }
    },
  }
  return {
    PLATFORM: PLATFORM as unknown as PlatformApi,
    STORE_ORIGINS: `${STORE} https://other.example`,
    CORS_ORIGINS: "https://app.example",
    SERVICE_TIMEOUT_MS: "1000",
    STORE_TIMEOUT_MS: "1000",
    UPLOAD_TIMEOUT_MS: "1000",
    URI_INTEGRITY_V2_1_PUT_DECRYPT: PUT_KEY,
    URI_INTEGRITY_V2_1_GET_ENCRYPT: GET_KEY,
  }
}

async function expectProblem(response: Response, status: number, code: string): Promise<void> {
  const text = await response.text()
  assert(text).toContain(`"code":"${code}"`)
  assert(response.status).toBe(status)
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("")
}

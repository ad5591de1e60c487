import { afterEach, describe, it, vi } from "vitest"
import type { AudiencePassport, PlatformApi } from "../../contracts/platform.ts"
import { makeTestPassports } from "../../kit/sign-test-passport.ts"
import { CellPassports } from "./cell-passport.ts"
import gateway from "./index.ts"

const passports = await makeTestPassports()
const context = { waitUntil() {} } as unknown as ExecutionContext

afterEach(() => {
  vi.unstubAllGlobals()
})

describe("gateway: towards the cell", () => {
  it("goes to the origin of the zone in its passport, with that cell's passport instead of its own", async ({
    expect,
  }) => {
    const { sent, asked } = await call("/rest/v1.0/projects?a=b", {}, { zone: "uk01" })
    expect(asked).toEqual(["cell:uk01"])
    expect(sent[0]?.url).toBe("https://uk01.cell.example/rest/v1.0/projects?a=b")
    expect(sent[0]?.headers.get("x-passport")).toBe(fakeCellPassport("cell:uk01"))
  })

  it("keeps an odd path on the cell's origin", async ({ expect }) => {
    const { sent } = await call("//evil.example/a/..%2fb?c=//d", {}, { zone: "us01" })
    expect(sent[0]?.url).toBe("https://us01.cell.example//evil.example/a/..%2fb?c=//d")
  })

  it("passes on cookies, request id, method and body; drops hop-by-hop headers", async ({ expect }) => {
    const headers = { cookie: "a=1; b=2", "x-request-id": "r-1", connection: "x-mine", "x-mine": "1", te: "trailers" }
    const { sent } = await call("/", { method: "PUT", body: "body", headers }, { zone: "us01" })
    const arrived = Object.fromEntries(sent[0]?.headers ?? [])
    expect(arrived).toMatchObject({
      cookie: "a=1; b=2",
      "x-request-id": "r-1",
      "x-forwarded-proto": "https",
    })
    for (const name of ["connection", "x-mine", "te"]) expect(arrived[name]).toBeUndefined()
    expect(sent[0]?.method).toBe("PUT")
    expect(await sent[0]?.text()).toBe("body")
  })

  it("says by which hostname the request entered, as its passport does, whatever URL or header a sibling wrote", async ({
    expect,
  }) => {
    const init = { headers: { "x-forwarded-host": "evil.example" } }
    const claims = { zone: "us01", host: "api.procore.com" }
    const { sent } = await call("/a", init, claims, { origin: "https://evil.example" })
    expect(sent[0]?.headers.get("x-forwarded-host")).toBe("api.procore.com")
    expect(sent[0]?.url).toBe("https://us01.cell.example/a")
  })

  it("names no hostname when its passport does not", async ({ expect }) => {
    const { sent } = await call("/", { headers: { "x-forwarded-host": "evil.example" } }, { zone: "us01" })
    expect(sent[0]?.headers.has("x-forwarded-host")).toBe(false)
  })

  for (const method of ["GET", "HEAD"])
    it(`carries ${method} on without the body that the runtime gives it for Content-Length: 0`, async ({ expect }) => {
      const init = { method, headers: { "content-length": "0" } }
      const { response, sent } = await call("/", init, { zone: "us01" }, { arrivingBody: new Response("").body })
      expect(response.status).toBe(200)
      expect(sent[0]).toMatchObject({ method, body: null })
      expect(sent[0]?.headers.has("content-length")).toBe(false)
    })

  it("leaves redirects to the client", async ({ expect }) => {
    const moved = () => new Response(null, { status: 302, headers: { location: "/elsewhere" } })
    const { response, sent } = await call("/", {}, { zone: "us01" }, { cell: moved })
    expect(sent[0]?.redirect).toBe("manual")
    expect(response.status).toBe(302)
  })
})

describe("gateway: back to the client", () => {
  it("hands out the cell's response itself, cookies and all", async ({ expect }) => {
    const headers = new Headers({ "content-type": "text/event-stream" })
    headers.append("set-cookie", "a=1; Path=/")
    headers.append("set-cookie", "b=2; Path=/")
    const answer = new Response("data: 1\n\n", { status: 418, headers })
    const { response } = await call("/", {}, { zone: "us01" }, { cell: () => answer })
    expect(response).toBe(answer)
    expect(response.headers.getSetCookie()).toHaveLength(2)
  })

  it("drops the cell's hop-by-hop headers, keeping status, cookies and body", async ({ expect }) => {
    const headers = new Headers({ "keep-alive": "timeout=5", connection: "keep-alive" })
    headers.append("set-cookie", "a=1")
    headers.append("set-cookie", "b=2")
    const { response } = await call(
      "/",
      {},
      { zone: "us01" },
      { cell: () => new Response("ok", { status: 201, headers }) },
    )
    expect([...response.headers.keys()]).toEqual(expect.not.arrayContaining(["keep-alive", "connection"]))
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"])
    expect(response.status).toBe(201)
    expect(await response.text()).toBe("ok")
  })
})

describe("gateway: refusals", () => {
  it("refuses without a passport, or with one for another script", async ({ expect }) => {
    const url = "https://app.procore.com/"
    for (const request of [new Request(url), await passports.request(url, "router", {}, { zone: "us01" })]) {
      const response = await gateway.fetch(request, environment([]), context)
      expect(response.status).toBe(401)
    }
  })

  it("answers 503 when neither route nor router named a zone", async ({ expect }) => {
    const { response, sent } = await call("/", {}, {})
    expect(await response.json()).toMatchObject({ code: "zone.missing", status: 503 })
    expect(sent).toHaveLength(0)
  })

  it("passes on the platform's refusal of the cell passport", async ({ expect }) => {
    const { response, sent } = await call("/", {}, { zone: "forbidden" })
    expect(await response.json()).toMatchObject({ code: "platform.not-granted", status: 403 })
    expect(sent).toHaveLength(0)
  })

  it("answers 502 without a word of the reason when the cell does not answer", async ({ expect }) => {
    const cell = () => {
      throw new Error("connect ECONNREFUSED 10.9.8.7")
    }
    const { response } = await call("/", {}, { zone: "us01" }, { cell })
    const text = await response.text()
    expect(response.status).toBe(502)
    expect(text).toContain("cell.failed")
    expect(text).not.toContain("10.9.8.7")
  })

  it("answers 504 and ends the call when the cell's headers do not come in time", async ({ expect }) => {
    const { response, sent } = await call("/", {}, { zone: "us01" }, { cell: hanging, timeoutMs: "1" })
    expect(await response.json()).toMatchObject({ code: "cell.timeout", status: 504 })
    expect(sent[0]?.signal.aborted).toBe(true)
  })
})

describe("CellPassports", () => {
  it("asks once per own passport and zone while 30 seconds of life are left", async ({ expect }) => {
    const clock = { nowMs: 1_000_000, now: () => clock.nowMs }
    const cells = new CellPassports(clock)
    const asked: string[] = []
    const platform = {
      passportFor: async (audience: string) => {
        asked.push(audience)
        return { token: "opaque", audience, expiresS: 1_060, origins: ["https://us01.cell.example"] }
      },
    }
    await cells.accessTo("us01", "own", platform)
    clock.nowMs = 1_029_999
    await cells.accessTo("us01", "own", platform)
    expect(asked).toHaveLength(1)
    clock.nowMs = 1_030_000
    await cells.accessTo("us01", "own", platform)
    expect(asked).toHaveLength(2)
    await cells.accessTo("us01", "another's", platform)
    await cells.accessTo("us02", "own", platform)
    expect(asked).toHaveLength(4)
  })

  for (const expiresS of [1_030, Number.NaN, undefined])
    it(`never reuses a passport of which it is told that it ends at ${expiresS}`, async ({ expect }) => {
      const cells = new CellPassports({ now: () => 1_000_000 })
      let asked = 0
      const passportFor = async (audience: string) => {
        const answer = { token: `opaque-${++asked}`, audience, expiresS, origins: ["https://us01.cell.example"] }
        return answer as AudiencePassport
      }
      await cells.accessTo("us01", "own", { passportFor })
      expect((await cells.accessTo("us01", "own", { passportFor })).passport).toBe("opaque-2")
    })

  it("forgets those not used for long, and asks again", async ({ expect }) => {
    const cells = new CellPassports({ now: () => 1_000_000 })
    let asked = 0
    const passportFor = async (audience: string) => {
      asked++
      return { token: "opaque", audience, expiresS: 1_060, origins: ["https://us01.cell.example"] }
    }
    for (let each = 0; each <= 2_000; each++) await cells.accessTo("us01", `own-${each}`, { passportFor })
    await cells.accessTo("us01", "own-2000", { passportFor })
    expect(asked).toBe(2_001)
    await cells.accessTo("us01", "own-0", { passportFor })
    expect(asked).toBe(2_002)
  })
})

type Cell = (request: Request) => Response | Promise<Response>

interface Circumstances {
  readonly cell?: Cell
  readonly timeoutMs?: string
  /** Of the URL that the request has when it arrives: whoever dispatches a sibling chooses it. */
  readonly origin?: string
  /** Only a request from the network can be a GET with a body: none that is made here. */
  readonly arrivingBody?: ReadableStream | null
}

async function call(
  path: string,
  init: RequestInit,
  claims: { zone?: string; host?: string },
  { cell = () => new Response("from the cell"), timeoutMs, origin, arrivingBody }: Circumstances = {},
): Promise<{ response: Response; sent: Request[]; asked: string[] }> {
  const sent: Request[] = []
  const asked: string[] = []
  vi.stubGlobal("fetch", async (request: Request) => {
    sent.push(request)
    return cell(request)
  })
  const request = await passports.request((origin ?? "https://app.procore.com") + path, "gateway", init, claims)
  if (arrivingBody !== undefined) Object.defineProperty(request, "body", { value: arrivingBody })
  return { response: await gateway.fetch(request, environment(asked, timeoutMs), context), sent, asked }
}

function environment(asked: string[], timeoutMs = "25000") {
  const platform: Pick<PlatformApi, "keys" | "passportFor"> = {
    keys: passports.keys,
    passportFor: async (audience) => {
      asked.push(audience)
      if (audience === "cell:forbidden") throw new Error("platform.not-granted")
      const origins = [`https://${audience.slice(5)}.cell.example`]
      return { token: fakeCellPassport(audience), audience, expiresS: Date.now() / 1000 + 60, origins }
    },
  }
  return { PLATFORM: platform as PlatformApi, CELL_TIMEOUT_MS: timeoutMs }
}

function fakeCellPassport(audience: string): string {
  return `e30.${btoa(JSON.stringify({ aud: audience })).replaceAll("=", "")}.AAAA`
}

function hanging(request: Request): Promise<Response> {
  return new Promise((_, reject) => {
    request.signal.addEventListener("abort", () => reject(new Error("aborted")))
  })
}

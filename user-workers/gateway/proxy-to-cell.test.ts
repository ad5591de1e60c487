import { describe, it } from "vitest"
import { circuitBreaker } from "../../kit/circuit-breaker.ts"
import { rankOrigins } from "../../kit/origin-pool.ts"
import { type ProxyOptions, proxyToCell } from "./proxy-to-cell.ts"

const A = "https://a.cell.example"
const B = "https://b.cell.example"
const [FIRST = A, SECOND = B] = rankOrigins([A, B], "100")

describe("proxyToCell: a second try", () => {
  for (const method of ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
    it(`sends ${method} without a body to the next origin when the first gives no answer`, async ({ expect }) => {
      const { response, sent, logged } = await call({ method }, { [FIRST]: refused, [SECOND]: ok })
      expect(sent.map(({ url }) => new URL(url).origin)).toEqual([FIRST, SECOND])
      expect(response?.status).toBe(200)
      expect(logged).toMatchObject([{ origin: FIRST, code: "cell.failed", isTriedElsewhere: true }])
    })

  for (const [name, init] of Object.entries({
    POST: { method: "POST" },
    "POST with a body": { method: "POST", body: "x" },
    PATCH: { method: "PATCH" },
    "PUT with a body": { method: "PUT", body: "x" },
    "DELETE with a body": { method: "DELETE", body: "x" },
  }))
    it(`sends ${name} once only`, async ({ expect }) => {
      const { sent, code } = await call(init, { [FIRST]: refused, [SECOND]: ok })
      expect(sent).toHaveLength(1)
      expect(code).toBe("cell.failed")
    })

  it("goes to two origins at most", async ({ expect }) => {
    const third = "https://c.cell.example"
    const { sent, code } = await call({}, { [A]: refused, [B]: refused, [third]: refused })
    expect(new Set(sent.map(({ url }) => url)).size).toBe(2)
    expect(code).toBe("cell.failed")
  })

  it("never asks the same origin again", async ({ expect }) => {
    const { sent, code } = await call({}, { [A]: refused })
    expect(sent).toHaveLength(1)
    expect(code).toBe("cell.failed")
  })

  for (const status of [500, 502, 503, 504])
    it(`passes on an origin's own ${status}, whatever the other might say`, async ({ expect }) => {
      const answer = () => new Response("mine", { status, headers: { "content-type": "application/problem+json" } })
      const { response, sent } = await call({}, { [FIRST]: answer, [SECOND]: ok })
      expect(response?.status).toBe(status)
      expect(await response?.text()).toBe("mine")
      expect(sent).toHaveLength(1)
    })

  it("does not repeat what took too long: the origin may be at it still", async ({ expect }) => {
    const { sent, code } = await call({}, { [FIRST]: hanging, [SECOND]: ok }, { timeoutMs: 1 })
    expect(sent).toHaveLength(1)
    expect(code).toBe("cell.timeout")
  })

  it("sends nothing anywhere after the client went away", async ({ expect }) => {
    const client = new AbortController()
    const leaving = async (request: Request) => {
      client.abort()
      return hanging(request)
    }
    const { sent, snapshot } = await call({ signal: client.signal }, { [FIRST]: leaving, [SECOND]: ok })
    expect(sent).toHaveLength(1)
    expect(snapshot).toMatchObject([{ calls: 0 }])
  })

  it("does not go elsewhere with what the platform did not let out", async ({ expect }) => {
    const { sent, code, snapshot } = await call({}, { [FIRST]: problem("egress.passport-misdirected"), [SECOND]: ok })
    expect(sent).toHaveLength(1)
    expect(code).toBe("cell.failed")
    expect(snapshot).toMatchObject([{ failures: 0 }])
  })

  for (const code of ["auth.revoked", "zone.country-refused", "platform.not-granted"])
    it(`tells its caller that the platform refused the cell's passport: ${code}`, async ({ expect }) => {
      const { sent, code: told, snapshot } = await call({}, { [FIRST]: problem(code), [SECOND]: ok })
      expect([sent.length, told]).toEqual([1, code])
      expect(snapshot).toMatchObject([{ failures: 0 }])
    })

  it("does not go elsewhere when no passport was to be had", async ({ expect }) => {
    const { sent, code } = await call({}, { [FIRST]: problem("egress.passport-exchange-failed"), [SECOND]: ok })
    expect([sent.length, code]).toEqual([1, "platform.unavailable"])
  })

  it("takes the outbound Worker's word that the destination failed", async ({ expect }) => {
    const { response, sent } = await call({}, { [FIRST]: problem("egress.destination-failed"), [SECOND]: ok })
    expect(sent).toHaveLength(2)
    expect(response?.status).toBe(200)
  })
})

describe("proxyToCell: origins that do not answer", () => {
  it("are left out after three failures in a row, without a try", async ({ expect }) => {
    const breaker = circuitBreaker({ consecutiveFailures: 3 })
    for (let each = 0; each < 3; each++)
      await call({ method: "POST" }, { [FIRST]: refused, [SECOND]: ok }, { health: breaker })
    const { response, sent } = await call({ method: "POST" }, { [FIRST]: refused, [SECOND]: ok }, { health: breaker })
    expect(sent.map(({ url }) => new URL(url).origin)).toEqual([SECOND])
    expect(response?.status).toBe(200)
  })

  it("answer 503 with Retry-After when there is no other, at once", async ({ expect }) => {
    const clock = { now: () => 1_000_000 }
    const breaker = circuitBreaker({ consecutiveFailures: 1, openMs: 4_500, clock })
    await call({ method: "POST" }, { [A]: refused }, { health: breaker })
    const { sent, code, headers } = await call({}, { [A]: ok }, { health: breaker })
    expect(sent).toHaveLength(0)
    expect(code).toBe("cell.unavailable")
    expect(headers).toEqual({ "retry-after": "5" })
  })

  it("do not count against the same origin in another zone", async ({ expect }) => {
    const breaker = circuitBreaker({ consecutiveFailures: 1 })
    await call({ method: "POST" }, { [A]: refused }, { health: breaker, zone: "us01" })
    expect((await call({}, { [A]: ok }, { health: breaker, zone: "uk01" })).response?.status).toBe(200)
  })
})

describe("proxyToCell: clients that are slow or go away", () => {
  for (const [name, origin] of Object.entries({ thrown: refused, told: problem("egress.destination-failed") }))
    it(`do not count against the origin that their body did not reach, ${name}`, async ({ expect }) => {
      let breakOff = () => {}
      const body = new ReadableStream({
        start: (sender) => {
          sender.enqueue(new TextEncoder().encode("half"))
          breakOff = () => sender.error(new Error("gone"))
        },
      })
      const breaking: Origin = async (request) => {
        const all = request.text().catch(() => undefined)
        breakOff()
        await all
        return origin(request)
      }
      const headers = { "content-length": "10" }
      const broken = await call({ method: "POST", body, headers }, { [A]: breaking })
      expect(broken.code).toBe("cell.failed")
      expect(broken.snapshot).toMatchObject([{ calls: 0, failures: 0 }])
      const dead = await call({ method: "POST", body: "x" }, { [A]: origin })
      expect(dead.snapshot).toMatchObject([{ calls: 1, failures: 1 }])
    })

  it("do not count against the origin that fails with a long body, which is passed on as it came", async ({
    expect,
  }) => {
    const headers = { "content-length": String(2 ** 20 + 1) }
    const { code, snapshot } = await call({ method: "POST", body: "x", headers }, { [A]: refused })
    expect(code).toBe("cell.failed")
    expect(snapshot).toMatchObject([{ calls: 0, failures: 0 }])
  })

  it("do not count against the origin that waits for their body, as one does that answers nobody", async ({
    expect,
  }) => {
    const slow = await call({ method: "POST", body: "x" }, { [A]: hanging }, { timeoutMs: 1 })
    expect(slow.code).toBe("cell.timeout")
    expect(slow.snapshot).toMatchObject([{ calls: 0, failures: 0 }])
    const dead = await call({ method: "POST" }, { [A]: hanging }, { timeoutMs: 1 })
    expect(dead.snapshot).toMatchObject([{ calls: 1, failures: 1 }])
  })
})

describe("proxyToCell: what goes on", () => {
  it("names no company in a second spelling", async ({ expect }) => {
    const headers = { "procore-company-id": "1", procore_company_id: "2", "procore-company_id": "3", x_other: "4" }
    const { sent } = await call({ headers }, { [A]: ok })
    const names = [...(sent[0]?.headers.keys() ?? [])].filter((name) => name.startsWith("procore"))
    expect(names).toEqual(["procore-company-id"])
    expect(sent[0]?.headers.get("x_other")).toBe("4")
  })

  it("is no Expect, and the config revision, by which the exit knows what it may still remember", async ({
    expect,
  }) => {
    const headers = { expect: "100-continue", "x-sallyport-config": "3", "x-mine": "1" }
    const { sent } = await call({ method: "POST", body: "x", headers }, { [A]: ok })
    expect(sent[0]?.headers.get("x-mine")).toBe("1")
    expect(sent[0]?.headers.has("expect")).toBe(false)
    expect(sent[0]?.headers.get("x-sallyport-config")).toBe("3")
  })

  it("keeps a company on its origin, and spreads companies", async ({ expect }) => {
    const origins = { [A]: ok, [B]: ok }
    const used = new Set<string>()
    for (let company = 0; company < 20; company++) {
      const one = await call({}, origins, { stickyKey: String(company) })
      const again = await call({}, origins, { stickyKey: String(company) })
      expect(one.sent[0]?.url).toBe(again.sent[0]?.url)
      used.add(one.sent[0]?.url ?? "")
    }
    expect(used.size).toBe(2)
  })
})

type Origin = (request: Request) => Response | Promise<Response>

const ok: Origin = () => new Response("ok")
const refused: Origin = () => {
  throw new Error("connect ECONNREFUSED")
}
const problem =
  (code: string): Origin =>
  () =>
    new Response("{}", { status: 502, headers: { "x-sallyport-egress-problem": code } })

function hanging(request: Request): Promise<Response> {
  return new Promise((_, reject) => {
    if (request.signal.aborted) reject(new Error("aborted"))
    request.signal.addEventListener("abort", () => reject(new Error("aborted")))
  })
}

async function call(init: RequestInit, origins: Record<string, Origin>, options: Partial<ProxyOptions> = {}) {
  const sent: Request[] = []
  const logged: object[] = []
  const breaker = circuitBreaker()
  const result = await proxyToCell(new Request("https://app.procore.com/a?b=c", init), {
    zone: "us01",
    origins: Object.keys(origins),
    audience: "cell:us01",
    host: "app.procore.com",
    stickyKey: "100",
    fetch: async (request) => {
      sent.push(request)
      return (origins[new URL(request.url).origin] ?? refused)(request)
    },
    health: breaker,
    timeoutMs: 10_000,
    idleMs: 0,
    log: (record) => logged.push(record),
    ...options,
  }).then(
    (response) => ({ response, code: null, headers: null }),
    (thrown) => ({ response: null, code: thrown.code, headers: thrown.options?.headers ?? null }),
  )
  return { ...result, sent, logged, snapshot: breaker.snapshot() }
}

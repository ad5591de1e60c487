/** The gateway on the running platform, in front of real origins that are held, cut, slow or dead: what arrives, how often, and what the client is told. */
import { randomUUID } from "node:crypto"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import http from "node:http"
import net from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, it } from "vitest"
import { WebSocket, WebSocketServer } from "ws"
import { startTestPlatform, type TestPlatform } from "../../emulator/testing.ts"
import { type RecordingOrigin, startRecordingOrigin } from "./recording-origin.ts"

const alice = { subject: "alice" }
const HOME = "https://app.procore.com/home"
/** Shorter than in production, where the rest is the same. */
const VARS = {
  CELL_TIMEOUT_MS: "2000",
  CELL_IDLE_TIMEOUT_MS: "2000",
  DEPRECATIONS: JSON.stringify([
    {
      path: "/old/*",
      since: "2026-01-31T00:00:00Z",
      sunset: "2027-01-31T00:00:00Z",
      link: "https://developers.example/",
    },
  ]),
}

let platform: TestPlatform
let origin: RecordingOrigin
let folder: string

beforeAll(async () => {
  platform = await startTestPlatform()
  const grants = ["zones:read", "audience:cell:us01", "audience:cell:uk01", "zone:us01", "zone:uk01"]
  await platform.putTeam("edge-routing", { grants })
  folder = await mkdtemp(path.join(tmpdir(), "gateway-"))
  const main = path.resolve("user-workers/gateway/index.ts")
  const config = {
    name: "gateway",
    main,
    compatibility_date: "2026-10-01",
    compatibility_flags: ["enable_request_signal", "nodejs_als"],
  }
  await writeFile(path.join(folder, "wrangler.json"), JSON.stringify({ ...config, vars: VARS }))
  await platform.uploadWorker({ directory: folder, team: "edge-routing" })
  const route = { hostname: "app.procore.com", path: "/*", script: "gateway", team: "edge-routing" } as const
  await platform.putRoute("app", { ...route, auth: "required", zone: "us01" })
})

afterAll(async () => {
  await platform.dispose()
  await rm(folder, { recursive: true })
})

/** A new origin for every test: what the gateway has learnt of one is of no account to the next. */
beforeEach(async () => {
  origin = await startRecordingOrigin("first")
  await putOrigins([origin.url])
})
afterEach(() => origin.stop())

describe("gateway: an origin of two dies under load", () => {
  it("fails no request that may be repeated, sends none twice that may not, and soon asks the dead one no more", async ({
    expect,
  }) => {
    const other = await startRecordingOrigin("second")
    try {
      await putOrigins([origin.url, other.url])
      const results: { method: string; status: number; cell: string | null; id: string; afterKill: boolean }[] = []
      let isKilled = false
      let isOver = false
      const client = async (number: number) => {
        for (let turn = 0; !isOver; turn++) {
          const method = (number + turn) % 2 === 0 ? "GET" : "POST"
          const id = randomUUID()
          const afterKill = isKilled
          const init = { method, headers: { "x-id": id }, ...(method === "POST" ? { body: "{}" } : {}) }
          const response = await platform.fetch(HOME, init, { subject: `user-${number}` })
          await response.text()
          results.push({ method, status: response.status, cell: response.headers.get("x-origin"), id, afterKill })
          if (results.length === 300) {
            isKilled = true
            await other.stop()
          }
          if (results.length >= 1_000) isOver = true
        }
      }
      await Promise.all(Array.from({ length: 16 }, (_, number) => client(number)))

      const arrived = new Map<string, number>()
      for (const { method, headers } of [...origin.arrivals, ...other.arrivals]) {
        const id = `${method} ${headers["x-id"]}`
        arrived.set(id, (arrived.get(id) ?? 0) + 1)
      }
      const posts = results.filter(({ method }) => method === "POST")
      const failedPosts = posts.filter(({ status }) => status !== 200)
      expect(results.filter(({ method, status }) => method === "GET" && status !== 200)).toEqual([])
      expect(posts.filter(({ id }) => (arrived.get(`POST ${id}`) ?? 0) > 1)).toEqual([])
      expect(posts.filter(({ id, status }) => status === 200 && arrived.get(`POST ${id}`) !== 1)).toEqual([])
      // Both were used before, one after; and no more writes were lost than were under way or needed to find out.
      expect(new Set(results.filter(({ afterKill }) => !afterKill).map(({ cell }) => cell))).toContain("second")
      expect(new Set(results.slice(-200).map(({ cell }) => cell))).toEqual(new Set(["first"]))
      expect(failedPosts.every(({ status }) => status === 502)).toBe(true)
      expect(failedPosts.length).toBeLessThanOrEqual(16)
    } finally {
      await other.stop()
    }
  })

  it("does not take uploads that clients break off for its death", async ({ expect }) => {
    origin.act((request, response) => {
      request.resume()
      request.once("end", () => response.end("first")).once("error", () => undefined)
    })
    for (let each = 1; each <= 6; each++) {
      const socket = rawRequest("POST /home HTTP/1.1", ["Content-Length: 100000"], "x".repeat(50_000))
      while (origin.arrivals.length < each) await new Promise((resolve) => setImmediate(resolve))
      const cut = new Promise((resolve) => socket.once("close", resolve))
      socket.destroy()
      await cut
    }
    const failures = () => originFailures(origin.url)
    await expect.poll(failures, { timeout: 5_000 }).toHaveLength(6)
    expect((await platform.fetch(HOME, {}, alice)).status).toBe(200)
  })

  it("keeps a caller on one origin while it lives, and takes it to the other after", async ({ expect }) => {
    const other = await startRecordingOrigin("second")
    await putOrigins([origin.url, other.url])
    const homeOf = async (subject: string) =>
      (await platform.fetch(HOME, {}, { subject })).headers.get("x-origin") ?? "none"
    const subjects = Array.from({ length: 24 }, (_, each) => `sticky-${each}`)
    const before = await Promise.all(subjects.map(homeOf))
    expect(new Set(before)).toEqual(new Set(["first", "second"]))
    expect(await Promise.all(subjects.map(homeOf))).toEqual(before)
    await other.stop()
    expect(new Set(await Promise.all(subjects.map(homeOf)))).toEqual(new Set(["first"]))
  })

  it("answers 503 with Retry-After at once when the last one has failed often enough", async ({ expect }) => {
    await origin.stop()
    const answers = []
    for (let each = 0; each < 4; each++) answers.push(await platform.fetch(HOME, { method: "POST", body: "{}" }, alice))
    expect(answers.map(({ status }) => status)).toEqual([502, 502, 502, 503])
    expect(Number(answers[3]?.headers.get("retry-after"))).toBeGreaterThan(0)
    expect(await answers[3]?.json()).toMatchObject({ code: "cell.unavailable" })
  })
})

describe("gateway: what the client is told", () => {
  for (const status of [500, 502, 503, 504])
    it(`is the origin's own ${status}, once`, async ({ expect }) => {
      origin.act((_request, response) => response.writeHead(status, { "retry-after": "9" }).end("the origin's words"))
      const response = await platform.fetch(HOME, {}, alice)
      expect(response.status).toBe(status)
      expect(response.headers.get("retry-after")).toBe("9")
      expect(await response.text()).toBe("the origin's words")
      expect(origin.arrivals).toHaveLength(1)
    })

  for (const [name, act] of [
    ["cuts the connection before it answers", (request: http.IncomingMessage) => request.socket.destroy()],
    ["answers what is no HTTP", (request: http.IncomingMessage) => request.socket.end("SPAM\r\n\r\n")],
  ] as const)
    it(`is cell.failed when the origin ${name}; a POST came there once`, async ({ expect }) => {
      origin.act(act)
      const response = await platform.fetch(HOME, { method: "POST", body: "{}" }, alice)
      expect(response.status).toBe(502)
      expect(await response.json()).toMatchObject({ code: "cell.failed" })
      expect(origin.arrivals).toHaveLength(1)
    })

  for (const method of ["GET", "POST"])
    it(`is cell.timeout when the origin does not answer ${method}; it came there once, and was let go`, async ({
      expect,
    }) => {
      const closed = new Promise<void>((resolve) => origin.act((request) => request.socket.once("close", resolve)))
      const response = await platform.fetch(HOME, { method, ...(method === "POST" ? { body: "{}" } : {}) }, alice)
      expect(response.status).toBe(504)
      expect(await response.json()).toMatchObject({ code: "cell.timeout" })
      await closed
      expect(origin.arrivals).toHaveLength(1)
    })

  for (const [name, head] of [
    ["with a declared length", { "content-length": "1000" }],
    ["in chunks", {}],
  ] as const)
    it(`is a broken body, not a whole one, when the origin dies in the middle of one ${name}`, async ({ expect }) => {
      origin.act((_request, response) => {
        response.writeHead(200, { "content-type": "text/plain", ...head })
        response.write("half", () => setImmediate(() => response.destroy()))
      })
      const response = await platform.fetch(HOME, {}, alice)
      expect(response.status).toBe(200)
      await expect(response.text()).rejects.toThrow()
    })

  it("is a broken body when the origin stops in the middle of one, and the origin is let go", async ({ expect }) => {
    const closed = new Promise<void>((resolve) =>
      origin.act((request, response) => {
        request.socket.once("close", resolve)
        response.writeHead(200, { "content-type": "text/plain" }).write("half")
      }),
    )
    const response = await platform.fetch(HOME, {}, alice)
    await expect(response.text()).rejects.toThrow()
    await closed
  })

  it("is when an endpoint is going to go", async ({ expect }) => {
    const { headers } = await platform.fetch("https://app.procore.com/old/1", {}, alice)
    expect(headers.get("deprecation")).toBe(`@${Date.UTC(2026, 0, 31) / 1000}`)
    expect(headers.get("sunset")).toBe("Sun, 31 Jan 2027 00:00:00 GMT")
    expect(headers.get("link")).toBe('<https://developers.example/>; rel="deprecation"')
    expect((await platform.fetch("https://app.procore.com/older", {}, alice)).headers.has("deprecation")).toBe(false)
  })
})

describe("gateway: what passes", () => {
  it("is each part of a stream when it is sent, not when it ends", async ({ expect }) => {
    let send = (_text: string) => {}
    origin.act((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" })
      send = (text) => (text === "" ? response.end() : response.write(text))
      send("data: 1\n\n")
    })
    const response = await platform.fetch(HOME, {}, alice)
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    const next = async () => new TextDecoder().decode((await reader.read()).value)
    expect(await next()).toBe("data: 1\n\n")
    send("data: 2\n\n")
    expect(await next()).toBe("data: 2\n\n")
    send("")
    expect((await reader.read()).done).toBe(true)
  })

  for (const [name, begin] of [
    ["before the origin answers", () => {}],
    ["in the middle of the answer", (response: http.ServerResponse) => response.writeHead(200).write("half")],
  ] as const)
    it(`is the client's going away, ${name}`, async ({ expect }) => {
      let leftAt = 0
      const socket = rawRequest("GET /home HTTP/1.1", [])
      const closed = new Promise<number>((resolve) =>
        origin.act((request, response) => {
          request.socket.once("close", () => resolve(performance.now()))
          begin(response)
          if (name.startsWith("before")) leave()
        }),
      )
      // By a reset: that a client has closed only its own half, the runtime cannot tell from one that still listens.
      const leave = () => {
        leftAt = performance.now()
        socket.resetAndDestroy()
      }
      socket.once("data", leave)
      // Well before the gateway would have given up by itself.
      expect((await closed) - leftAt).toBeLessThan(1_000)
      expect(origin.arrivals).toHaveLength(1)
    })

  it("is the client's going away in the middle of its own body: the origin sees no whole one", async ({ expect }) => {
    const ended = new Promise<string>((resolve) =>
      origin.act((request) => {
        request.resume()
        request.once("end", () => resolve("whole"))
        request.once("error", () => resolve("cut"))
      }),
    )
    const socket = rawRequest("POST /home HTTP/1.1", ["Content-Length: 1000"], "x".repeat(500))
    await arrivalAt(origin)
    socket.destroy()
    expect(await ended).toBe("cut")
  })

  it("is a body behind Expect: 100-continue, and the expectation itself is not", async ({ expect }) => {
    origin.act((request, response) => {
      let text = ""
      request.on("data", (chunk) => (text += chunk)).once("end", () => response.end(text))
    })
    const body = "x".repeat(2_000)
    const framing = ["Expect: 100-continue", "Connection: close", `Content-Length: ${body.length}`]
    const socket = rawRequest("POST /home HTTP/1.1", framing, body)
    let answer = ""
    for await (const chunk of socket) answer += chunk
    expect(answer).toMatch(/HTTP\/1\.1 200 /)
    expect(answer).toContain(body)
    expect(origin.arrivals[0]?.headers).not.toHaveProperty("expect")
  })

  it("is the passport, and of the gateway's own affairs nothing else", async ({ expect }) => {
    origin.act((_request, response) => response.end())
    await platform.fetch(HOME, {}, alice)
    const headers = origin.arrivals[0]?.headers ?? {}
    expect(headers).toHaveProperty("x-passport")
    expect(Object.keys(headers).filter((name) => name.startsWith("x-sallyport"))).toEqual([])
  })

  it("is 32 KiB of request headers and 48 KiB of response headers, each whole", async ({ expect }) => {
    const cookies = Array.from({ length: 16 }, (_, each) => `c${each}=${"v".repeat(3_000)}; Path=/`)
    origin.act((_request, response) => {
      response.setHeader("set-cookie", cookies)
      response.end()
    })
    const large = Array.from({ length: 8 }, (_, each) => [`x-large-${each}`, String(each).repeat(4_000)] as const)
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const headers = { host: "app.procore.com", authorization: bearer(), ...Object.fromEntries(large) }
      const options = { headers, maxHeaderSize: 128 * 1024, agent: new http.Agent() }
      http.get(`${platform.edgeUrl}/home`, options, resolve).once("error", reject)
    })
    answer.resume()
    for (const [name, value] of large) expect(origin.arrivals[0]?.headers[name]).toBe(value)
    expect(answer.headers["set-cookie"]).toEqual(cookies)
  })

  for (const status of [301, 302, 303, 307, 308])
    it(`is a ${status}, with its Location as it stands`, async ({ expect }) => {
      const location = `${origin.url}/elsewhere?a=b#c`
      origin.act((_request, response) => response.writeHead(status, { location }).end())
      const response = await platform.fetch(HOME, { method: "POST", body: "{}" }, alice)
      expect(response.status).toBe(status)
      expect(response.headers.get("location")).toBe(location)
      expect(origin.arrivals).toHaveLength(1)
    })

  it("is the length that HEAD tells, the range that was asked for, and 304", async ({ expect }) => {
    origin.act((request, response) => {
      if (request.headers["if-none-match"] === '"1"') return response.writeHead(304, { etag: '"1"' }).end()
      if (request.headers.range === undefined) return response.writeHead(200, { "content-length": "12345" }).end()
      return response.writeHead(206, { "content-range": "bytes 0-3/10", "content-length": "4" }).end("0123")
    })
    const head = await platform.fetch(HOME, { method: "HEAD" }, alice)
    expect([head.status, head.headers.get("content-length")]).toEqual([200, "12345"])
    const part = await platform.fetch(HOME, { headers: { range: "bytes=0-3" } }, alice)
    expect([part.status, part.headers.get("content-range"), await part.text()]).toEqual([206, "bytes 0-3/10", "0123"])
    const same = await platform.fetch(HOME, { headers: { "if-none-match": '"1"' } }, alice)
    expect([same.status, same.headers.get("etag")]).toEqual([304, '"1"'])
  })

  it("is a compressed body, byte for byte", async ({ expect }) => {
    const { gzipSync } = await import("node:zlib")
    const packed = gzipSync("hello ".repeat(10_000))
    origin.act((_request, response) => response.writeHead(200, { "content-encoding": "gzip" }).end(packed))
    const response = await platform.fetch(HOME, { headers: { "accept-encoding": "gzip" } }, alice)
    expect(response.headers.get("content-encoding")).toBe("gzip")
    expect(Buffer.from(await response.arrayBuffer()).equals(packed)).toBe(true)
  })

  it("is a WebSocket's close, from either side", async ({ expect }) => {
    const sockets = new WebSocketServer({ port: 0, host: "127.0.0.1" })
    try {
      await eventOf(sockets, "listening")
      const { port } = sockets.address() as net.AddressInfo
      await putOrigins([`http://127.0.0.1:${port}`])
      const open = () => {
        const headers = { host: "app.procore.com", authorization: bearer() }
        return new WebSocket(`${platform.edgeUrl.replace("http", "ws")}/cable`, { headers, agent: new http.Agent() })
      }
      const closing = new Promise<number>((resolve) => open().once("close", resolve))
      const [first] = await eventOf(sockets, "connection")
      ;(first as WebSocket).close(4001, "over")
      expect(await closing).toBe(4001)

      const second = open()
      const [atOrigin] = await eventOf(sockets, "connection")
      const closed = new Promise<number>((resolve) => (atOrigin as WebSocket).once("close", resolve))
      await eventOf(second, "open")
      second.close(4002, "done")
      expect(await closed).toBe(4002)
    } finally {
      sockets.close()
    }
  })
})

async function putOrigins(origins: readonly string[]): Promise<void> {
  const audiences = Object.fromEntries(["us01", "us02", "uk01"].map((zone) => [`cell:${zone}`, { origins }]))
  await platform.api.put("/v1/policy/audiences", audiences)
  await platform.waitForConfig()
}

async function originFailures(origin: string): Promise<string[]> {
  const lines = (await readFile(platform.logFile, "utf8")).split("\n")
  return lines.filter((line) => line.includes('"origin-failed"') && line.includes(origin))
}

function bearer(): string {
  return `Bearer ${platform.issueToken(alice)}`
}

/** What no client library sends: a request of these very bytes. */
function rawRequest(line: string, headers: readonly string[], body = ""): net.Socket {
  const socket = net.connect(Number(new URL(platform.edgeUrl).port), "127.0.0.1")
  const head = [line, "Host: app.procore.com", `Authorization: ${bearer()}`, ...headers, "", ""]
  socket.write(head.join("\r\n") + body)
  return socket
}

function eventOf(emitter: NodeJS.EventEmitter, name: string): Promise<unknown[]> {
  return new Promise((resolve) => emitter.once(name, (...values) => resolve(values)))
}

/** Resolves when something has come to the origin; the test that waits for it has made it act already. */
async function arrivalAt({ arrivals }: RecordingOrigin): Promise<void> {
  while (arrivals.length === 0) await new Promise((resolve) => setImmediate(resolve))
}
